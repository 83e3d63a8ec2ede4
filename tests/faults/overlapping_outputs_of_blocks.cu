// Blocks advance by one element less than they write.
// fault: race
// sample: fill 3 32 out:float32[96]
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void fill(float* y) {
#if FAULT
    int i = blockIdx.x * (blockDim.x - 1) + threadIdx.x;
#else
    int i = blockIdx.x * blockDim.x + threadIdx.x;
#endif
    y[i] = blockIdx.x;  // <-
}
