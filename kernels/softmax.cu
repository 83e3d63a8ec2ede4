// Softmax, log-softmax and softmax cross-entropy over the rows of a (rows, columns) matrix.
//
// Row kernels.  block (32, rows per block): a warp a row; or (32 w, 1), w <= 16: a block a row.
//               grid (ceil(rows / blockDim.y)).
// One pass finds a row's maximum and sum of exp(x - maximum) together (Milakov and Gimelshein 2018), so the row is read
// once for that and once more, from the cache, for what is written.
//
// LOG=1 makes softmax_* the logarithm's.  TARGET is the type of the class numbers.
//
// variants: T=float,double,__half,__nv_bfloat16 LOG=0,1
// variants: T=float,__half TARGET=int
#include "gradlib/reduce.cuh"

#ifndef T
#define T float
#endif
#ifndef LOG
#define LOG 0
#endif
#ifndef TARGET
#define TARGET long long
#endif

using A = acc_t<T>;

struct MaxSum {
  A max, sum;  // sum of exp(x - max)
};
GRADLIB_DEVICE MaxSum shuffle_xor(MaxSum v, int mask) { return {shuffle_xor(v.max, mask), shuffle_xor(v.sum, mask)}; }

// exp(x - max), 0 where x is -infinity, even if the maximum is too.
GRADLIB_DEVICE A shifted(A x, A max) { return x == lowest<A>() ? A(0) : fn::exp(x - max); }

struct Online {
  static GRADLIB_DEVICE MaxSum combine(MaxSum a, MaxSum b) {
    A max = Greatest::combine(a.max, b.max);
    return {max, a.sum * shifted(a.max, max) + b.sum * shifted(b.max, max)};
  }
};

// log(sum(exp(row))), the same in every thread of the row.
GRADLIB_DEVICE A log_sum_exp(const T* row, int columns, MaxSum* shared) {
  MaxSum v = {lowest<A>(), A(0)};
  for (int j = threadIdx.x; j < columns; j += 4 * blockDim.x) {  // groups of four: one rescaling of the sum a group
    A x[4];
#pragma unroll
    for (int u = 0; u < 4; ++u) {
      int column = j + u * blockDim.x;
      x[u] = column < columns ? to_acc(row[column]) : lowest<A>();
    }
    A max = Greatest::combine(v.max, Greatest::combine(Greatest::combine(x[0], x[1]), Greatest::combine(x[2], x[3])));
    A sum = (shifted(x[0], max) + shifted(x[1], max)) + (shifted(x[2], max) + shifted(x[3], max));
    v = {max, v.sum * shifted(v.max, max) + sum};
  }
  v = row_reduce<Online>(v, shared);
  return v.max + fn::log(v.sum);
}

GRADLIB_DEVICE long long row_of_thread() { return (long long)blockIdx.x * blockDim.y + threadIdx.y; }

extern "C" __global__ void __launch_bounds__(512, 1)
softmax_forward(const T* __restrict__ x, T* __restrict__ y, int rows, int columns) {
  __shared__ MaxSum shared[32];
  long long row = row_of_thread();
  if (row >= rows) return;  // whole warps leave; a block that owns one row never does
  x += row * columns;
  y += row * columns;
  A lse = log_sum_exp(x, columns, shared);
  for (int j = threadIdx.x; j < columns; j += blockDim.x) {
    A v = to_acc(x[j]) - lse;
    y[j] = from_acc<T>(LOG ? v : fn::exp(v));
  }
}

// From the output y and its cotangent g: dx = y (g - sum(g y)), or g - exp(y) sum(g) for the logarithm.
extern "C" __global__ void __launch_bounds__(512, 1)
softmax_backward(const T* __restrict__ y, const T* __restrict__ g, T* __restrict__ dx, int rows, int columns) {
  __shared__ A shared[32];
  long long row = row_of_thread();
  if (row >= rows) return;
  y += row * columns;
  g += row * columns;
  dx += row * columns;
  A sum = A(0);
  for (int j = threadIdx.x; j < columns; j += blockDim.x) sum += LOG ? to_acc(g[j]) : to_acc(g[j]) * to_acc(y[j]);
  sum = row_reduce<Add>(sum, shared);
  for (int j = threadIdx.x; j < columns; j += blockDim.x) {
    A v = to_acc(y[j]);
    dx[j] = from_acc<T>(LOG ? to_acc(g[j]) - fn::exp(v) * sum : v * (to_acc(g[j]) - sum));
  }
}

// loss[row] = lse - (1 - smoothing) x[target] - smoothing mean(x), and lse for the backward pass; 0 where the target is
// `ignore_index`, NaN where it is no class at all (nothing outside the row is read).
extern "C" __global__ void __launch_bounds__(512, 1)
cross_entropy_forward(const T* __restrict__ x, const TARGET* __restrict__ target, A* __restrict__ loss, A* __restrict__ lse,
                      int rows, int classes, long long ignore_index, double smoothing) {
  __shared__ MaxSum shared[32];
  __shared__ A shared_sum[32];
  long long row = row_of_thread();
  if (row >= rows) return;
  x += row * classes;
  A log_sum = log_sum_exp(x, classes, shared);
  A smooth = A(0);
  if (smoothing > 0) {
    for (int j = threadIdx.x; j < classes; j += blockDim.x) smooth += to_acc(x[j]);
    smooth = A(smoothing) * (row_reduce<Add>(smooth, shared_sum) / A(classes));
  }
  if (threadIdx.x == 0) {
    long long k = target[row];
    A value = A(0);
    if (k != ignore_index) {
      value = k >= 0 && k < classes ? log_sum - A(1.0 - smoothing) * to_acc(x[k]) - smooth : highest<A>() - highest<A>();
    }
    loss[row] = value;
    lse[row] = log_sum;
  }
}

// dx = (softmax(x) - (1 - smoothing) onehot - smoothing / classes) g, with g one number a row (g_stride 1) or one for all
// (g_stride 0), divided by `count` (the mean's) if there is one.  Ignored rows get 0.
extern "C" __global__ void __launch_bounds__(512, 1)
cross_entropy_backward(const T* __restrict__ x, const TARGET* __restrict__ target, const A* __restrict__ lse,
                       const T* __restrict__ g, const A* __restrict__ count, T* __restrict__ dx, int rows, int classes,
                       long long ignore_index, double smoothing, int g_stride) {
  long long row = row_of_thread();
  if (row >= rows) return;
  x += row * classes;
  dx += row * classes;
  long long k = target[row];
  if (k == ignore_index) {
    for (int j = threadIdx.x; j < classes; j += blockDim.x) dx[j] = from_acc<T>(A(0));
    return;
  }
  A scale = to_acc(g[row * g_stride]), log_sum = lse[row], off = A(smoothing / classes), on = A(1.0 - smoothing) + off;
  if (count) scale /= *count;
  if (k < 0 || k >= classes) scale = highest<A>() - highest<A>();
  for (int j = threadIdx.x; j < classes; j += blockDim.x) {
    dx[j] = from_acc<T>((fn::exp(to_acc(x[j]) - log_sum) - (j == k ? on : off)) * scale);
  }
}

// Sums the rows' losses and counts the rows that are not ignored, one pair a block.  block (256), grid (blocks).
extern "C" __global__ void __launch_bounds__(256, 1)
cross_entropy_partial(const A* __restrict__ loss, const TARGET* __restrict__ target, A* __restrict__ sums,
                      A* __restrict__ counts, int rows, long long ignore_index) {
  __shared__ A shared[32];
  A sum = fold<Add>([&](long long i) { return loss[i]; }, A(0), global_index(), rows, global_size());
  A count = fold<Add>([&](long long i) { return A(target[i] != ignore_index); }, A(0), global_index(), rows, global_size());
  sum = row_reduce<Add>(sum, shared);
  count = row_reduce<Add>(count, shared);
  if (threadIdx.x == 0) {
    sums[blockIdx.x] = sum;
    counts[blockIdx.x] = count;
  }
}

// y = the sum of `sums`, divided by that of `counts` for the mean; `count` keeps the divisor.  One block of 256.
extern "C" __global__ void __launch_bounds__(256, 1)
cross_entropy_finish(const A* __restrict__ sums, const A* __restrict__ counts, T* __restrict__ y, A* __restrict__ count,
                     int blocks, int mean) {
  __shared__ A shared[32];
  A sum = A(0), rows = A(0);
  for (int i = threadIdx.x; i < blocks; i += blockDim.x) {
    sum += sums[i];
    rows += counts[i];
  }
  sum = row_reduce<Add>(sum, shared);
  rows = row_reduce<Add>(rows, shared);
  if (threadIdx.x == 0) {
    y[0] = from_acc<T>(mean ? sum / rows : sum);
    count[0] = mean ? rows : A(1);
  }
}
