// A tile is read by other threads before a barrier.
// fault: race
// sample: reverse 1 64 float32[64] out:float32[64]
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void reverse(const float* x, float* y) {
    __shared__ float tile[64];
    int i = threadIdx.x;
    tile[i] = x[i];  // <-
#if !FAULT
    __syncthreads();
#endif
    y[i] = tile[63 - i];
}
