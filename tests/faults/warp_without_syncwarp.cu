// Lanes of one warp exchange values through shared memory as if they ran in step.
// fault: race
// sample: neighbours 1 32 float32[32] out:float32[32]
#ifndef FAULT
#define FAULT 0
#endif

extern "C" __global__ void neighbours(const float* x, float* y) {
    __shared__ float tile[32];
    int i = threadIdx.x;
    tile[i] = x[i];  // <-
#if FAULT
    float unused = __shfl_xor_sync(0xffffffffu, x[i], 1);  // orders no memory
    y[i] = tile[i ^ 1] + 0 * unused;  // <-
#else
    __syncwarp();
    y[i] = tile[i ^ 1];
#endif
}
