// An mbarrier expects more bytes than are copied.
// fault: deadlock
// sample: fetch 1 64 float32[64] out:float32[64]
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/ptx.cuh"
#if FAULT
#define BYTES 512
#else
#define BYTES 256
#endif
extern "C" __global__ void fetch(const float* x, float* y) {
    __shared__ alignas(128) float tile[64];
    __shared__ ptx::mbarrier full;
    int i = threadIdx.x;
    if (i == 0) ptx::mbarrier_init(&full, 1);
    __syncthreads();
    if (i == 0) {
        ptx::mbarrier_arrive_expect_tx(&full, BYTES);
        ptx::cp_async_bulk_load(tile, x, 256, &full);
    }
    ptx::mbarrier_wait_parity(&full, 0);  // <-
    y[i] = tile[63 - i];
}
