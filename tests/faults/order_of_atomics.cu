// Positions from an atomic counter depend on which thread comes first.
// fault: order
// sample: compact 1 64 int32[64] int32[64]=0 int32[1]=0
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void compact(const int* x, int* y, int* count) {
    int i = threadIdx.x;
#if FAULT
    int place = atomicAdd(count, 1);
#else
    int place = i;
#endif
    y[place] = x[i];  // <-
}
