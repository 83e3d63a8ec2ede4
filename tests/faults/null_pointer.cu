// An optional bias is read without a test whether it is there.
// fault: out-of-bounds
// sample: add_bias 1 32 float32[32] None out:float32[32]
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void add_bias(const float* x, const float* bias, float* y) {
    int i = threadIdx.x;
#if FAULT
    y[i] = x[i] + bias[i];  // <-
#else
    y[i] = x[i] + (bias ? bias[i] : 0.0f);
#endif
}
