// A reduction over 64 slots of which only the first 50 were written.
// fault: uninitialised
// sample: sum 1 64 float32[50] out:float32[1] 50
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void sum(const float* x, float* y, int n) {
    __shared__ float slots[64];
    int i = threadIdx.x;
#if FAULT
    if (i < n) slots[i] = x[i];
#else
    slots[i] = i < n ? x[i] : 0.0f;
#endif
    for (int half = 32; half > 0; half /= 2) {
        __syncthreads();
        if (i < half) {
            slots[i] += slots[i + half];  // <-
        }
    }
    if (i == 0) y[0] = slots[0];
}
