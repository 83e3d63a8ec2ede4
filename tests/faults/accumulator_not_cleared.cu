// Sums are added onto an output that nobody cleared.
// fault: uninitialised
// sample: accumulate 1 32 float32[4,32] out:float32[32]
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void accumulate(const float* x, float* y) {
    int i = threadIdx.x;
#if !FAULT
    y[i] = 0;
#endif
    for (int row = 0; row < 4; ++row) {
        y[i] += x[row * 32 + i];  // <-
    }
}
