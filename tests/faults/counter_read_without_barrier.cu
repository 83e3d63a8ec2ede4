// A shared counter is read while other threads still add to it.
// fault: race
// sample: count 1 64 int32[64] out:int32[64]
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void count(const int* x, int* y) {
    __shared__ int total;
    if (threadIdx.x == 0) total = 0;
    __syncthreads();
    atomicAdd(&total, x[threadIdx.x]);  // <-
#if !FAULT
    __syncthreads();
#endif
    y[threadIdx.x] = total;  // <-
}
