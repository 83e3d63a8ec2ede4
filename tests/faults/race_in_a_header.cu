// A reduction from a header is given shared memory that is still being read.
// fault: race
// sample: normalize 1 64 float32[64] out:float32[64]
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/reduce.cuh"
extern "C" __global__ void normalize(const float* x, float* y) {
    __shared__ float tile[64];
    int i = threadIdx.x;
    tile[i] = x[i];
    __syncthreads();
    float other = tile[63 - i];
#if FAULT
    float* room = tile;
    float sum = other;
    for (int mask = 16; mask > 0; mask >>= 1) sum = add(sum, shuffle_xor(sum, mask));
    if (i % 32 == 0) {
        room[i / 32] = sum;  // <-
    }
    __syncthreads();
    sum = room[0] + room[1];
#else
    float sum = row_reduce<Add>(other, tile);
#endif
    y[i] = other / sum;
}
