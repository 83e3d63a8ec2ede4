// Both blocks of a cluster add to one variable without atomics.
// fault: race
// sample: total 2 32 float32[64] out:float32[1]
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/ptx.cuh"
extern "C" __global__ void __cluster_dims__(2, 1, 1) total(const float* x, float* y) {
    __shared__ int sum;
    if (threadIdx.x == 0) sum = 0;
    ptx::cluster_sync();
    int* first = ptx::mapa(&sum, 0);
    if (threadIdx.x == 0) {
#if FAULT
        *first += x[blockIdx.x * 32] > 0;  // <-
#else
        atomicAdd(first, x[blockIdx.x * 32] > 0);
#endif
    }
    ptx::cluster_sync();
    if (blockIdx.x == 0 && threadIdx.x == 0) y[0] = sum;
}
