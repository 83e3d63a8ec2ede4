// A mask of the first n lanes, n being up to 32: a shift by 32 bits leaves what it likes.
// fault: arithmetic
// sample: masks 1 33 out:uint32[33]
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void masks(unsigned int* y) {
    unsigned int n = threadIdx.x;
#if FAULT
    y[n] = (1u << n) - 1;  // <-
#else
    y[n] = n < 32 ? (1u << n) - 1 : 0xffffffffu;
#endif
}
