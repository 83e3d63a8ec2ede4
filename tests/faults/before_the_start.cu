// A stencil without a left border reads x[-1].
// fault: out-of-bounds
// sample: difference 1 64 float32[64] out:float32[64] 64
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void difference(const float* x, float* y, int n) {
    int i = threadIdx.x;
#if FAULT
    float left = x[i - 1];  // <-
#else
    float left = i > 0 ? x[i - 1] : 0.0f;
#endif
    y[i] = x[i] - left;
}
