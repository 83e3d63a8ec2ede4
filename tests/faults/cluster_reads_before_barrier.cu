// A block reads its neighbour's shared memory before a barrier of the cluster.
// fault: race
// sample: swap 2 32 float32[64] out:float32[64]
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/ptx.cuh"
extern "C" __global__ void __cluster_dims__(2, 1, 1) swap(const float* x, float* y) {
    __shared__ float tile[32];
    int i = threadIdx.x;
    tile[i] = x[blockIdx.x * 32 + i];
#if FAULT
    __syncthreads();
#else
    ptx::cluster_sync();
#endif
    float theirs = ptx::mapa(tile, ptx::cluster_rank() ^ 1)[31 - i];  // <-
    y[blockIdx.x * 32 + i] = theirs;
    ptx::cluster_sync();
}
