// An atomic exchange keeps the value of whichever thread came last.
// fault: order
// sample: keep 1 64 int32[64]=arange int32[1]=0
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void keep(const int* x, int* y) {
#if FAULT
    atomicExch(y, x[threadIdx.x]);  // <-
#else
    atomicMax(y, x[threadIdx.x]);
#endif
}
