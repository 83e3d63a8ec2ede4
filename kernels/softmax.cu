// Softmax, log-softmax and softmax cross-entropy over the rows of a (rows, columns) matrix.
//
// Row kernels.  block (threads of a row, rows at a time), full warps a row, grid (ceil(rows / blockDim.y)); see
// rows.cuh. Softmax: PACKS packs of 16 bytes of a row stay in each thread's registers (threads * PACKS * 16 bytes hold
// a row), so a row is read once; PACKS=0 takes any row.  Cross-entropy never needs a value twice, and takes any row.
// One walk finds a row's maximum and sum of exp(x - maximum) together (Milakov and Gimelshein 2018).
//
// LOG=1 makes softmax_* the logarithm's.  TARGET is the type of the class numbers.
//
// variants: T=float,double,__half,__nv_bfloat16 PACKS=2
// variants: T=float,double,__half LOG=1
// variants: T=float,double LOG=1 PACKS=4
// variants: T=float,__half TARGET=int
#include "gradlib/rows.cuh"

#ifndef T
#define T float
#endif
#ifndef LOG
#define LOG 0
#endif
#ifndef PACKS
#define PACKS 0
#endif
#ifndef TARGET
#define TARGET long long
#endif

using A = acc_t<T>;
constexpr int N = PACK<T>;

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

// Takes a pack into the maximum and the sum: one rescaling of the sum a pack.
GRADLIB_DEVICE void take(MaxSum& v, const A (&x)[N], int have) {
  A max = v.max, sum = A(0);
#pragma unroll
  for (int k = 0; k < N; ++k) max = Greatest::combine(max, k < have ? x[k] : lowest<A>());
#pragma unroll
  for (int k = 0; k < N; ++k) sum += k < have ? shifted(x[k], max) : A(0);
  v = {max, v.sum * shifted(v.max, max) + sum};
}

GRADLIB_DEVICE long long row_of_thread() { return (long long)blockIdx.x * blockDim.y + threadIdx.y; }

extern "C" __global__ void __launch_bounds__(512, 1)
softmax_forward(const T* __restrict__ x, T* __restrict__ y, int rows, int columns) {
  __shared__ MaxSum shared[MOST_WARPS];
  const long long r = row_of_thread();
  if (r >= rows) return;  // whole groups leave
  Row<T, PACKS> row(x + r * columns, columns);
  y += r * columns;
  MaxSum v = {lowest<A>(), A(0)};
  row.each([&](int, int, int have, const A (&x)[N]) { take(v, x, have); });
  v = group_reduce<Online>(v, shared);
  const A lse = v.max + fn::log(v.sum);
  const bool wide = aligned_pack<N>(y);
  row.each([&](int, int i, int have, const A (&x)[N]) {
    A out[N];
#pragma unroll
    for (int k = 0; k < N; ++k) out[k] = LOG ? x[k] - lse : fn::exp(x[k] - lse);
    store_pack<N>(y, i, have, wide && have == N, out);
  });
}

// From the output y and its cotangent g: dx = y (g - sum(g y)), or g - exp(y) sum(g) for the logarithm.
extern "C" __global__ void __launch_bounds__(512, 1)
softmax_backward(const T* __restrict__ y, const T* __restrict__ g, T* __restrict__ dx, int rows, int columns) {
  __shared__ A shared[MOST_WARPS];
  const long long r = row_of_thread();
  if (r >= rows) return;
  Row<T, PACKS> row(y + r * columns, columns), up(g + r * columns, columns);
  dx += r * columns;
  auto both = [&](const auto& f) {
    row.each([&](int u, int i, int have, const A (&v)[N]) {
      if (PACKS == 0) load_pack<N>(up.at, i, have, up.wide && have == N, up.held[0]);
      f(i, have, v, up.held[u]);
    });
  };
  A sum = A(0);
  both([&](int, int, const A (&v)[N], const A (&d)[N]) {
    A part = A(0);
#pragma unroll
    for (int k = 0; k < N; ++k) part += LOG ? d[k] : d[k] * v[k];
    sum += part;
  });
  sum = group_reduce<Add>(sum, shared);
  const bool wide = aligned_pack<N>(dx);
  both([&](int i, int have, const A (&v)[N], const A (&d)[N]) {
    A out[N];
#pragma unroll
    for (int k = 0; k < N; ++k) out[k] = LOG ? d[k] - fn::exp(v[k]) * sum : v[k] * (d[k] - sum);
    store_pack<N>(dx, i, have, wide && have == N, out);
  });
}

// loss[row] = lse - (1 - smoothing) x[target] - smoothing mean(x), and lse for the backward pass; 0 where the target is
// `ignore_index`, NaN where it is no class at all (nothing outside the row is read).
extern "C" __global__ void __launch_bounds__(512, 1)
cross_entropy_forward(const T* __restrict__ x, const TARGET* __restrict__ target, A* __restrict__ loss,
                      A* __restrict__ lse, int rows, int classes, long long ignore_index, double smoothing) {
  __shared__ MaxSum shared[MOST_WARPS];
  __shared__ A shared_sum[MOST_WARPS];
  const long long r = row_of_thread();
  if (r >= rows) return;
  x += r * classes;
  Row<T, 0> row(x, classes);
  MaxSum v = {lowest<A>(), A(0)};
  A plain = A(0);
  row.each([&](int, int, int have, const A (&x)[N]) {
    take(v, x, have);
    A part = A(0);
#pragma unroll
    for (int k = 0; k < N; ++k) part += x[k];
    plain += part;
  });
  v = group_reduce<Online>(v, shared);
  const A log_sum = v.max + fn::log(v.sum);
  A smooth = A(0);
  if (smoothing > 0) smooth = A(smoothing) * (group_reduce<Add>(plain, shared_sum) / A(classes));
  if (threadIdx.x == 0) {
    const long long k = target[r];
    A value = A(0);
    if (k != ignore_index) {
      value = highest<A>() - highest<A>();
      if (k >= 0 && k < classes) value = log_sum - A(1.0 - smoothing) * to_acc(x[k]) - smooth;
    }
    loss[r] = value;
    lse[r] = log_sum;
  }
}

// dx = (softmax(x) - (1 - smoothing) onehot - smoothing / classes) g, with g one number a row (g_stride 1) or one for
// all (g_stride 0), divided by `count` (the mean's) if there is one.  Ignored rows get 0.
extern "C" __global__ void __launch_bounds__(512, 1)
cross_entropy_backward(const T* __restrict__ x, const TARGET* __restrict__ target, const A* __restrict__ lse,
                       const T* __restrict__ g, const A* __restrict__ count, T* __restrict__ dx, int rows, int classes,
                       long long ignore_index, double smoothing, int g_stride) {
  const long long r = row_of_thread();
  if (r >= rows) return;
  Row<T, 0> row(x + r * classes, classes);
  dx += r * classes;
  const long long target_class = target[r];
  const bool ignored = target_class == ignore_index, wide = aligned_pack<N>(dx);
  A scale = to_acc(g[r * g_stride]), off = A(smoothing / classes), on = A(1.0 - smoothing) + off;
  const A log_sum = lse[r];
  if (count) scale /= *count;
  if (target_class < 0 || target_class >= classes) scale = highest<A>() - highest<A>();
  row.each([&](int, int i, int have, const A (&v)[N]) {
    A out[N];
#pragma unroll
    for (int k = 0; k < N; ++k) {
      out[k] = ignored ? A(0) : (fn::exp(v[k] - log_sum) - (i + k == target_class ? on : off)) * scale;
    }
    store_pack<N>(dx, i, have, wide && have == N, out);
  });
}

// Sums the rows' losses and counts the rows that are not ignored, one pair a block.  block (256), grid (blocks).
extern "C" __global__ void __launch_bounds__(256, 1)
cross_entropy_partial(const A* __restrict__ loss, const TARGET* __restrict__ target, A* __restrict__ sums,
                      A* __restrict__ counts, int rows, long long ignore_index) {
  __shared__ A shared[32];
  A sum = fold<Add>([&](long long i) { return loss[i]; }, A(0), global_index(), rows, global_size());
  auto counts_row = [&](long long i) { return A(target[i] != ignore_index); };
  A count = fold<Add>(counts_row, A(0), global_index(), rows, global_size());
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
