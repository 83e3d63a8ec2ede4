// A tile with a halo is stored with its halo, from column -4 on: a store may pass the end of a tensor, not its start.
// fault: out-of-bounds
// sample: fill 2 32 out:float32[4,64]<4,40>
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/ptx.cuh"
extern "C" __global__ void fill(const __grid_constant__ TensorMap y) {
    __shared__ alignas(128) float tile[4][40];
    for (int i = threadIdx.x; i < 160; i += 32) tile[i / 40][i % 40] = i;
    ptx::fence_proxy_async();
    __syncthreads();
    if (threadIdx.x == 0) {
        ptx::tensor_store(&y, tile, (int)blockIdx.x * 40 - (FAULT ? 4 : 0), 0);  // <-
        ptx::cp_async_bulk_commit_group();
        ptx::cp_async_bulk_wait_group<0>();
    }
}
