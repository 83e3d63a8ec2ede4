// A barrier of the cluster that is for whole warps is executed by one lane.
// fault: barrier
// sample: meet 2 32 out:int32[64]
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/ptx.cuh"
extern "C" __global__ void __cluster_dims__(2, 1, 1) meet(int* y) {
    y[blockIdx.x * 32 + threadIdx.x] = 1;
#if FAULT
    if (threadIdx.x == 0) {
        ptx::cluster_sync();  // <-
    }
    __syncthreads();
#else
    ptx::cluster_sync();
#endif
}
