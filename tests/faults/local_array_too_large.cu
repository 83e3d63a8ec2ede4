// Each thread keeps a histogram of its own, whose bins no thread has room for.
// fault: out-of-bounds
// sample: most_frequent 1 8 int32[64] out:int32[8]
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void most_frequent(const int* x, int* y) {  // <-
    int bins[FAULT ? 1 << 18 : 16];
    int best = 0;
    for (int b = 0; b < 16; ++b) bins[b] = 0;
    for (int i = 0; i < 8; ++i) ++bins[x[8 * threadIdx.x + i] & 15];
    for (int b = 1; b < 16; ++b) best = bins[b] > bins[best] ? b : best;
    y[threadIdx.x] = best;
}
