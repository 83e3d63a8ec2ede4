// The next tile overwrites one that other threads still read.
// fault: race
// sample: reverse_rows 1 64 float32[3,64] out:float32[3,64]
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void reverse_rows(const float* x, float* y) {
    __shared__ float tile[64];
    int i = threadIdx.x;
    for (int row = 0; row < 3; ++row) {
        tile[i] = x[row * 64 + i];  // <-
        __syncthreads();
        y[row * 64 + i] = tile[63 - i];  // <-
#if !FAULT
        __syncthreads();
#endif
    }
}
