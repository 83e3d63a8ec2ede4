// The last block clears what all have read; one of them had not released its reading.
// fault: race
// sample: drain 4 32 float32[1] uint32[1]=0 out:float32[4]
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void drain(float* x, unsigned int* done, float* y) {
    if (threadIdx.x != 0) return;
    y[blockIdx.x] = x[0];  // <-
#if FAULT
    if (blockIdx.x != 1) __threadfence();
#else
    __threadfence();
#endif
    if (atomicAdd(done, 1u) == gridDim.x - 1) {
        __threadfence();
        x[0] = 0;  // <-
    }
}
