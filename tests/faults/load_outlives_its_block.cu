// A pipeline loads one tile more than it uses, and its block ends before that has come.
// fault: async
// sample: sums 1 32 float32[3,32] out:float32[32]
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/ptx.cuh"
extern "C" __global__ void sums(const float* x, float* y) {
    __shared__ alignas(128) float stage[2][32];
    __shared__ ptx::mbarrier full[2];
    int i = threadIdx.x;
    if (i == 0) {
        for (int s = 0; s < 2; ++s) {
            ptx::mbarrier_init(full + s, 1);
            ptx::mbarrier_arrive_expect_tx(full + s, 128);
            ptx::cp_async_bulk_load(stage[s], x + 32 * s, 128, full + s);
        }
    }
    __syncthreads();
    float sum = 0;
    for (int row = 0; row < 2; ++row) {
        ptx::mbarrier_wait_parity(full + row, 0);
        sum += stage[row][i];
        __syncthreads();
#if FAULT
        const bool more = row == 0;
#else
        const bool more = false;
#endif
        if (i == 0 && more) {
            ptx::mbarrier_arrive_expect_tx(full, 128);
            ptx::cp_async_bulk_load(stage[0], x + 64, 128, full);  // <-
        }
    }
    y[i] = sum;
}
