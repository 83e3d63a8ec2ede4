// A tile with a halo of one column: its rows begin 4 bytes off a multiple of 16.
// fault: misaligned
// sample: blur 1 32 float32[4,64]<4,40> out:float32[32]
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/ptx.cuh"
extern "C" __global__ void blur(const __grid_constant__ TensorMap x, float* y) {
    __shared__ alignas(128) float tile[4][40];
    __shared__ ptx::mbarrier full;
    const int halo = FAULT ? 1 : 4, i = threadIdx.x;
    if (i == 0) {
        ptx::mbarrier_init(&full, 1);
        ptx::fence_mbarrier_init();
        ptx::mbarrier_arrive_expect_tx(&full, sizeof tile);
        ptx::tensor_load(tile, &x, &full, -halo, 0);  // <-
    }
    __syncthreads();
    ptx::mbarrier_wait_parity(&full, 0);
    float sum = 0;
    for (int row = 0; row < 4; ++row) sum += tile[row][i + halo - 1] + tile[row][i + halo] + tile[row][i + halo + 1];
    y[i] = sum;
}
