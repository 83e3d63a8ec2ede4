// Two threads send a tile; one waits for its copy, and the tile is written again while the other's may still read.
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
    if (i % 32 == 0) {
        ptx::cp_async_bulk_store(i == 0 ? x : y, tile, 256);
        ptx::cp_async_bulk_commit_group();
        if (i == 32 || !FAULT) ptx::cp_async_bulk_wait_group<0>();
    }
    float mine = tile[i];
    __syncthreads();
    tile[i] = mine + 1;  // <-
    if (i == 0) ptx::cp_async_bulk_wait_group<0>();
}
