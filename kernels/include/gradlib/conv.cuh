// The geometry of a 2-d convolution, and its operands as the matrices of an implicit product: patches of an image are
// addressed in place, no im2col matrix exists.  x is NHWC, weights HWIO with I = channels / groups.
// Offsets are 32 bits wide, for a product's loads live in few registers: launchers decline arrays of 2^31 elements.
#pragma once

#include "gradlib/core.cuh"
#include "gradlib/epilogue.cuh"
#include "gradlib/fastdiv.cuh"

namespace conv {

// Names: x has height x width x channels, y has out_height x out_width x out_channels.
// (p, q) is a place in y, (r, s) a tap of the kernel; tap (r, s) of y's (p, q) lies on x's (h, w) with
//     h = p * stride_h - pad_h + r * dilation_h,  w = q * stride_w - pad_w + s * dilation_w.
struct Geometry {
  int height, width, channels, out_height, out_width, out_channels;
  int kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, groups;

  GRADLIB_DEVICE int in_group() const { return channels / groups; }
  GRADLIB_DEVICE int out_group() const { return out_channels / groups; }
};

// A pixel: its image, and the place in it that tap (0, 0) would fall on.
struct Pixel {
  int offset;  // of that place's channel 0, in elements; the place may lie outside of the image
  int h, w;
};

// A tap and a channel: steps from a pixel's place.
struct Tap {
  int offset;  // in elements
  int h, w;
};

// x as the matrix of patches: (place (n, p, q)) x (tap (r, s), channel).
template <class E> struct Patches {
  const E* x;  // at the group's first channel
  Geometry at;
  FastDiv image, row, channels, taps_w;

  GRADLIB_DEVICE Patches(const E* first, const Geometry& g)
      : x(first), at(g), image(g.out_height * g.out_width), row(g.out_width), channels(g.in_group()),
        taps_w(g.kernel_w) {}

  GRADLIB_DEVICE Pixel pixel(int index) const {
    int place, q;
    const int n = image.split(index, place);
    const int p = row.split(place, q);
    const int h = p * at.stride_h - at.pad_h, w = q * at.stride_w - at.pad_w;
    return {((n * at.height + h) * at.width + w) * at.channels, h, w};
  }
  GRADLIB_DEVICE Tap tap(int index) const {
    int c, s;
    const int r = taps_w.split(channels.split(index, c), s);
    const int h = r * at.dilation_h, w = s * at.dilation_w;
    return {(h * at.width + w) * at.channels + c, h, w};
  }
  GRADLIB_DEVICE acc_t<E> value(const Pixel& pixel, const Tap& tap) const {
    const bool inside = (unsigned int)(pixel.h + tap.h) < (unsigned int)at.height &&
                        (unsigned int)(pixel.w + tap.w) < (unsigned int)at.width;
    return inside ? to_acc(x[pixel.offset + tap.offset]) : acc_t<E>(0);
  }
};

// The patches as A of the forward product: a row is a place, k a tap and channel (contiguous).
template <class E> struct PatchRows : Patches<E> {
  static constexpr bool k_fast = true;
  using Outer = Pixel;
  using Inner = Tap;
  using Patches<E>::Patches;
  GRADLIB_DEVICE Pixel outer(int i) const { return this->pixel(i); }
  GRADLIB_DEVICE Tap inner(int k) const { return this->tap(k); }
  GRADLIB_DEVICE acc_t<E> load(const Pixel& i, const Tap& k) const { return this->value(i, k); }
};

// Their transpose as A of the weight gradient: a row is a tap and channel, k a place.
template <class E> struct PatchColumns : Patches<E> {
  static constexpr bool k_fast = false;
  using Outer = Tap;
  using Inner = Pixel;
  using Patches<E>::Patches;
  GRADLIB_DEVICE Tap outer(int i) const { return this->tap(i); }
  GRADLIB_DEVICE Pixel inner(int k) const { return this->pixel(k); }
  GRADLIB_DEVICE acc_t<E> load(const Tap& i, const Pixel& k) const { return this->value(k, i); }
};

// dz as A of the data gradient: a row is a place (n, h, w) of x, k a tap and an output channel (contiguous).
// Tap r reaches x's row h from p = (h + pad_h - r * dilation_h) / stride_h, if that divides.  Both terms are divided
// once, outside the loads: it divides where the remainders agree, and p is the difference of the quotients.
template <class E, class F> struct GradientPatches {
  static constexpr bool k_fast = true;
  struct Outer {
    int offset, quotient_h, quotient_w;  // offset: of the image's place (quotient_h, quotient_w), channel 0
    int phase;                           // both remainders in one
  };
  using Inner = Outer;

  ActivationGradient<E, F> dz;  // at the group's first output channel
  Geometry at;
  FastDiv image, row, channels, taps_w, steps_h, steps_w;

  GRADLIB_DEVICE GradientPatches(const ActivationGradient<E, F>& first, const Geometry& g)
      : dz(first), at(g), image(g.height * g.width), row(g.width), channels(g.out_group()), taps_w(g.kernel_w),
        steps_h(g.stride_h), steps_w(g.stride_w) {}

  GRADLIB_DEVICE Outer outer(int index) const {
    Outer o;
    int place, w, remainder_h, remainder_w;
    const int n = image.split(index, place);
    const int h = row.split(place, w);
    o.quotient_h = steps_h.split(h + at.pad_h, remainder_h);
    o.quotient_w = steps_w.split(w + at.pad_w, remainder_w);
    o.phase = remainder_h * at.stride_w + remainder_w;
    o.offset = ((n * at.out_height + o.quotient_h) * at.out_width + o.quotient_w) * at.out_channels;
    return o;
  }
  GRADLIB_DEVICE Inner inner(int k) const {
    Inner i;
    int channel, s, remainder_h, remainder_w;
    const int r = taps_w.split(channels.split(k, channel), s);
    i.quotient_h = steps_h.split(r * at.dilation_h, remainder_h);
    i.quotient_w = steps_w.split(s * at.dilation_w, remainder_w);
    i.phase = remainder_h * at.stride_w + remainder_w;
    i.offset = channel - (i.quotient_h * at.out_width + i.quotient_w) * at.out_channels;
    return i;
  }
  GRADLIB_DEVICE acc_t<E> load(const Outer& o, const Inner& i) const {
    const bool inside = o.phase == i.phase &&
                        (unsigned int)(o.quotient_h - i.quotient_h) < (unsigned int)at.out_height &&
                        (unsigned int)(o.quotient_w - i.quotient_w) < (unsigned int)at.out_width;
    return inside ? dz(o.offset + i.offset) : acc_t<E>(0);
  }
};

// The filters as B of the data gradient: a column is an input channel of the group, k a tap and an output channel.
template <class E> struct Filters {
  static constexpr bool k_fast = true;
  using Outer = int;
  using Inner = int;
  const E* w;  // at the group's first output channel
  int in_group, out_channels;
  FastDiv channels;
  GRADLIB_DEVICE Filters(const E* first, const Geometry& g)
      : w(first), in_group(g.in_group()), out_channels(g.out_channels), channels(g.out_group()) {}
  GRADLIB_DEVICE Outer outer(int i) const { return i * out_channels; }
  GRADLIB_DEVICE Inner inner(int k) const {
    int channel;
    const int tap = channels.split(k, channel);
    return tap * in_group * out_channels + channel;
  }
  GRADLIB_DEVICE acc_t<E> load(Outer i, Inner k) const { return to_acc(w[i + k]); }
};

// dz as B of the weight gradient: a column is an output channel of the group, k a place (n, p, q).
template <class E, class F> struct GradientRows {
  static constexpr bool k_fast = false;
  using Outer = int;
  using Inner = int;
  ActivationGradient<E, F> dz;  // at the group's first output channel
  int out_channels;
  GRADLIB_DEVICE Outer outer(int i) const { return i; }
  GRADLIB_DEVICE Inner inner(int k) const { return k * out_channels; }
  GRADLIB_DEVICE acc_t<E> load(Outer i, Inner k) const { return dz(k + i); }
};

}  // namespace conv
