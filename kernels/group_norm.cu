// Group normalisation (Wu, He 2018) of x (batch, rows, channels): statistics of each example over its rows and the
// channels of a group; with as many groups as channels, instance normalisation.
//
// Column tiles: block (bx, by), powers of two, bx * by <= 256; threadIdx.x runs along the channels.
//   *_partial  grid (ceil(channels / bx), segments, batch): one segment is `share` neighbouring rows
//   *_finish   block (1, 256), grid (groups, batch): folds the segments and the channels of a group
//   *_apply    grid (ceil(channels / bx), any number, batch)
// Parts are (batch, segments, channels); mean, rstd and the sums (batch, groups).
// PARAM is the type of weight and bias.
//
// variants: T=float,double,__half,__nv_bfloat16
// variants: T=__half,__nv_bfloat16 PARAM=float
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
GRADLIB_DEVICE long long example(int rows, int channels) { return (long long)blockIdx.z * rows * channels; }
GRADLIB_DEVICE A param(const PARAM* p, int channel, A missing) { return p ? A(to_acc(p[channel])) : missing; }

// Where the part of this block's example and segment begins.
GRADLIB_DEVICE long long part_line(int channels) { return ((long long)blockIdx.z * gridDim.y + blockIdx.y) * channels; }

// Element i of a group's parts: (segment, channel within the group).
struct Parts {
  long long begin;  // of this example and group
  int channels, width;
  GRADLIB_DEVICE Parts(int all, int groups, int segments)
      : begin((long long)blockIdx.y * segments * all + blockIdx.x * (all / groups)),
        channels(all), width(all / groups) {}
  GRADLIB_DEVICE int channel(long long i) const { return (int)(i % width); }
  GRADLIB_DEVICE long long at(long long i) const { return begin + i / width * channels + i % width; }
};

// ---- forward -------------------------------------------------------------------------------------------------------

extern "C" __global__ void __launch_bounds__(256, 1)
group_norm_partial(const T* __restrict__ x, A* __restrict__ mean, A* __restrict__ m2, int rows, int channels,
                   int share) {
  __shared__ Moments<A> shared[256];
  const int channel = channel_of_thread(), begin = blockIdx.y * share, end = smaller(begin + share, rows);
  Moments<A> total = {A(0), A(0), A(0)};
  if (channel < channels) {
    x += example(rows, channels) + channel;
    for (int row = begin + threadIdx.y; row < end; row += 8 * blockDim.y) {
      const int count = smaller(8, (int)ceil_div((unsigned int)(end - row), blockDim.y));
      auto get = [&](int u) { return to_acc(x[(long long)(row + u * (int)blockDim.y) * channels]); };
      total = Merge::combine(total, moments_of<A>(count, get));
    }
  }
  total = column_reduce<Merge>(total, shared);
  if (threadIdx.y == 0 && channel < channels) {
    mean[part_line(channels) + channel] = total.mean;
    m2[part_line(channels) + channel] = total.m2;
  }
}

extern "C" __global__ void __launch_bounds__(256, 1)
group_norm_finish(const A* __restrict__ part_mean, const A* __restrict__ part_m2, A* __restrict__ mean,
                  A* __restrict__ rstd, int rows, int channels, int groups, int share, int segments, double eps) {
  __shared__ Moments<A> shared[256];
  const Parts parts(channels, groups, segments);
  Moments<A> total = {A(0), A(0), A(0)};
  for (long long i = threadIdx.y; i < (long long)segments * parts.width; i += 256) {
    const int segment = (int)(i / parts.width);
    const A count = A(smaller(share, rows - segment * share));
    total = Merge::combine(total, Moments<A>{count, part_mean[parts.at(i)], part_m2[parts.at(i)]});
  }
  total = column_reduce<Merge>(total, shared);
  if (threadIdx.y == 0) {
    mean[blockIdx.y * groups + blockIdx.x] = total.mean;
    rstd[blockIdx.y * groups + blockIdx.x] = A(1) / fn::sqrt(total.m2 / total.count + A(eps));
  }
}

// y = (x - mean) rstd weight + bias; weight and bias may be null.
extern "C" __global__ void __launch_bounds__(256, 1)
group_norm_apply(const T* __restrict__ x, const A* __restrict__ mean, const A* __restrict__ rstd,
                 const PARAM* __restrict__ weight, const PARAM* __restrict__ bias, T* __restrict__ y, int rows,
                 int channels, int groups) {
  const int channel = channel_of_thread();
  if (channel >= channels) return;
  const int group = blockIdx.z * groups + channel / (channels / groups);
  const A center = mean[group], scale = rstd[group] * param(weight, channel, A(1)), shift = param(bias, channel, A(0));
  x += example(rows, channels) + channel;
  y += example(rows, channels) + channel;
#pragma unroll 4
  for (int row = first_row(); row < rows; row += gridDim.y * blockDim.y) {
    const long long at = (long long)row * channels;
    y[at] = from_acc<T>((to_acc(x[at]) - center) * scale + shift);
  }
}

// ---- backward ------------------------------------------------------------------------------------------------------

struct Sums {
  A g, gx;  // sums of g and of g (x - mean) rstd
};
GRADLIB_DEVICE Sums shuffle_xor(Sums v, int mask) { return {shuffle_xor(v.g, mask), shuffle_xor(v.gx, mask)}; }
struct AddSums {
  static GRADLIB_DEVICE Sums combine(Sums a, Sums b) { return {a.g + b.g, a.gx + b.gx}; }
};

extern "C" __global__ void __launch_bounds__(256, 1)
group_norm_backward_partial(const T* __restrict__ x, const T* __restrict__ g, const A* __restrict__ mean,
                            const A* __restrict__ rstd, A* __restrict__ part_g, A* __restrict__ part_gx, int rows,
                            int channels, int groups, int share) {
  __shared__ Sums shared[256];
  const int channel = channel_of_thread();
  const long long begin = (long long)blockIdx.y * share, end = smaller(begin + share, (long long)rows);
  Sums total = {A(0), A(0)};
  if (channel < channels) {
    const int group = blockIdx.z * groups + channel / (channels / groups);
    const A center = mean[group], scale = rstd[group];
    x += example(rows, channels) + channel;
    g += example(rows, channels) + channel;
    auto get = [&](long long row) {
      const A v = to_acc(g[row * channels]);
      return Sums{v, v * (to_acc(x[row * channels]) - center) * scale};
    };
    total = fold<AddSums>(get, total, begin + threadIdx.y, end, blockDim.y);
  }
  total = column_reduce<AddSums>(total, shared);
  if (threadIdx.y == 0 && channel < channels) {
    part_g[part_line(channels) + channel] = total.g;
    part_gx[part_line(channels) + channel] = total.gx;
  }
}

// sum_g, sum_gx (batch, groups): sums over the channels of a group of weight times their sums.
extern "C" __global__ void __launch_bounds__(256, 1)
group_norm_backward_finish(const A* __restrict__ part_g, const A* __restrict__ part_gx,
                           const PARAM* __restrict__ weight, A* __restrict__ sum_g, A* __restrict__ sum_gx,
                           int channels, int groups, int segments) {
  __shared__ Sums shared[256];
  const Parts parts(channels, groups, segments);
  auto get = [&](long long i) {
    const A w = param(weight, blockIdx.x * parts.width + parts.channel(i), A(1));
    return Sums{w * part_g[parts.at(i)], w * part_gx[parts.at(i)]};
  };
  Sums total = fold<AddSums>(get, Sums{A(0), A(0)}, threadIdx.y, (long long)segments * parts.width, 256);
  total = column_reduce<AddSums>(total, shared);
  if (threadIdx.y == 0) {
    sum_g[blockIdx.y * groups + blockIdx.x] = total.g;
    sum_gx[blockIdx.y * groups + blockIdx.x] = total.gx;
  }
}

// dweight and dbias: sums over all `lines` = batch * segments lines of the parts; one that is null is not wanted.
// grid (ceil(channels / bx)).
extern "C" __global__ void __launch_bounds__(256, 1)
group_norm_weights(const A* __restrict__ part_g, const A* __restrict__ part_gx, PARAM* __restrict__ dweight,
                   PARAM* __restrict__ dbias, int channels, int lines) {
  __shared__ Sums shared[256];
  const int channel = channel_of_thread();
  Sums total = {A(0), A(0)};
  if (channel < channels) {
    auto get = [&](long long i) { return Sums{part_g[i * channels + channel], part_gx[i * channels + channel]}; };
    total = fold<AddSums>(get, total, threadIdx.y, lines, blockDim.y);
  }
  total = column_reduce<AddSums>(total, shared);
  if (threadIdx.y == 0 && channel < channels) {
    if (dweight) dweight[channel] = from_acc<PARAM>(acc_t<PARAM>(total.gx));
    if (dbias) dbias[channel] = from_acc<PARAM>(acc_t<PARAM>(total.g));
  }
}

// dx = rstd (weight g - sum_g / n - xhat sum_gx / n), n the elements of a group.
extern "C" __global__ void __launch_bounds__(256, 1)
group_norm_backward_apply(const T* __restrict__ x, const T* __restrict__ g, const A* __restrict__ mean,
                          const A* __restrict__ rstd, const PARAM* __restrict__ weight, const A* __restrict__ sum_g,
                          const A* __restrict__ sum_gx, T* __restrict__ dx, int rows, int channels, int groups) {
  const int channel = channel_of_thread();
  if (channel >= channels) return;
  const int width = channels / groups, group = blockIdx.z * groups + channel / width;
  const A center = mean[group], r = rstd[group], scale = r * param(weight, channel, A(1));
  const A part = r / (A(rows) * A(width)), constant = -sum_g[group] * part, slope = -r * sum_gx[group] * part;
  x += example(rows, channels) + channel;
  g += example(rows, channels) + channel;
  dx += example(rows, channels) + channel;
#pragma unroll 4
  for (int row = first_row(); row < rows; row += gridDim.y * blockDim.y) {
    const long long at = (long long)row * channels;
    dx[at] = from_acc<T>(scale * to_acc(g[at]) + constant + slope * (to_acc(x[at]) - center));
  }
}
