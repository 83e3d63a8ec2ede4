// Threads without work return before the barrier of the others.
// fault: barrier
// sample: stage 1 64 float32[40] out:float32[40] 40
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void stage(const float* x, float* y, int n) {
    __shared__ float tile[64];
    int i = threadIdx.x;
#if FAULT
    if (i >= n) return;
#endif
    if (i < n) tile[i] = x[i];
    __syncthreads();  // <-
    if (i < n) y[i] = tile[n - 1 - i];
}
