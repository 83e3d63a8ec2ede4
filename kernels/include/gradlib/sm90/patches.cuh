// The operands of convolutions as the copy engine gathers them: rows of the im2col matrix, which exists nowhere.
#pragma once

#include "gradlib/sm90/block.cuh"
#include "gradlib/walk.cuh"

namespace sm90 {

using walk::Axes;
using walk::Taps;
using walk::Walk;

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
  Walk places;
  Taps taps;
  int splits, a_group, a_plane, b_group, b_plane;  // channels or columns of a group; channels, matrices of a plane

  struct Start {
    Axes base;
    int image;
  };
  GRADLIB_DEVICE Start start(const Tile& tile) const {
    Start s;
    Axes at;
    s.image = places.place(tile.m0, at);
    s.base = {places.low.w + at.w * places.step.w, places.low.h + at.h * places.step.h, places.low.d + at.d * places.step.d};
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
  Walk places;
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
    const int image = places.place(k * TILE_K, at);
    const Axes base = {places.low.w + at.w * places.step.w, places.low.h + at.h * places.step.h,
                       places.low.d + at.d * places.step.d};
    ptx::mbarrier* full = ring.full + stage;
#pragma unroll
    for (int i = 0; i < BM / 64; ++i) {
      load_pixels(ring.a(stage) + i * 8192, a, full, group * a_group + plane_of_a(pass) * a_plane + s.at[i].channel,
                  base, image, s.at[i].offset);
    }
    OperandB::load(ring.b(stage), b, full, group * b_group + tile.n0, k * TILE_K, plane_of_b(pass), rank);
  }
};

}  // namespace sm90
