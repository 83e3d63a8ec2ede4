// Batch normalisation (Ioffe and Szegedy 2015) of x (rows, channels): statistics of each channel over all rows.
//
// Column tiles: block (bx, by), powers of two, bx * by <= 256; threadIdx.x runs along the channels.
//   *_partial  grid (ceil(channels / bx), segments): one segment is `share` neighbouring rows
//   *_finish   grid (ceil(channels / bx)): folds the segments
//   the rest   grid (ceil(channels / bx), any number)
// Variances are stable: each thread takes 8 rows at a time in two passes and merges such groups (moments.cuh).
// PARAM is the type of weight, bias and running statistics; ACT is the activation that follows.
//
// variants: T=float,double,__half,__nv_bfloat16
// variants: T=__half,__nv_bfloat16 PARAM=float
// variants: T=float,double,__half,__nv_bfloat16 ACT=relu,gelu
// variants: T=float ACT=leaky_relu,relu6,elu,selu,sigmoid,tanh,silu,softplus,hardswish,mish
#include "gradlib/activation.cuh"
#include "gradlib/moments.cuh"
#include "gradlib/reduce.cuh"

#ifndef T
#define T float
#endif
#ifndef PARAM
#define PARAM T
#endif

using A = acc_t<T>;

GRADLIB_DEVICE int channel_of_thread() { return blockIdx.x * blockDim.x + threadIdx.x; }
GRADLIB_DEVICE int first_row() { return blockIdx.y * blockDim.y + threadIdx.y; }

// ---- forward ---------------------------------------------------------------------------------------------------------

// mean, m2 (segments, channels): the moments of each segment of rows.
extern "C" __global__ void __launch_bounds__(256, 1)
batch_norm_partial(const T* __restrict__ x, A* __restrict__ mean, A* __restrict__ m2, int rows, int channels, int share) {
  __shared__ Moments<A> shared[256];
  int channel = channel_of_thread(), begin = blockIdx.y * share, end = smaller(begin + share, rows);
  Moments<A> total = {A(0), A(0), A(0)};
  if (channel < channels) {
    x += channel;
    for (int row = begin + threadIdx.y; row < end; row += 8 * blockDim.y) {
      const int count = smaller(8, (int)ceil_div((unsigned int)(end - row), blockDim.y));
      auto get = [&](int u) { return to_acc(x[(long long)(row + u * (int)blockDim.y) * channels]); };
      total = Merge::combine(total, moments_of<A>(count, get));
    }
  }
  total = column_reduce<Merge>(total, shared);
  if (threadIdx.y == 0 && channel < channels) {
    mean[(long long)blockIdx.y * channels + channel] = total.mean;
    m2[(long long)blockIdx.y * channels + channel] = total.m2;
  }
}

// Folds the segments: the op's outputs mean_out, var_out (biased), and mean, rstd for the backward pass.
extern "C" __global__ void __launch_bounds__(256, 1)
batch_norm_finish(const A* __restrict__ part_mean, const A* __restrict__ part_m2, T* __restrict__ mean_out,
                  T* __restrict__ var_out, A* __restrict__ mean, A* __restrict__ rstd, int rows, int channels, int share,
                  int segments, double eps) {
  __shared__ Moments<A> shared[256];
  int channel = channel_of_thread();
  Moments<A> total = {A(0), A(0), A(0)};
  if (channel < channels) {
    for (int s = threadIdx.y; s < segments; s += blockDim.y) {
      long long at = (long long)s * channels + channel;
      total = Merge::combine(total, Moments<A>{A(smaller(share, rows - s * share)), part_mean[at], part_m2[at]});
    }
  }
  total = column_reduce<Merge>(total, shared);
  if (threadIdx.y == 0 && channel < channels) {
    A var = total.m2 / total.count;
    mean_out[channel] = from_acc<T>(total.mean);
    var_out[channel] = from_acc<T>(var);
    mean[channel] = total.mean;
    rstd[channel] = A(1) / fn::sqrt(var + A(eps));
  }
}

// Evaluation: mean and rstd from the running statistics.  block (256), grid (ceil(channels / 256)).
extern "C" __global__ void __launch_bounds__(256, 1)
batch_norm_running(const PARAM* __restrict__ running_mean, const PARAM* __restrict__ running_var, A* __restrict__ mean,
                   A* __restrict__ rstd, int channels, double eps) {
  int channel = channel_of_thread();
  if (channel >= channels) return;
  mean[channel] = A(to_acc(running_mean[channel]));
  rstd[channel] = A(1) / fn::sqrt(A(to_acc(running_var[channel])) + A(eps));
}

// A normalisation by running statistics as scale and shift, for what comes before it to take in: y = x scale + shift.
// block (256), grid (ceil(channels / 256)).
extern "C" __global__ void __launch_bounds__(256, 1)
batch_norm_fold(const PARAM* __restrict__ running_mean, const PARAM* __restrict__ running_var,
                const PARAM* __restrict__ weight, const PARAM* __restrict__ bias, T* __restrict__ scale,
                T* __restrict__ shift, int channels, double eps) {
  int channel = channel_of_thread();
  if (channel >= channels) return;
  A s = (weight ? A(to_acc(weight[channel])) : A(1)) / fn::sqrt(A(to_acc(running_var[channel])) + A(eps));
  scale[channel] = from_acc<T>(s);
  shift[channel] = from_acc<T>((bias ? A(to_acc(bias[channel])) : A(0)) - A(to_acc(running_mean[channel])) * s);
}

// y = f((x - mean) rstd weight + bias + residual); weight, bias and residual may be null, and so may z, which keeps what
// f is applied to.
extern "C" __global__ void __launch_bounds__(256, 1)
batch_norm_apply(const T* __restrict__ x, const A* __restrict__ mean, const A* __restrict__ rstd,
                 const PARAM* __restrict__ weight, const PARAM* __restrict__ bias, const T* __restrict__ residual,
                 T* __restrict__ y, T* __restrict__ z, int rows, int channels) {
  int channel = channel_of_thread();
  if (channel >= channels) return;
  A center = mean[channel], scale = rstd[channel] * (weight ? A(to_acc(weight[channel])) : A(1));
  A shift = bias ? A(to_acc(bias[channel])) : A(0);
#pragma unroll 4
  for (int row = first_row(); row < rows; row += gridDim.y * blockDim.y) {
    long long at = (long long)row * channels + channel;
    A u = (to_acc(x[at]) - center) * scale + shift;
    if (residual) u += to_acc(residual[at]);
    if (z) z[at] = from_acc<T>(u);
    y[at] = from_acc<T>(act::ACT::f(u));
  }
}

// ---- backward --------------------------------------------------------------------------------------------------------

struct Sums {
  A g, gx;  // sums of g and of g (x - mean) rstd
};
struct AddSums {
  static GRADLIB_DEVICE Sums combine(Sums a, Sums b) { return {a.g + b.g, a.gx + b.gx}; }
};

// part_g, part_gx (segments, channels): of the gradient before the activation, dz = g f'(s), which is the residual's; s
// is what f' reads, y or z.  dz may be null.
extern "C" __global__ void __launch_bounds__(256, 1)
batch_norm_backward_partial(const T* __restrict__ x, const T* __restrict__ g, const T* __restrict__ s,
                            const A* __restrict__ mean, const A* __restrict__ rstd, T* __restrict__ dz,
                            A* __restrict__ part_g, A* __restrict__ part_gx, int rows, int channels, int share) {
  __shared__ Sums shared[256];
  int channel = channel_of_thread();
  long long begin = (long long)blockIdx.y * share, end = smaller(begin + share, (long long)rows);
  Sums total = {A(0), A(0)};
  if (channel < channels) {
    A center = mean[channel], scale = rstd[channel];
    auto get = [&](long long row) {
      const long long at = row * channels + channel;
      A v = to_acc(g[at]);
      if constexpr (!act::ACT::is_identity) {
        v *= act::ACT::df(to_acc(s[at]));
        if (dz) dz[at] = from_acc<T>(v);
      }
      return Sums{v, v * (to_acc(x[at]) - center) * scale};
    };
    total = fold<AddSums>(get, total, begin + threadIdx.y, end, blockDim.y);
  }
  total = column_reduce<AddSums>(total, shared);
  if (threadIdx.y == 0 && channel < channels) {
    part_g[(long long)blockIdx.y * channels + channel] = total.g;
    part_gx[(long long)blockIdx.y * channels + channel] = total.gx;
  }
}

// Folds the segments: sum_g = dbias and sum_gx = dweight for batch_norm_backward_apply, and their rounded copies (and,
// in evaluation, the cotangents of the running statistics) where asked for.
extern "C" __global__ void __launch_bounds__(256, 1)
batch_norm_backward_finish(const A* __restrict__ part_g, const A* __restrict__ part_gx, const A* __restrict__ rstd,
                           const PARAM* __restrict__ weight, A* __restrict__ sum_g, A* __restrict__ sum_gx,
                           PARAM* __restrict__ dweight, PARAM* __restrict__ dbias, PARAM* __restrict__ dmean,
                           PARAM* __restrict__ dvar, int channels, int segments) {
  __shared__ Sums shared[256];
  int channel = channel_of_thread();
  Sums total = {A(0), A(0)};
  if (channel < channels) {
    auto get = [&](long long s) { return Sums{part_g[s * channels + channel], part_gx[s * channels + channel]}; };
    total = fold<AddSums>(get, total, threadIdx.y, segments, blockDim.y);
  }
  total = column_reduce<AddSums>(total, shared);
  if (threadIdx.y == 0 && channel < channels) {
    A r = rstd[channel], scale = r * (weight ? A(to_acc(weight[channel])) : A(1));
    sum_g[channel] = total.g;
    sum_gx[channel] = total.gx;
    if (dweight) dweight[channel] = from_acc<PARAM>(total.gx);
    if (dbias) dbias[channel] = from_acc<PARAM>(total.g);
    if (dmean) dmean[channel] = from_acc<PARAM>(-scale * total.g);
    if (dvar) dvar[channel] = from_acc<PARAM>(A(-0.5) * r * scale * total.gx);
  }
}

// dx = weight rstd (g - sum_g / rows - xhat sum_gx / rows) in training, weight rstd g in evaluation (g before the
// activation), plus what flows
// back through the outputs mean and var: g_mean / rows + 2 g_var (x - mean) / rows (both may be null).
extern "C" __global__ void __launch_bounds__(256, 1)
batch_norm_backward_apply(const T* __restrict__ x, const T* __restrict__ g, const A* __restrict__ mean,
                          const A* __restrict__ rstd, const PARAM* __restrict__ weight, const A* __restrict__ sum_g,
                          const A* __restrict__ sum_gx, const T* __restrict__ g_mean, const T* __restrict__ g_var,
                          T* __restrict__ dx, int rows, int channels, int training) {
  int channel = channel_of_thread();
  if (channel >= channels) return;
  A center = mean[channel], r = rstd[channel], scale = r * (weight ? A(to_acc(weight[channel])) : A(1));
  A constant = A(0), slope = A(0), share = A(1) / A(rows);  // dx = scale g + constant + slope (x - mean)
  if (training) {
    constant = -scale * sum_g[channel] * share;
    slope = -scale * r * sum_gx[channel] * share;
  }
  if (g_mean) constant += to_acc(g_mean[channel]) * share;
  if (g_var) slope += A(2) * to_acc(g_var[channel]) * share;
#pragma unroll 4
  for (int row = first_row(); row < rows; row += gridDim.y * blockDim.y) {
    long long at = (long long)row * channels + channel;
    dx[at] = from_acc<T>(scale * to_acc(g[at]) + constant + slope * (to_acc(x[at]) - center));
  }
}
