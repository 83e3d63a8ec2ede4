// The two halves of a block wait at different barriers.
// fault: barrier
// sample: halves 1 64 out:int32[64]
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void halves(int* y) {
    __shared__ int tile[64];
    int i = threadIdx.x;
    tile[i] = i;
#if FAULT
    if (i < 32) {
        __syncthreads();
    } else {
        __syncthreads();  // <-
    }
#else
    __syncthreads();
#endif
    y[i] = tile[63 - i];
}
