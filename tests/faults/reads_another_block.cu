// A block reads what another block of the same launch writes.
// fault: race
// sample: scan 2 32 float32[64] out:float32[64]
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void scan(const float* x, float* y) {
    int i = blockIdx.x * 32 + threadIdx.x;
    float before = 0;
#if FAULT
    if (blockIdx.x > 0) {
        before = y[threadIdx.x];  // <-
    }
#else
    if (blockIdx.x > 0) before = x[threadIdx.x];
#endif
    y[i] = x[i] + before;
}
