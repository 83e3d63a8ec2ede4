// The copy engine reads global memory that the same launch wrote; the fence is one for shared memory.
// fault: async
// sample: again 1 64 out:float32[64] out:float32[64]
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/ptx.cuh"
extern "C" __global__ void again(float* x, float* y) {
    __shared__ alignas(128) float tile[64];
    __shared__ ptx::mbarrier full;
    int i = threadIdx.x;
    if (i == 0) ptx::mbarrier_init(&full, 1);
    x[i] = i;
#if FAULT
    ptx::fence_proxy_async();
#else
    ptx::fence_proxy_async_global();
#endif
    __syncthreads();
    if (i == 0) {
        ptx::mbarrier_arrive_expect_tx(&full, 256);
        ptx::cp_async_bulk_load(tile, x, 256, &full);  // <-
    }
    ptx::mbarrier_wait_parity(&full, 0);
    y[i] = tile[63 - i];
}
