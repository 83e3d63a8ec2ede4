// A shared counter is incremented from whatever it held.
// fault: uninitialised
// sample: count 1 64 int32[64] out:int32[1]
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void count(const int* x, int* y) {
    __shared__ int total;
#if !FAULT
    if (threadIdx.x == 0) total = 0;
    __syncthreads();
#endif
    if (x[threadIdx.x] > 7) {
        atomicAdd(&total, 1);  // <-
    }
    __syncthreads();
    if (threadIdx.x == 0) y[0] = total;
}
