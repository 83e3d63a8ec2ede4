// Pairs of halves are loaded as 32-bit words from an odd offset.
// fault: misaligned
// sample: swap 1 8 float16[18] out:float16[16]
#ifndef FAULT
#define FAULT 0
#endif

#include <cuda_fp16.h>
extern "C" __global__ void swap(const __half* x, __half* y) {
#if FAULT
    const int first = 1;
#else
    const int first = 2;
#endif
    __half2 pair = *(const __half2*)(x + first + 2 * threadIdx.x);  // <-
    y[2 * threadIdx.x] = __high2half(pair);
    y[2 * threadIdx.x + 1] = __low2half(pair);
}
