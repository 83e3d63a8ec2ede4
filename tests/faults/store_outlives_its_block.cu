// A block ends while the copy engine may still read its shared memory.
// fault: async
// sample: send 2 64 out:float32[128]
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/ptx.cuh"
extern "C" __global__ void send(float* y) {
    __shared__ alignas(128) float tile[64];
    int i = threadIdx.x;
    tile[i] = blockIdx.x * 64 + i;
    ptx::fence_proxy_async();
    __syncthreads();
    if (i == 0) {
        ptx::cp_async_bulk_store(y + blockIdx.x * 64, tile, 256);  // <-
        ptx::cp_async_bulk_commit_group();
#if !FAULT
        ptx::cp_async_bulk_wait_group_read<0>();
#endif
    }
}
