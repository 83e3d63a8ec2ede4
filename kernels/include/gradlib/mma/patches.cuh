// The operands of convolutions for mma.sync, gathered by cp.async: 8 neighbouring channels of a pixel at a time, or, where
// channels are no multiple of 8, one by one.
#pragma once

#include "gradlib/mma/block.cuh"

namespace mma {

using walk::Axes;
using walk::Taps;
using walk::Walk;

constexpr int WIDTH = ALIGNED ? 8 : 1;  // channels of a block, as Taps counts them

// Images (batch, *size, pitch) with zeros around them.
struct Map {
  const OPERAND* first;
  Axes size;
  long long pitch, plane;  // elements of a pixel; between planes
  int channels, splits;    // of a group

  // Where a pixel's channel 0 is; null outside of the image.
  GRADLIB_DEVICE const OPERAND* pixel(const OPERAND* image, const Axes& at) const {
    bool inside = (unsigned)at.w < (unsigned)size.w;
    long long place = at.w;
    if constexpr (DIMS >= 2) {
      inside = inside && (unsigned)at.h < (unsigned)size.h;
      place += (long long)at.h * size.w;
    }
    if constexpr (DIMS >= 3) {
      inside = inside && (unsigned)at.d < (unsigned)size.d;
      place += (long long)at.d * size.w * size.h;
    }
    return inside ? image + place * pitch : nullptr;
  }
  GRADLIB_DEVICE const OPERAND* image(int z, int n) const {
    return first + (long long)n * size.w * size.h * size.d * pitch + z / splits * channels;
  }
};

GRADLIB_DEVICE Axes base_of(const Walk& places, const Axes& at) {
  return {places.low.w + at.w * places.step.w, places.low.h + at.h * places.step.h,
          places.low.d + at.d * places.step.d};
}
GRADLIB_DEVICE Axes moved(const Axes& base, const Axes& offset) {
  return {base.w + offset.w, base.h + offset.h, base.d + offset.d};
}

// Patches as A, by rows: a place for each, along k the taps and their channels.
struct PatchRows {
  Map x;
  Walk places;
  Taps taps;
  int limit;  // places

  struct Outer {
    const OPERAND* image;
    Axes base;
    bool inside;
  };
  GRADLIB_DEVICE Outer outer(int z, int i) const {
    Axes at;
    const int n = places.place(smaller(i, limit - 1), at);
    return {x.image(z, n), base_of(places, at), i < limit};
  }
  GRADLIB_DEVICE Chunk chunk(const Outer& o, int k, int k_end, int pass) const {
    const Taps::At at = taps.at(k / WIDTH);
    const OPERAND* pixel = o.inside && k < k_end ? x.pixel(o.image, moved(o.base, at.offset)) : nullptr;
    if (!pixel) return {x.first, 0};
    return {pixel + at.channel + plane_of_a(pass) * x.plane, within(x.channels - at.channel)};
  }
  GRADLIB_DEVICE OPERAND element(const Outer& o, int k, int k_end, int e, int pass) const {
    const Chunk c = chunk(o, k + e, k_end, pass);
    return c.count ? *c.at : OPERAND(0.0f);
  }
};

// Patches as A of the weight gradient: taps and their channels in a row, which is a place, along k.
struct PatchColumns {
  Map x;
  Walk places;
  Taps taps;
  int limit;  // taps times channels

  struct Outer {
    int z, index;
    Taps::At at;
  };
  GRADLIB_DEVICE Outer outer(int z, int i) const { return {z, i, taps.at(smaller(i, limit - 1) / WIDTH)}; }
  GRADLIB_DEVICE Chunk at(int z, const Taps::At& tap, bool inside, int k, int k_end, int pass) const {
    Axes place;
    const int n = places.place(smaller(k, k_end - 1), place);
    const OPERAND* pixel =
        inside && k < k_end ? x.pixel(x.image(z, n), moved(base_of(places, place), tap.offset)) : nullptr;
    if (!pixel) return {x.first, 0};
    return {pixel + tap.channel + plane_of_a(pass) * x.plane, within(x.channels - tap.channel)};
  }
  GRADLIB_DEVICE Chunk chunk(const Outer& o, int k, int k_end, int pass) const {
    return at(o.z, o.at, o.index < limit, k, k_end, pass);
  }
  GRADLIB_DEVICE OPERAND element(const Outer& o, int k, int k_end, int e, int pass) const {
    const int i = o.index + e;
    const Chunk c = at(o.z, taps.at(smaller(i, limit - 1) / WIDTH), i < limit, k, k_end, pass);
    return c.count ? *c.at : OPERAND(0.0f);
  }
};

// Filters (taps, channels, features) as B of the data gradient: a column is a channel, along k taps and their features.
struct FilterColumns {
  const OPERAND* first;
  Taps taps;
  int channels, features, splits;  // channels of a group are the columns; features of a group
  long long pitch, matrix;         // features of all groups, padded; elements of a matrix
  long long plane;                 // matrices between planes

  struct Outer {
    const OPERAND* at;
    bool inside;
  };
  GRADLIB_DEVICE Outer outer(int z, int i) const {
    return {first + smaller(i, channels - 1) * pitch + z / splits * features, i < channels};
  }
  GRADLIB_DEVICE Chunk chunk(const Outer& o, int k, int k_end, int pass) const {
    if (!o.inside || k >= k_end) return {first, 0};
    const Taps::At at = taps.at(k / WIDTH);
    return {o.at + (at.matrix + plane_of_b(pass) * plane) * matrix + at.channel, within(features - at.channel)};
  }
  GRADLIB_DEVICE OPERAND element(const Outer& o, int k, int k_end, int e, int pass) const {
    const Chunk c = chunk(o, k + e, k_end, pass);
    return c.count ? *c.at : OPERAND(0.0f);
  }
};

// Filters as B of the forward pass: a row of k is a tap's channel, whose features are the columns.
struct FilterRows {
  const OPERAND* first;
  int channels, features, splits;  // of a group
  long long pitch;                 // features of all groups, padded
  int planes;                      // of each tap
  FastDiv tap;                     // whole blocks of channels

  struct Outer {
    const OPERAND* at;
    int left;
  };
  GRADLIB_DEVICE Outer outer(int z, int i) const {
    return {first + z / splits * features + (i < features ? i : 0), features - i};
  }
  GRADLIB_DEVICE Chunk chunk(const Outer& o, int k, int k_end, int pass) const {
    int channel;
    const int t = tap.split(k, channel);
    if (k >= k_end || channel >= channels || o.left <= 0) return {first, 0};
    return {o.at + ((long long)(t * planes + plane_of_b(pass)) * channels + channel) * pitch, within(o.left)};
  }
  GRADLIB_DEVICE OPERAND element(const Outer& o, int k, int k_end, int e, int pass) const {
    const Chunk c = chunk(o, k, k_end, pass);
    return e < c.count ? c.at[e] : OPERAND(0.0f);
  }
};

}  // namespace mma
