// A multicast overwrites what the other block still reads: only the own block's threads were waited for.
// fault: async
// sample: rows 2 32 float32[4,32]<1,32> out:float32[2,128]
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/ptx.cuh"
extern "C" __global__ void __cluster_dims__(2, 1, 1) rows(const __grid_constant__ TensorMap x, float* y) {
    __shared__ alignas(128) float tile[64];
    __shared__ ptx::mbarrier full;
    const int i = threadIdx.x, rank = ptx::cluster_rank();
    if (i == 0) {
        ptx::mbarrier_init(&full, 1);
        ptx::fence_mbarrier_init();
    }
    for (int step = 0; step < 2; ++step) {
        if (i == 0) ptx::mbarrier_arrive_expect_tx(&full, 256);
#if FAULT
        if (step == 0) ptx::cluster_sync();
        __syncthreads();
#else
        ptx::cluster_sync();
#endif
        if (i == 0) {
            ptx::tensor_load_multicast(tile + 32 * rank, &x, &full, 3, 0, 2 * step + rank);  // <-
        }
        ptx::mbarrier_wait_parity(&full, step);
        y[rank * 128 + step * 64 + i] = tile[i];  // <-
        y[rank * 128 + step * 64 + 32 + i] = tile[32 + i];  // <-
    }
    ptx::cluster_sync();
}
