// One warp of a block never comes to the cluster's barrier.
// fault: barrier
// sample: meet 2 64 out:int32[128]
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/ptx.cuh"
extern "C" __global__ void __cluster_dims__(2, 1, 1) meet(int* y) {
    y[blockIdx.x * 64 + threadIdx.x] = 1;
#if FAULT
    if (blockIdx.x == 0 || threadIdx.x < 32) {
        ptx::cluster_sync();  // <-
    }
    __syncthreads();
#else
    ptx::cluster_sync();
#endif
}
