// A float2 is stored into shared memory at an odd element.
// fault: misaligned
// sample: pairs 1 16 float32[32] out:float32[32]
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void pairs(const float* x, float* y) {
    __shared__ alignas(16) float tile[40];
    int i = 2 * threadIdx.x;
#if FAULT
    const int first = 1;
#else
    const int first = 2;
#endif
    *(float2*)(tile + first + i) = *(const float2*)(x + i);  // <-
    __syncthreads();
    y[i] = tile[first + 31 - i];
    y[i + 1] = tile[first + 30 - i];
}
