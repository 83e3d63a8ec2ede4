// The transpose of picking by an index array: y[o, i, k] = sum of x[o, r, k] over the places r with index[r] == i.
//
// The places come sorted by index: sorted[p] is the p-th smallest index, order[p] where it stood; equal ones keep their
// order.  Each run of equal indices is added by one thread per (o, k), in a fixed tree: the same bits every time, and
// no atomics.  y is zero on entry; x is (outer, count, inner), y (outer, size, inner).
// grid-stride over outer * count * inner threads, one-dimensional blocks.
//
// variants: T=float,double,__half,__nv_bfloat16,int,long long,unsigned char,bool
#include "gradlib/reduce.cuh"

#ifndef T
#define T float
#endif

struct Run {
  const T* x;
  const long long* order;
  long long inner;
  GRADLIB_DEVICE acc_t<T> operator()(long long p) const { return to_acc(x[order[p] * inner]); }
};

extern "C" __global__ void __launch_bounds__(256, 1)
index_add(const T* __restrict__ x, const long long* __restrict__ order, const long long* __restrict__ sorted,
          T* __restrict__ y, long long outer, long long count, long long inner, long long size) {
  for (long long t = global_index(); t < outer * count * inner; t += global_size()) {
    long long place = t / inner, k = t - place * inner, o = place / count, p = place - o * count;
    long long index = sorted[p];
    if (p > 0 && sorted[p - 1] == index) continue;  // inside a run: its first place adds it all
    long long end = p + 1;
    while (end < count && sorted[end] == index) ++end;
    Run run = {x + o * count * inner + k, order, inner};
    y[(o * size + index) * inner + k] = from_acc<T>(fold<Add>(run, acc_t<T>(0), p, end, 1));
  }
}
