// Every thread of the block stores its own value to the same element.
// fault: race
// sample: any_of 1 64 int32[64] out:int32[1]
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void any_of(const int* x, int* y) {
#if FAULT
    y[0] = x[threadIdx.x];  // <-
#else
    if (threadIdx.x == 0) y[0] = x[0];
#endif
}
