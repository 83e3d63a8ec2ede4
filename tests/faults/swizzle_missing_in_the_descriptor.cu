// The copy engine writes a tile with a swizzle of 32 bytes; wgmma is told of none.
// fault: async
// sample: product 1 128 float16[64,16]<64,16:32> float16[8,16]<8,16:32> out:float32[64,8]
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/ptx.cuh"
#if defined(GRADLIB_SIM) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
extern "C" __global__ void product(const __grid_constant__ TensorMap x, const __grid_constant__ TensorMap w, float* y) {
    __shared__ alignas(1024) __half a[64 * 16], b[8 * 16];
    __shared__ ptx::mbarrier full;
    const int i = threadIdx.x;
    if (i == 0) {
        ptx::mbarrier_init(&full, 1);
        ptx::fence_mbarrier_init();
        ptx::mbarrier_arrive_expect_tx(&full, sizeof a + sizeof b);
        ptx::tensor_load(a, &x, &full, 0, 0);
        ptx::tensor_load(b, &w, &full, 0, 0);
    }
    __syncthreads();
    ptx::mbarrier_wait_parity(&full, 0);
    float d[4];
    ptx::wgmma_fence();
#if FAULT
    const unsigned long long at_a = ptx::wgmma_descriptor<0>(a, 16, 256), at_b = ptx::wgmma_descriptor<0>(b, 16, 256);
#else
    const unsigned long long at_a = ptx::wgmma_descriptor<32>(a, 0, 256), at_b = ptx::wgmma_descriptor<32>(b, 0, 256);
#endif
    ptx::wgmma<__half, 8>(d, at_a, at_b, 0);  // <-
    ptx::wgmma_commit_group();
    ptx::wgmma_wait_group<0>();
    for (int r = 0; r < 4; ++r) y[(i / 32 * 16 + i % 32 / 4 + r / 2 * 8) * 8 + i % 4 * 2 + r % 2] = d[r];
}
#endif
