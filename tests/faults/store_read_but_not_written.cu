// A wait for the reading of a bulk store does not wait for its writing.
// fault: async
// sample: send 1 64 out:float32[64] out:float32[64]
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/ptx.cuh"
extern "C" __global__ void send(float* x, float* y) {
    __shared__ alignas(128) float tile[64];
    int i = threadIdx.x;
    tile[i] = i;
    ptx::fence_proxy_async();
    __syncthreads();
    if (i == 0) {
        ptx::cp_async_bulk_store(x, tile, 256);
        ptx::cp_async_bulk_commit_group();
#if FAULT
        ptx::cp_async_bulk_wait_group_read<0>();
#else
        ptx::cp_async_bulk_wait_group<0>();
#endif
    }
    __syncthreads();
    y[i] = x[63 - i];  // <-
}
