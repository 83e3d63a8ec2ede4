// Max and average pooling of x (n, h, w, c) into y (n, p, q, c).
//
// Windows are kh x kw, sh and sw apart, dh and dw between their elements (max only), starting ph and pw before the image.
// block (bx, by): bx along the channels, VEC of them a thread; by along the positions.
// grid (ceil(positions / by), ceil(c / (bx * VEC))), where the positions are n * p * q forward, n * h * w backward.
// VEC > 1 needs c to be a multiple of it, and arrays aligned to 16 bytes.
// Backward is a gather: each input element looks up the windows it lies in, so no atomics and one order of summation.
//
// variants: T=float,double,__half,__nv_bfloat16 VEC=1,4
// variants: T=__half,__nv_bfloat16 VEC=8
#include "gradlib/pack.cuh"

#ifndef T
#define T float
#endif
#ifndef VEC
#define VEC 1
#endif

using A = acc_t<T>;
using Elements = Pack<T, VEC>;
using Indices = Pack<int, VEC>;

// Position number -> (image, row, column) of an image grid of `height` rows and `width` columns.
struct Position {
  int image, row, column;
  GRADLIB_DEVICE Position(unsigned int i, int height, int width) {
    column = i % (unsigned int)width;
    i /= (unsigned int)width;
    row = i % (unsigned int)height;
    image = i / (unsigned int)height;
  }
};

GRADLIB_DEVICE unsigned int position_of_thread() { return blockIdx.x * blockDim.y + threadIdx.y; }
GRADLIB_DEVICE int channel_of_thread() { return (blockIdx.y * blockDim.x + threadIdx.x) * VEC; }

// The windows along one axis that element `at` lies in, to be tested for dilation: first, first + 1, ..., last.
struct Windows {
  int first, last;
  GRADLIB_DEVICE Windows(int at, int padding, int kernel, int stride, int dilation, int count) {
    int reach = at + padding - (kernel - 1) * dilation;
    first = reach <= 0 ? 0 : ceil_div(reach, stride);
    last = smaller((at + padding) / stride, count - 1);
  }
};

// index: flat offset h * w of each maximum in its image, the first of equals; a NaN is the greatest.  It may be null.
extern "C" __global__ void __launch_bounds__(256, 1)
max_pool_forward(const T* __restrict__ x, T* __restrict__ y, int* __restrict__ index, int n, int h, int w, int c, int p,
                 int q, int kh, int kw, int sh, int sw, int ph, int pw, int dh, int dw) {
  unsigned int i = position_of_thread();
  int channel = channel_of_thread();
  if (i >= (unsigned int)n * p * q || channel >= c) return;
  Position at(i, p, q);
  x += (long long)at.image * h * w * c + channel;
  A best[VEC];
  Elements value;
  Indices where;
#pragma unroll
  for (int k = 0; k < VEC; ++k) where.at[k] = -1;
  for (int a = 0; a < kh; ++a) {
    int row = at.row * sh - ph + a * dh;
    if (row < 0 || row >= h) continue;
    for (int b = 0; b < kw; ++b) {
      int column = at.column * sw - pw + b * dw;
      if (column < 0 || column >= w) continue;
      int offset = row * w + column;
      Elements v = *(const Elements*)(x + (long long)offset * c);
#pragma unroll
      for (int k = 0; k < VEC; ++k) {
        A u = to_acc(v.at[k]);
        if (where.at[k] < 0 || u > best[k] || (u != u && best[k] == best[k])) {
          best[k] = u;
          value.at[k] = v.at[k];
          where.at[k] = offset;
        }
      }
    }
  }
#pragma unroll
  for (int k = 0; k < VEC; ++k) {
    if (where.at[k] < 0) value.at[k] = from_acc<T>(lowest<A>());  // a window wholly in the padding
  }
  *(Elements*)(y + (long long)i * c + channel) = value;
  if (index) *(Indices*)(index + (long long)i * c + channel) = where;
}

// dx[e] = sum of g over the windows whose maximum is e.
extern "C" __global__ void __launch_bounds__(256, 1)
max_pool_backward(const int* __restrict__ index, const T* __restrict__ g, T* __restrict__ dx, int n, int h, int w, int c,
                  int p, int q, int kh, int kw, int sh, int sw, int ph, int pw, int dh, int dw) {
  unsigned int i = position_of_thread();
  int channel = channel_of_thread();
  if (i >= (unsigned int)n * h * w || channel >= c) return;
  Position at(i, h, w);
  int offset = at.row * w + at.column;
  Windows down(at.row, ph, kh, sh, dh, p), across(at.column, pw, kw, sw, dw, q);
  A sum[VEC];
#pragma unroll
  for (int k = 0; k < VEC; ++k) sum[k] = A(0);
  for (int a = down.first; a <= down.last; ++a) {
    for (int b = across.first; b <= across.last; ++b) {
      long long window = (((long long)at.image * p + a) * q + b) * c + channel;
      Indices where = *(const Indices*)(index + window);
      Elements v = *(const Elements*)(g + window);
#pragma unroll
      for (int k = 0; k < VEC; ++k) sum[k] += where.at[k] == offset ? to_acc(v.at[k]) : A(0);
    }
  }
  Elements out;
#pragma unroll
  for (int k = 0; k < VEC; ++k) out.at[k] = from_acc<T>(sum[k]);
  *(Elements*)(dx + (long long)i * c + channel) = out;
}

// One window of average pooling along one axis: its elements inside the image, and its length up to the padded edge.
struct Extent {
  int begin, end, padded;
  GRADLIB_DEVICE Extent(int window, int size, int kernel, int stride, int padding) {
    begin = window * stride - padding;
    end = smaller(begin + kernel, size + padding);
    padded = end - begin;
    begin = larger(begin, 0);
    end = smaller(end, size);
  }
};

GRADLIB_DEVICE A divisor(const Extent& down, const Extent& across, int count_include_pad) {
  return count_include_pad ? A(down.padded * across.padded) : A((down.end - down.begin) * (across.end - across.begin));
}

extern "C" __global__ void __launch_bounds__(256, 1)
avg_pool_forward(const T* __restrict__ x, T* __restrict__ y, int n, int h, int w, int c, int p, int q, int kh, int kw,
                 int sh, int sw, int ph, int pw, int count_include_pad) {
  unsigned int i = position_of_thread();
  int channel = channel_of_thread();
  if (i >= (unsigned int)n * p * q || channel >= c) return;
  Position at(i, p, q);
  x += (long long)at.image * h * w * c + channel;
  Extent down(at.row, h, kh, sh, ph), across(at.column, w, kw, sw, pw);
  A sum[VEC];
#pragma unroll
  for (int k = 0; k < VEC; ++k) sum[k] = A(0);
  for (int row = down.begin; row < down.end; ++row) {
    for (int column = across.begin; column < across.end; ++column) {
      Elements v = *(const Elements*)(x + (long long)(row * w + column) * c);
#pragma unroll
      for (int k = 0; k < VEC; ++k) sum[k] += to_acc(v.at[k]);
    }
  }
  A count = divisor(down, across, count_include_pad);
  Elements out;
#pragma unroll
  for (int k = 0; k < VEC; ++k) out.at[k] = from_acc<T>(sum[k] / count);
  *(Elements*)(y + (long long)i * c + channel) = out;
}

// dx[e] = sum of g / divisor over the windows that e lies in.
extern "C" __global__ void __launch_bounds__(256, 1)
avg_pool_backward(const T* __restrict__ g, T* __restrict__ dx, int n, int h, int w, int c, int p, int q, int kh, int kw,
                  int sh, int sw, int ph, int pw, int count_include_pad) {
  unsigned int i = position_of_thread();
  int channel = channel_of_thread();
  if (i >= (unsigned int)n * h * w || channel >= c) return;
  Position at(i, h, w);
  Windows down(at.row, ph, kh, sh, 1, p), across(at.column, pw, kw, sw, 1, q);
  A sum[VEC];
#pragma unroll
  for (int k = 0; k < VEC; ++k) sum[k] = A(0);
  for (int a = down.first; a <= down.last; ++a) {
    for (int b = across.first; b <= across.last; ++b) {
      Elements v = *(const Elements*)(g + (((long long)at.image * p + a) * q + b) * c + channel);
      A count = divisor(Extent(a, h, kh, sh, ph), Extent(b, w, kw, sw, pw), count_include_pad);
#pragma unroll
      for (int k = 0; k < VEC; ++k) sum[k] += to_acc(v.at[k]) / count;
    }
  }
  Elements out;
#pragma unroll
  for (int k = 0; k < VEC; ++k) out.at[k] = from_acc<T>(sum[k]);
  *(Elements*)(dx + (long long)i * c + channel) = out;
}
