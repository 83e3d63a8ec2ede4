// The 2-d convolution y = act((x * w) scale + b + residual) and its gradients as implicit matrix products over one main
// loop (gemm.cuh), the activation's derivative dz = g act'(s) fused into the loads.  x: (batch, height, width, channels),
// w: (kernel_h, kernel_w, channels / groups, out_channels), b: (out_channels,),
// y, g, s, z: (batch, out_height, out_width, out_channels); all contiguous.
// scale: (out_channels,); residual: as y.
// s is what act' reads: the output y or the saved pre-activation z; null without an activation.
// The data gradient is also the transposed convolution, which b and DX_ACT follow.
// pad_h and pad_w are the rows and columns of zeros before the image; the sizes say what is behind it.
// flops: 2 * batch * out_height * out_width * out_channels * kernel_h * kernel_w * channels / groups
// variants: T=float,double,__half,__nv_bfloat16 ACT=none,relu,gelu
// variants: T=float,double BM=128 BN=32 ACT=relu
// variants: T=float,double BM=128 BN=16 TN=2 ACT=relu
// variants: T=float,double BM=128 BN=128 BK=8 TM=8 TN=8 ACT=gelu
// variants: T=float,double BM=128 BN=128 BK=8 TM=8 TN=8 DX_ACT=gelu
#ifndef T
#define T float
#endif
#ifndef DX_ACT
#define DX_ACT none
#endif

#include "gradlib/conv.cuh"
#include "gradlib/gemm.cuh"

using A = acc_t<T>;
using Gradient = ActivationGradient<T, act::ACT>;

// Grid: (tiles of (batch out_height out_width) x (out_channels / groups), 1, groups).
// b, scale and residual may be null; z is null unless the pre-activation is to be saved.
extern "C" __global__ void __launch_bounds__(gemm::THREADS, gemm::RESIDENT<T>)
conv2d_forward(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b, const T* __restrict__ scale,
               const T* __restrict__ residual, T* __restrict__ y, T* __restrict__ z,
               int batch, int height, int width, int channels,
               int out_height, int out_width, int out_channels, int kernel_h, int kernel_w, int stride_h, int stride_w,
               int pad_h, int pad_w, int dilation_h, int dilation_w, int groups) {
  const conv::Geometry at{height,   width,    channels, out_height, out_width,  out_channels, kernel_h, kernel_w,
                          stride_h, stride_w, pad_h,    pad_w,      dilation_h, dilation_w,   groups};
  const int in_group = at.in_group(), out_group = at.out_group(), first = blockIdx.z * out_group;
  gemm::product<A>(batch * out_height * out_width, out_group, 0, kernel_h * kernel_w * in_group,
                   conv::PatchRows<T>(x + blockIdx.z * in_group, at),
                   gemm::Matrix<T, false>{w + first, 1, out_channels},
                   BiasActivation<T, act::ACT>{b ? b + first : b, y + first, z ? z + first : z, out_channels,
                                              scale ? scale + first : scale, residual ? residual + first : residual});
}

// Grid: (tiles of (batch height width) x (channels / groups), 1, groups).
// dx = DX_ACT(gradient + b), b: (channels,) or null; z as in the forward pass.
extern "C" __global__ void __launch_bounds__(gemm::THREADS, gemm::RESIDENT<T>)
conv2d_dgrad(const T* __restrict__ g, const T* __restrict__ s, const T* __restrict__ w, const T* __restrict__ b,
             T* __restrict__ dx, T* __restrict__ z, int batch, int height, int width, int channels,
               int out_height, int out_width, int out_channels, int kernel_h, int kernel_w, int stride_h, int stride_w,
               int pad_h, int pad_w, int dilation_h, int dilation_w, int groups) {
  const conv::Geometry at{height,   width,    channels, out_height, out_width,  out_channels, kernel_h, kernel_w,
                          stride_h, stride_w, pad_h,    pad_w,      dilation_h, dilation_w,   groups};
  const int in_group = at.in_group(), out_group = at.out_group(), first = blockIdx.z * out_group;
  const int to = blockIdx.z * in_group;
  gemm::product<A>(batch * height * width, in_group, 0, kernel_h * kernel_w * out_group,
                   conv::GradientPatches<T, act::ACT>(Gradient{g + first, s ? s + first : s}, at),
                   conv::Filters<T>(w + first, at),
                   BiasActivation<T, act::DX_ACT>{b ? b + to : b, dx + to, z ? z + to : z, channels});
}

// Grid: (tiles of (kernel_h kernel_w channels / groups) x (out_channels / groups), 1, groups * splits); of each group
// block split sums `rows` of the batch * out_height * out_width places.
// One split writes dw; more write part (splits, kernel_h, kernel_w, channels / groups, out_channels).
extern "C" __global__ void __launch_bounds__(gemm::THREADS, gemm::RESIDENT<T>)
conv2d_wgrad(const T* __restrict__ x, const T* __restrict__ g, const T* __restrict__ s, T* __restrict__ dw,
             acc_t<T>* __restrict__ part, int batch, int height, int width, int channels,
               int out_height, int out_width, int out_channels, int kernel_h, int kernel_w, int stride_h, int stride_w,
               int pad_h, int pad_w, int dilation_h, int dilation_w, int groups,
             int rows) {
  const conv::Geometry at{height,   width,    channels, out_height, out_width,  out_channels, kernel_h, kernel_w,
                          stride_h, stride_w, pad_h,    pad_w,      dilation_h, dilation_w,   groups};
  const int in_group = at.in_group(), out_group = at.out_group(), taps = kernel_h * kernel_w * in_group;
  const int group = blockIdx.z % groups, split = blockIdx.z / groups, first = group * out_group;
  const int begin = split * rows, end = smaller(begin + rows, batch * out_height * out_width);
  gemm::product<A>(taps, out_group, begin, end, conv::PatchColumns<T>(x + group * in_group, at),
                   conv::GradientRows<T, act::ACT>{Gradient{g + first, s ? s + first : s}, out_channels},
                   SplitStore<T>{dw ? dw + first : dw, part + (long long)split * taps * out_channels + first,
                                 out_channels});
}
