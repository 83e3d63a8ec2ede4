// The next copy is issued before the other threads have read the tile.
// fault: async
// sample: reverse_rows 1 64 float32[3,64] out:float32[3,64]
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/ptx.cuh"
extern "C" __global__ void reverse_rows(const float* x, float* y) {
    __shared__ float tile[64];
    int i = threadIdx.x;
    for (int row = 0; row < 3; ++row) {
        ptx::cp_async<4>(tile + i, x + row * 64 + i);  // <-
        ptx::cp_async_wait_all();
        __syncthreads();
        y[row * 64 + i] = tile[63 - i];  // <-
#if !FAULT
        __syncthreads();
#endif
    }
}
