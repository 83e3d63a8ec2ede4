// The last tile of a row is not cut off: an off-by-one bound.
// fault: out-of-bounds
// sample: copy 2 32 float32[50] out:float32[50] 50
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void copy(const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
#if FAULT
    if (i <= n) {
#else
    if (i < n) {
#endif
        y[i] = x[i];  // <-
    }
}
