// The last block sums the parts of all blocks, which nobody released.
// fault: race
// sample: total 4 32 float32[128] out:float32[4] out:float32[1] uint32[1]=0
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void total(const float* x, float* parts, float* y, unsigned int* done) {
    __shared__ bool last;
    if (threadIdx.x == 0) {
        float sum = 0;
        for (int i = 0; i < 32; ++i) sum += x[blockIdx.x * 32 + i];
        parts[blockIdx.x] = sum;
#if !FAULT
        __threadfence();
#endif
        last = atomicAdd(done, 1u) == gridDim.x - 1;
    }
    __syncthreads();
    if (last && threadIdx.x == 0) {
        float all = 0;
        __threadfence();
        for (int i = 0; i < gridDim.x; ++i) {
            all += parts[i];  // <-
        }
        y[0] = all;
    }
}
