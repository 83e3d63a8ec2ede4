// The rows that the other block multicasts are not among the bytes that the mbarrier expects.
// fault: async
// sample: rows 2 32 float32[2,32]<1,32> out:float32[2,64]
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/ptx.cuh"
#if FAULT
#define BYTES 128
#else
#define BYTES 256
#endif
extern "C" __global__ void __cluster_dims__(2, 1, 1) rows(const __grid_constant__ TensorMap x, float* y) {
    __shared__ alignas(128) float tile[64];
    __shared__ ptx::mbarrier full;
    const int i = threadIdx.x, rank = ptx::cluster_rank();
    if (i == 0) {
        ptx::mbarrier_init(&full, 1);
        ptx::fence_mbarrier_init();
        ptx::mbarrier_arrive_expect_tx(&full, BYTES);
    }
    ptx::cluster_sync();
    if (i == 0) {
        ptx::tensor_load_multicast(tile + 32 * rank, &x, &full, 3, 0, rank);  // <-
    }
    ptx::mbarrier_wait_parity(&full, 0);
    y[rank * 64 + i] = tile[i];  // <-
    y[rank * 64 + 32 + i] = tile[32 + i];  // <-
    ptx::cluster_sync();
}
