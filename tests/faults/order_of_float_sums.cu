// A float sum by atomics is rounded in the order of arrival.
// fault: order
// sample: sum 1 128 float32[128] float32[1]=0
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void sum(const float* x, float* y) {
#if FAULT
    atomicAdd(y, x[threadIdx.x]);  // <-
#else
    if (threadIdx.x == 0) {
        float all = 0;
        for (int i = 0; i < 128; ++i) all += x[i];
        y[0] = all;
    }
#endif
}
