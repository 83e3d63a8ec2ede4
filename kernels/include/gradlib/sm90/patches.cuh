// The operands of convolutions as the copy engine gathers them: rows of the im2col matrix, which exists nowhere.
// Axes are counted from the innermost: width, height, depth.
#pragma once

#include "gradlib/fastdiv.cuh"
#include "gradlib/sm90/block.cuh"

#ifndef DIMS  // axes of an image: 1, 2 or 3
#define DIMS 2
#endif

namespace sm90 {

// Three numbers of the axes.
struct Axes {
  int w, h, d;
};

// The places that the filter's base goes through, image by image: its first is `low`, the next `step` on.
struct Walk {
  Axes count, step, low;
  FastDiv w, h, d;

  GRADLIB_DEVICE Walk(const Axes& n, const Axes& s, const Axes& l)
      : count(n), step(s), low(l), w(n.w), h(n.h), d(n.d) {}

  // Numbers along each axis, and the image's.
  GRADLIB_DEVICE int place(int index, Axes& at) const {
    at = {0, 0, 0};
    int rest = w.split(index, at.w);
    if constexpr (DIMS >= 2) rest = h.split(rest, at.h);
    if constexpr (DIMS >= 3) rest = d.split(rest, at.d);
    return rest;
  }
};

// The taps of the filter, and blocks of 64 channels of each.
struct Taps {
  Axes count, offset;  // of the next tap from one, on the image
  int first, blocks;   // matrix of the filter that the first tap has; blocks of channels
  Axes matrix;         // how many matrices further the next tap has its own
  FastDiv block, w, h;

  GRADLIB_DEVICE Taps(const Axes& n, const Axes& o, int f, const Axes& m, int b)
      : count(n), offset(o), first(f), blocks(b), matrix(m), block(b), w(n.w), h(n.h) {}

  struct At {
    Axes offset;
    int matrix, channel;
  };
  GRADLIB_DEVICE At at(int index) const {
    At a;
    Axes t = {0, 0, 0};
    int rest = block.split(index, a.channel);
    a.channel *= TILE_K;
    if constexpr (DIMS == 1) t.w = rest;
    if constexpr (DIMS >= 2) rest = w.split(rest, t.w);
    if constexpr (DIMS == 2) t.h = rest;
    if constexpr (DIMS == 3) t.d = h.split(rest, t.h);
    a.offset = {t.w * offset.w, t.h * offset.h, t.d * offset.d};
    a.matrix = first + t.w * matrix.w + t.h * matrix.h + t.d * matrix.d;
    return a;
  }
};

GRADLIB_DEVICE void load_pixels(unsigned char* to, const TensorMap* map, ptx::mbarrier* bar, int channel,
                                const Axes& base, int image, const Axes& offset) {
  if constexpr (DIMS == 1) {
    ptx::tensor_load_im2col(to, map, bar, channel, base.w, image, offset.w);
  } else if constexpr (DIMS == 2) {
    ptx::tensor_load_im2col(to, map, bar, channel, base.w, base.h, image, offset.w, offset.h);
  } else {
    ptx::tensor_load_im2col(to, map, bar, channel, base.w, base.h, base.d, image, offset.w, offset.h, offset.d);
  }
}

// x as A (places x (tap, channel)), a filter as B: of the forward pass (columns are features) or, B_TRANSPOSED, of the
// data gradient (columns are channels of x, k the features).
struct Forward {
  const TensorMap *a, *b;
  Walk walk;
  Taps taps;
  int splits, a_group, a_plane, b_group, b_plane;  // channels or columns of a group; channels, matrices of a plane

  struct Start {
    Axes base;
    int image;
  };
  GRADLIB_DEVICE Start start(const Tile& tile) const {
    Start s;
    Axes at;
    s.image = walk.place(tile.m0, at);
    s.base = {walk.low.w + at.w * walk.step.w, walk.low.h + at.h * walk.step.h, walk.low.d + at.d * walk.step.d};
    return s;
  }
  GRADLIB_DEVICE void load(const Ring& ring, int stage, const Tile& tile, const Start& s, int k, int pass,
                           int rank) const {
    const int group = tile.z / splits;
    const Taps::At at = taps.at(k);
    ptx::mbarrier* full = ring.full + stage;
    load_pixels(ring.a(stage), a, full, group * a_group + plane_of_a(pass) * a_plane + at.channel, s.base, s.image,
                at.offset);
    const int column = tile.n0 + (B_TRANSPOSED ? 0 : group * b_group);
    const int row = at.channel + (B_TRANSPOSED ? group * b_group : 0);
    OperandB::load(ring.b(stage), b, full, column, row, at.matrix + plane_of_b(pass) * b_plane, rank);
  }
};

// x as A of the weight gradient ((tap, channel) x places), dz (places x features) as B.
struct Backward {
  const TensorMap *a, *b;
  Walk walk;
  Taps taps;
  int splits, a_group, a_plane, b_group, last;  // the last block of rows

  struct Start {
    Taps::At at[BM / 64];
  };
  GRADLIB_DEVICE Start start(const Tile& tile) const {
    Start s;
#pragma unroll
    for (int i = 0; i < BM / 64; ++i) s.at[i] = taps.at(smaller(tile.m0 / 64 + i, last));
    return s;
  }
  GRADLIB_DEVICE void load(const Ring& ring, int stage, const Tile& tile, const Start& s, int k, int pass,
                           int rank) const {
    const int group = tile.z / splits;
    Axes at;
    const int image = walk.place(k * TILE_K, at);
    const Axes base = {walk.low.w + at.w * walk.step.w, walk.low.h + at.h * walk.step.h,
                       walk.low.d + at.d * walk.step.d};
    ptx::mbarrier* full = ring.full + stage;
#pragma unroll
    for (int i = 0; i < BM / 64; ++i) {
      load_pixels(ring.a(stage) + i * 8192, a, full, group * a_group + plane_of_a(pass) * a_plane + s.at[i].channel,
                  base, image, s.at[i].offset);
    }
    OperandB::load(ring.b(stage), b, full, group * b_group + tile.n0, k * TILE_K, plane_of_b(pass), rank);
  }
};

// Rows of a map of images whose walk is every `stride`-th place from `first` on: the whole map, or a class of it.
struct MapRows {
  Walk walk;
  Axes size, first, stride;
  int m, pitch, group, splits;  // elements of a place, columns of a group

  GRADLIB_DEVICE int columns_before(int z) const { return z / splits * group; }
  GRADLIB_DEVICE long long offset(int z, int row) const {
    if (row >= m) return -1;
    Axes at;
    long long place = walk.place(row, at);
    if constexpr (DIMS >= 3) place = place * size.d + first.d + at.d * stride.d;
    if constexpr (DIMS >= 2) place = place * size.h + first.h + at.h * stride.h;
    return (place * size.w + first.w + at.w * stride.w) * pitch + columns_before(z);
  }
};

// Rows of a weight gradient: (split, tap, channel), of which the last block of each tap may be cut short.
struct FilterRows {
  FastDiv block;
  int taps, blocks, channels, pitch, group, splits;

  GRADLIB_DEVICE int columns_before(int z) const { return z / splits * group; }
  GRADLIB_DEVICE long long offset(int z, int row) const {
    int part;
    const int tap = block.split(row / 64, part), channel = part * 64 + row % 64;
    if (tap >= taps || channel >= channels) return -1;
    return (((long long)(z % splits) * taps + tap) * channels + channel) * pitch + columns_before(z);
  }
};

}  // namespace sm90
