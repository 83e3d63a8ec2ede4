// The copy engine reads what ordinary stores wrote, without a fence between the two proxies.
// fault: async
// sample: send 1 64 out:float32[64]
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/ptx.cuh"
extern "C" __global__ void send(float* y) {
    __shared__ alignas(128) float tile[64];
    int i = threadIdx.x;
    tile[i] = i;
#if !FAULT
    ptx::fence_proxy_async();
#endif
    __syncthreads();
    if (i == 0) {
        ptx::cp_async_bulk_store(y, tile, 256);  // <-
        ptx::cp_async_bulk_commit_group();
        ptx::cp_async_bulk_wait_group<0>();
    }
}
