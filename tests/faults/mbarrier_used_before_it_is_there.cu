// Threads come to an mbarrier that no barrier says is initialised.
// fault: race
// sample: meet 1 64 out:int32[64]
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/ptx.cuh"
extern "C" __global__ void meet(int* y) {
    __shared__ ptx::mbarrier bar;
    if (threadIdx.x == 0) {
        ptx::mbarrier_init(&bar, 64);  // <-
    }
#if !FAULT
    __syncthreads();
#endif
    ptx::mbarrier_arrive(&bar);  // <-
    ptx::mbarrier_wait_parity(&bar, 0);
    y[threadIdx.x] = 1;
}
