// An mbarrier waits for more arrivals than the blocks of the cluster make.
// fault: deadlock
// sample: gather 2 32 out:int32[1]
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/ptx.cuh"
#if FAULT
#define ARRIVALS 4
#else
#define ARRIVALS 2
#endif
extern "C" __global__ void __cluster_dims__(2, 1, 1) gather(int* y) {
    __shared__ ptx::mbarrier bar;
    if (threadIdx.x == 0) ptx::mbarrier_init(&bar, ARRIVALS);
    ptx::cluster_sync();
    if (threadIdx.x == 0) ptx::mbarrier_arrive_cluster(&bar, 0);
    if (blockIdx.x == 0) {
        ptx::mbarrier_wait_parity_cluster(&bar, 0);  // <-
        if (threadIdx.x == 0) y[0] = 1;
    }
}
