// A double buffer waits for all groups but two, where only one may be in flight.
// fault: async
// sample: sums 1 32 float32[4,32] out:float32[32]
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/ptx.cuh"
extern "C" __global__ void sums(const float* x, float* y) {
    __shared__ float stage[2][32];
    int i = threadIdx.x;
    float sum = 0;
    ptx::cp_async<4>(&stage[0][i], x + i);
    ptx::cp_async_commit_group();
    for (int row = 0; row < 4; ++row) {
        if (row + 1 < 4) ptx::cp_async<4>(&stage[(row + 1) % 2][i], x + (row + 1) * 32 + i);
        ptx::cp_async_commit_group();
#if FAULT
        ptx::cp_async_wait_group<2>();
#else
        ptx::cp_async_wait_group<1>();
#endif
        sum += stage[row % 2][i];  // <-
    }
    y[i] = sum;
}
