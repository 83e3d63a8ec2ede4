// Shared memory is written again while the copy engine still reads it.
// fault: async
// sample: twice 1 64 out:float32[128]
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/ptx.cuh"
extern "C" __global__ void twice(float* y) {
    __shared__ alignas(128) float tile[64];
    int i = threadIdx.x;
    for (int part = 0; part < 2; ++part) {
        tile[i] = part * 64 + i;  // <-
        ptx::fence_proxy_async();
        __syncthreads();
        if (i == 0) {
            ptx::cp_async_bulk_store(y + part * 64, tile, 256);
            ptx::cp_async_bulk_commit_group();
#if !FAULT
            ptx::cp_async_bulk_wait_group<0>();
#endif
        }
        __syncthreads();
    }
    ptx::cp_async_bulk_wait_group<0>();
}
