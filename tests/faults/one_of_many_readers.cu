// All warps read a value, and one that is replaced does not wait for the fifth of them.
// fault: race
// sample: replace 1 256 out:int32[256]
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/ptx.cuh"
extern "C" __global__ void replace(int* y) {
    __shared__ int value;
    int i = threadIdx.x, warp = i / 32;
    if (i == 0) value = 7;
    __syncthreads();
    y[i] = value;  // <-
#if FAULT
    const bool comes = warp != 4;
#else
    const bool comes = true;
#endif
    if (warp == 0) {
        ptx::bar_sync(1, FAULT ? 224 : 256);
        if (i == 0) {
            value = 8;  // <-
        }
    } else if (comes) {
        ptx::bar_arrive(1, FAULT ? 224 : 256);
    }
}
