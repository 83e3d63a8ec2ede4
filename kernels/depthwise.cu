// Depthwise 2-d convolution (one input channel a group): too little arithmetic for a matrix product, so every thread
// gathers its own element, neighbours in the channel.  Arrays and parameters as in conv2d.cu; channels == groups.
// flops: 2 * batch * out_height * out_width * out_channels * kernel_h * kernel_w * channels / groups
// variants: T=float,double,__half,__nv_bfloat16 ACT=none,relu,gelu
// variants: T=float DX_ACT=gelu
#ifndef T
#define T float
#endif
#ifndef DX_ACT
#define DX_ACT none
#endif

#include "gradlib/conv.cuh"

using A = acc_t<T>;
using Gradient = ActivationGradient<T, act::ACT>;

// Grid: blocks of one dimension, a thread an element of y.
extern "C" __global__ void __launch_bounds__(256, 3)
depthwise_forward(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b,
                  const T* __restrict__ scale, const T* __restrict__ residual, T* __restrict__ y, T* __restrict__ z,
                  int batch, int height, int width, int channels,
               int out_height, int out_width, int out_channels, int kernel_h, int kernel_w, int stride_h, int stride_w,
               int pad_h, int pad_w, int dilation_h, int dilation_w, int groups) {
  const long long count = (long long)batch * out_height * out_width * out_channels;
  const int per_group = out_channels / groups;
  for (long long i = global_index(); i < count; i += global_size()) {
    const int row = (int)(i / out_channels), channel = (int)(i - (long long)row * out_channels);
    const int line = row / out_width, q = row - line * out_width, n = line / out_height, p = line - n * out_height;
    const T* image = x + (long long)n * height * width * channels + channel / per_group;
    const int h0 = p * stride_h - pad_h, w0 = q * stride_w - pad_w;
    A sum = A(0);
    for (int r = 0; r < kernel_h; r++) {
      const int h = h0 + r * dilation_h;
      if ((unsigned int)h >= (unsigned int)height) continue;
      for (int s = 0; s < kernel_w; s++) {
        const int v = w0 + s * dilation_w;
        if ((unsigned int)v >= (unsigned int)width) continue;
        sum = mul_add<A>(to_acc(image[((long long)h * width + v) * channels]),
                         to_acc(w[(r * kernel_w + s) * out_channels + channel]), sum);
      }
    }
    BiasActivation<T, act::ACT>{b, y, z, out_channels, scale, residual}(row, channel, sum);
  }
}

// Grid: blocks of one dimension, a thread an element of dx.
extern "C" __global__ void __launch_bounds__(256, 3)
depthwise_dgrad(const T* __restrict__ g, const T* __restrict__ s, const T* __restrict__ w, const T* __restrict__ b,
                T* __restrict__ dx, T* __restrict__ z, int batch, int height, int width, int channels,
               int out_height, int out_width, int out_channels, int kernel_h, int kernel_w, int stride_h, int stride_w,
               int pad_h, int pad_w, int dilation_h, int dilation_w, int groups) {
  const long long count = (long long)batch * height * width * channels;
  const int per_group = out_channels / groups;
  const Gradient dz{g, s};
  for (long long i = global_index(); i < count; i += global_size()) {
    const int row = (int)(i / channels), channel = (int)(i - (long long)row * channels);
    const int line = row / width, v = row - line * width, n = line / height, h = line - n * height;
    A sum = A(0);
    for (int r = 0; r < kernel_h; r++) {
      const int up = h + pad_h - r * dilation_h, p = up / stride_h;
      if (up < 0 || p * stride_h != up || p >= out_height) continue;
      for (int t = 0; t < kernel_w; t++) {
        const int left = v + pad_w - t * dilation_w, q = left / stride_w;
        if (left < 0 || q * stride_w != left || q >= out_width) continue;
        const long long place = (((long long)n * out_height + p) * out_width + q) * out_channels;
        const T* tap = w + (long long)(r * kernel_w + t) * out_channels;
        for (int o = channel * per_group; o < (channel + 1) * per_group; o++)
          sum = mul_add<A>(dz(place + o), to_acc(tap[o]), sum);
      }
    }
    BiasActivation<T, act::DX_ACT>{b, dx, z, channels}(row, channel, sum);
  }
}

// Grid: (out_channels / 32, splits, kernel_h * kernel_w); block: (32, COLUMN_LANES).  Block y sums `rows` of the
// batch * out_height * out_width places.
// One split writes dw; more write part (splits, kernel_h, kernel_w, 1, out_channels).
extern "C" __global__ void __launch_bounds__(32 * COLUMN_LANES)
depthwise_wgrad(const T* __restrict__ x, const T* __restrict__ g, const T* __restrict__ s, T* __restrict__ dw,
               acc_t<T>* __restrict__ part, int batch, int height, int width, int channels,
               int out_height, int out_width, int out_channels, int kernel_h, int kernel_w, int stride_h, int stride_w,
               int pad_h, int pad_w, int dilation_h, int dilation_w, int groups,
               int rows) {
  const int per_group = out_channels / groups, begin = blockIdx.y * rows;
  const int r = blockIdx.z / kernel_w, t = blockIdx.z % kernel_w;
  const Gradient dz{g, s};
  const FastDiv image(out_height * out_width), line(out_width);
  const long long taps = (long long)kernel_h * kernel_w * out_channels, tap = (long long)blockIdx.z * out_channels;
  column_sum<A>(
      begin, smaller(begin + rows, batch * out_height * out_width), out_channels,
      [&](int row, int channel) {
        int place, q;
        const int n = image.split(row, place), p = line.split(place, q);
        const int h = p * stride_h - pad_h + r * dilation_h, v = q * stride_w - pad_w + t * dilation_w;
        if ((unsigned int)h >= (unsigned int)height || (unsigned int)v >= (unsigned int)width) return A(0);
        return to_acc(x[(((long long)n * height + h) * width + v) * channels + channel / per_group]) *
               dz((long long)row * out_channels + channel);
      },
      SplitStore<T>{dw ? dw + tap : dw, part + blockIdx.y * taps + tap, 0});
}
