// After a relaxed barrier of the cluster, another block uses an mbarrier whose initialisation nobody released.
// fault: race
// sample: gather 2 32 out:int32[1]
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/ptx.cuh"
extern "C" __global__ void __cluster_dims__(2, 1, 1) gather(int* y) {
    __shared__ ptx::mbarrier bar;
    if (threadIdx.x == 0) {
        ptx::mbarrier_init(&bar, 2);  // <-
#if !FAULT
        ptx::fence_mbarrier_init();
#endif
    }
    __syncthreads();
    ptx::barrier_cluster_arrive_relaxed();
    ptx::barrier_cluster_wait();
    if (threadIdx.x == 0) {
        ptx::mbarrier_arrive_cluster(&bar, 0);  // <-
    }
    if (blockIdx.x == 0) {
        ptx::mbarrier_wait_parity_cluster(&bar, 0);
        if (threadIdx.x == 0) y[0] = 1;
    }
}
