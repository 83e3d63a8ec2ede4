// The writers fence after the barrier, while a thread of another warp sends the tile.
// fault: async
// sample: send 1 64 out:float32[32]
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/ptx.cuh"
extern "C" __global__ void send(float* y) {
    __shared__ alignas(128) float tile[32];
    int i = threadIdx.x;
    if (i < 32) {
        tile[i] = i;
#if !FAULT
        ptx::fence_proxy_async();
#endif
    }
    ptx::bar_sync(1, 64);
    if (i < 32) {
        ptx::fence_proxy_async();
    } else if (i == 32) {
        ptx::cp_async_bulk_store(y, tile, 128);  // <-
        ptx::cp_async_bulk_commit_group();
        ptx::cp_async_bulk_wait_group<0>();
    }
}
