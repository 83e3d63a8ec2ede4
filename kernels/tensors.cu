// What is done to all gradients, or all weights, of a model at once: their norm, clipping by norm or value, averaging.
// The table of tensors is that of update.cuh; what its lines hold is said at each kernel.
//
// variants: T=float,double,__half,__nv_bfloat16
// variants: T=float,__half,__nv_bfloat16 TOTAL=double
#include "gradlib/reduce.cuh"
#include "gradlib/update.cuh"

#ifndef TOTAL
#define TOTAL acc_t<T>
#endif

// ---- the norm ------------------------------------------------------------------------------------------------------

GRADLIB_DEVICE float power(float x, float p) { return powf(x, p); }
GRADLIB_DEVICE double power(double x, double p) { return pow(x, p); }

struct Square {
  GRADLIB_DEVICE A operator()(A x) const { return x * x; }
};
struct Absolute {
  GRADLIB_DEVICE A operator()(A x) const { return fn::fabs(x); }
};
struct Power {
  A p;
  GRADLIB_DEVICE A operator()(A x) const { return power(fn::fabs(x), p); }
};

// Combines map(x) over the elements of this thread: a pack's in the accumulator's type, packs in double.
template <class F, class Map>
GRADLIB_DEVICE double fold_tensors(const Word* arrays, const int* chunks, int count, long long share, const Map& map) {
  constexpr int N = PACK<T>;
  double total = 0.0;
  for (int c = blockIdx.x; c < count; c += gridDim.x) {
    const Word* line = arrays + 2 * (long long)chunks[2 * c];
    const T* x = (const T*)line[1];
    const bool wide = aligned_pack<N>(x);
    const long long begin = chunks[2 * c + 1] * share, end = smaller(begin + share, (long long)line[0]);
#pragma unroll 4
    for (long long i = begin + (int)threadIdx.x * N; i < end; i += (int)blockDim.x * N) {
      A v[N];
      const int have = (int)smaller(end - i, (long long)N);
      load_pack<N>(x, i, have, wide && have == N, v);  // what is missing is 0, and adds nothing
      A all = map(v[0]);
#pragma unroll
      for (int k = 1; k < N; ++k) all = F::combine(all, map(v[k]));
      total = F::combine(total, (double)all);
    }
  }
  return total;
}

// part[block] = sum of |x|^p, or the largest |x| for an infinite p.  Lines: x.
extern "C" __global__ void __launch_bounds__(256, 1)
norm_partial(const Word* __restrict__ arrays, const int* __restrict__ chunks, double* __restrict__ part, int count,
             long long share, double p) {
  __shared__ double shared[32];
  double v;
  if (p == highest<double>()) {
    v = row_reduce<Greatest>(fold_tensors<Greatest>(arrays, chunks, count, share, Absolute{}), shared);
  } else {
    if (p == 2.0) v = fold_tensors<Add>(arrays, chunks, count, share, Square{});
    else if (p == 1.0) v = fold_tensors<Add>(arrays, chunks, count, share, Absolute{});
    else v = fold_tensors<Add>(arrays, chunks, count, share, Power{A(p)});
    v = row_reduce<Add>(v, shared);
  }
  if (threadIdx.x == 0) part[blockIdx.x] = v;
}

// total = (sum of the parts)^(1/p), or their maximum.  One block of 256.
extern "C" __global__ void __launch_bounds__(256, 1)
norm_finish(const double* __restrict__ part, TOTAL* __restrict__ total, int parts, double p) {
  __shared__ double shared[32];
  double v = 0.0;
  if (p == highest<double>()) {
    for (int i = threadIdx.x; i < parts; i += blockDim.x) v = Greatest::combine(v, part[i]);
    v = row_reduce<Greatest>(v, shared);
  } else {
    for (int i = threadIdx.x; i < parts; i += blockDim.x) v += part[i];
    v = row_reduce<Add>(v, shared);
    v = p == 2.0 ? sqrt(v) : p == 1.0 ? v : pow(v, 1.0 / p);
  }
  if (threadIdx.x == 0) *total = TOTAL(v);
}

// ---- elementwise, from x to y --------------------------------------------------------------------------------------

struct Scale {
  A factor;
  GRADLIB_DEVICE void operator()(A& y, A x, A (&)[1]) const { y = factor * x; }
};

// y = x min(1, max_norm / (total + 1e-6)).  Lines: y, x.
extern "C" __global__ void __launch_bounds__(256, 1)
scale_to_norm(const Word* __restrict__ arrays, const int* __restrict__ chunks, const TOTAL* __restrict__ total,
              int count, long long share, double max_norm) {
  const TOTAL ratio = TOTAL(max_norm) / (*total + TOTAL(1e-6));
  const Scale rule = {A(ratio > TOTAL(1) ? TOTAL(1) : ratio)};
  for (int c = blockIdx.x; c < count; c += gridDim.x) {
    const Line<0, 0> line(arrays, chunks[2 * c]);
    const long long begin = chunks[2 * c + 1] * share;
    update_range<false>(line.param(), line.grad(), line, begin, smaller(begin + share, line.size()), rule);
  }
}

struct Clamp {
  A bound;
  GRADLIB_DEVICE void operator()(A& y, A x, A (&)[1]) const { y = x > bound ? bound : x < -bound ? -bound : x; }
};

// y = min(max(x, -bound), bound).  Lines: y, x.
extern "C" __global__ void __launch_bounds__(256, 1)
clamp(const Word* __restrict__ arrays, const int* __restrict__ chunks, int count, long long share, double bound) {
  for (int c = blockIdx.x; c < count; c += gridDim.x) {
    const Line<0, 0> line(arrays, chunks[2 * c]);
    const long long begin = chunks[2 * c + 1] * share;
    update_range<false>(line.param(), line.grad(), line, begin, smaller(begin + share, line.size()), Clamp{A(bound)});
  }
}

struct Average {
  A share;
  GRADLIB_DEVICE void operator()(A& average, A value, A (&)[1]) const { average += share * (value - average); }
};

// average <- average + (1 - decay) (value - average).  Lines: average, value.
extern "C" __global__ void __launch_bounds__(256, 1)
move_average(const Word* __restrict__ arrays, const int* __restrict__ chunks, int count, long long share,
             double decay) {
  update_all<0>(arrays, chunks, count, share, Average{A(1.0 - decay)});
}
