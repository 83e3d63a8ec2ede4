// A tree reduction whose steps are not separated.
// fault: race
// sample: sum 1 128 float32[128] out:float32[1]
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void sum(const float* x, float* y) {
    __shared__ float slots[128];
    int i = threadIdx.x;
    slots[i] = x[i];
    __syncthreads();
    for (int half = 64; half > 0; half /= 2) {
        if (i < half) {
            slots[i] += slots[i + half];  // <-
        }
#if !FAULT
        __syncthreads();
#endif
    }
    if (i == 0) y[0] = slots[0];
}
