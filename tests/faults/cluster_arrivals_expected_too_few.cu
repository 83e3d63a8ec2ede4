// An mbarrier expects the threads of one block, and is done before those of the other have handed on what they wrote.
// fault: race
// sample: gather 2 32 float32[64] out:float32[64]
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/ptx.cuh"
#if FAULT
#define ARRIVALS 32
#else
#define ARRIVALS 64
#endif
extern "C" __global__ void __cluster_dims__(2, 1, 1) gather(const float* x, float* y) {
    __shared__ ptx::mbarrier bar;
    __shared__ float all[64];
    int i = threadIdx.x, rank = ptx::cluster_rank();
    if (i == 0) ptx::mbarrier_init(&bar, ARRIVALS);
    ptx::cluster_sync();
    ptx::mapa(all, 0)[rank * 32 + i] = x[rank * 32 + i];  // <-
    ptx::mbarrier_arrive_cluster(&bar, 0);  // <-
    if (rank == 0) {
        ptx::mbarrier_wait_parity_cluster(&bar, 0);
        y[i] = all[63 - i];  // <-
        y[32 + i] = all[31 - i];
    }
}
