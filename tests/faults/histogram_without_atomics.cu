// Counts are incremented without atomics.
// fault: race
// sample: histogram 1 64 int32[64] int32[16]=0
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void histogram(const int* x, int* counts) {
#if FAULT
    counts[x[threadIdx.x]] += 1;  // <-
#else
    atomicAdd(&counts[x[threadIdx.x]], 1);
#endif
}
