// Two pairs of warps should meet at barriers of their own; one warp takes the wrong one's data.
// fault: race
// sample: pairs 1 128 out:int32[128]
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/ptx.cuh"
extern "C" __global__ void pairs(int* y) {
    __shared__ int tile[128];
    int i = threadIdx.x, pair = i / 64;
    tile[i] = i;  // <-
    ptx::bar_sync(1 + pair, 64);
#if FAULT
    y[i] = tile[127 - i];  // <-
#else
    y[i] = tile[pair * 64 + 63 - i % 64];
#endif
}
