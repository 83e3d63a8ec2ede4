// What is written between arrival at the cluster's barrier and the wait is not handed on by it.
// fault: race
// sample: pass 2 32 float32[64] out:float32[64]
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/ptx.cuh"
extern "C" __global__ void __cluster_dims__(2, 1, 1) pass(const float* x, float* y) {
    __shared__ float tile[32];
    int i = threadIdx.x;
#if FAULT
    ptx::barrier_cluster_arrive();
    tile[i] = x[blockIdx.x * 32 + i];  // <-
#else
    tile[i] = x[blockIdx.x * 32 + i];
    ptx::barrier_cluster_arrive();
#endif
    ptx::barrier_cluster_wait();
    y[blockIdx.x * 32 + i] = ptx::mapa(tile, ptx::cluster_rank() ^ 1)[i];  // <-
    ptx::cluster_sync();
}
