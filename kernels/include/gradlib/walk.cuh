// The geometry of convolutions of 1 to 3 dimensions as implicit products: where a filter's base goes, the taps it has, and
// where the rows of a result lie.  Axes are counted from the innermost: width, height, depth.
#pragma once

#include "gradlib/fastdiv.cuh"

#ifndef DIMS  // axes of an image: 1, 2 or 3
#define DIMS 2
#endif

namespace walk {

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

// The taps of the filter, and the blocks of `width` channels of each.  There may be none.
struct Taps {
  Axes offset;  // of the next tap from one, on the image
  int first;    // matrix of the filter that the first tap has
  Axes matrix;  // how many matrices further the next tap has its own
  int width;
  FastDiv block, w, h;

  GRADLIB_DEVICE Taps(const Axes& n, const Axes& o, int f, const Axes& m, int blocks, int channels)
      : offset(o), first(f), matrix(m), width(channels), block(blocks), w(larger(n.w, 1)), h(larger(n.h, 1)) {}

  struct At {
    Axes offset;
    int matrix, channel;
  };
  // The tap, and the first channel, of block `index`: channels count fastest, then width.
  GRADLIB_DEVICE At at(int index) const {
    At a;
    Axes t = {0, 0, 0};
    int rest = block.split(index, a.channel);
    a.channel *= width;
    if constexpr (DIMS == 1) t.w = rest;
    if constexpr (DIMS >= 2) rest = w.split(rest, t.w);
    if constexpr (DIMS == 2) t.h = rest;
    if constexpr (DIMS == 3) t.d = h.split(rest, t.h);
    a.offset = {t.w * offset.w, t.h * offset.h, t.d * offset.d};
    a.matrix = first + t.w * matrix.w + t.h * matrix.h + t.d * matrix.d;
    return a;
  }
};

// Rows of y as they stand one after the other, in each product.
struct PlainRows {
  int m, n;
  GRADLIB_DEVICE int columns_before(int) const { return 0; }  // of scale and bias, in this product
  GRADLIB_DEVICE long long offset(int z, int row) const { return row < m ? ((long long)z * m + row) * n : -1; }
};

// Rows of a map of images whose walk is every `stride`-th place from `first` on: the whole map, or a class of it.
struct MapRows {
  Walk places;
  Axes size, first, stride;
  int m, pitch, group, splits;  // elements of a place, columns of a group

  GRADLIB_DEVICE int columns_before(int z) const { return z / splits * group; }
  GRADLIB_DEVICE long long offset(int z, int row) const {
    if (row >= m) return -1;
    Axes at;
    long long place = places.place(row, at);
    if constexpr (DIMS >= 3) place = place * size.d + first.d + at.d * stride.d;
    if constexpr (DIMS >= 2) place = place * size.h + first.h + at.h * stride.h;
    return (place * size.w + first.w + at.w * stride.w) * pitch + columns_before(z);
  }
};

// Rows of a weight gradient: (split, tap, channel), of which the last block of each tap may be cut short.
struct FilterRows {
  FastDiv block;  // blocks of `width` channels of a tap
  int width, taps, channels, pitch, group, splits;

  GRADLIB_DEVICE int columns_before(int z) const { return z / splits * group; }
  GRADLIB_DEVICE long long offset(int z, int row) const {
    int part;
    const int tap = block.split(row / width, part), channel = part * width + row % width;
    if (tap >= taps || channel >= channels) return -1;
    return (((long long)(z % splits) * taps + tap) * channels + channel) * pitch + columns_before(z);
  }
};

}  // namespace walk
