// Adds the parts of a sum that was split over blocks, in order.
// variants: T=float,double,__half,__nv_bfloat16
#ifndef T
#define T float
#endif

#include "gradlib/core.cuh"

// part: (splits, count), y: (count,).  Grid: any number of blocks of one dimension.
extern "C" __global__ void split_sum(const acc_t<T>* __restrict__ part, T* __restrict__ y, int splits,
                                     long long count) {
  for (long long i = global_index(); i < count; i += global_size()) {
    acc_t<T> sum = part[i];
    for (int j = 1; j < splits; j++) sum += part[j * count + i];
    y[i] = from_acc<T>(sum);
  }
}
