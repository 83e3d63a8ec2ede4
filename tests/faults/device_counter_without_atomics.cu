// Blocks count in a variable of the module without atomics.
// fault: race
// sample: count 4 32 out:int32[128]
#ifndef FAULT
#define FAULT 0
#endif

__device__ int counter;
extern "C" __global__ void count(int* y) {
    y[blockIdx.x * 32 + threadIdx.x] = 1;
    if (threadIdx.x == 0) {
#if FAULT
        counter += 1;  // <-
#else
        atomicAdd(&counter, 1);
#endif
    }
}
