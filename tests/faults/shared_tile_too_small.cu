// A tile with a halo has room for the halo on one side only.
// fault: out-of-bounds
// sample: blur 1 64 float32[64] out:float32[64]
#ifndef FAULT
#define FAULT 0
#endif

#if FAULT
#define ROOM 65
#else
#define ROOM 66
#endif
extern "C" __global__ void blur(const float* x, float* y) {
    __shared__ float tile[ROOM];
    int i = threadIdx.x;
    tile[i + 1] = x[i];
    if (i == 0) tile[0] = x[0];
    if (i == 63) {
        tile[65] = x[63];  // <-
    }
    __syncthreads();
    y[i] = (tile[i] + tile[i + 1] + tile[i + 2]) / 3;
}
