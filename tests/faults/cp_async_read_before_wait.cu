// A tile that cp.async brings is read after a barrier, but before the wait.
// fault: async
// sample: reverse 1 64 float32[64] out:float32[64]
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/ptx.cuh"
extern "C" __global__ void reverse(const float* x, float* y) {
    __shared__ float tile[64];
    int i = threadIdx.x;
    ptx::cp_async<4>(tile + i, x + i);
    ptx::cp_async_commit_group();
#if !FAULT
    ptx::cp_async_wait_group<0>();
#endif
    __syncthreads();
    y[i] = tile[63 - i];  // <-
}
