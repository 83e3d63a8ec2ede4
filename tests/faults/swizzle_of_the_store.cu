// A tile is loaded with a swizzle of 64 bytes and sent out by a map that has none.
// fault: async
// sample: pass 1 32 float32[16,16]<16,16:64> out:float32[16,16]<16,16:64> out:float32[16,16]<16,16>
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/ptx.cuh"
extern "C" __global__ void pass(const __grid_constant__ TensorMap x, const __grid_constant__ TensorMap y,
                                const __grid_constant__ TensorMap plain) {
    __shared__ alignas(1024) float tile[16 * 16];
    __shared__ ptx::mbarrier full;
    if (threadIdx.x == 0) {
        ptx::mbarrier_init(&full, 1);
        ptx::fence_mbarrier_init();
        ptx::mbarrier_arrive_expect_tx(&full, sizeof tile);
        ptx::tensor_load(tile, &x, &full, 0, 0);
        ptx::mbarrier_wait_parity(&full, 0);
#if FAULT
        ptx::tensor_store(&plain, tile, 0, 0);  // <-
#else
        ptx::tensor_store(&y, tile, 0, 0);
#endif
        ptx::cp_async_bulk_commit_group();
        ptx::cp_async_bulk_wait_group<0>();
    }
}
