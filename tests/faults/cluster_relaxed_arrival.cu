// A relaxed arrival at the cluster's barrier hands nothing on.
// fault: race
// sample: pass 2 32 float32[64] out:float32[64]
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/ptx.cuh"
extern "C" __global__ void __cluster_dims__(2, 1, 1) pass(const float* x, float* y) {
    __shared__ float tile[32];
    int i = threadIdx.x;
    tile[i] = x[blockIdx.x * 32 + i];  // <-
#if !FAULT
    __threadfence();
#endif
    ptx::barrier_cluster_arrive_relaxed();
    ptx::barrier_cluster_wait();
    y[blockIdx.x * 32 + i] = ptx::mapa(tile, ptx::cluster_rank() ^ 1)[i];  // <-
    ptx::cluster_sync();
}
