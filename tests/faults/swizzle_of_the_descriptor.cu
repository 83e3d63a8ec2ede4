// The copy engine writes a tile with a swizzle of 128 bytes, the descriptor of wgmma reads it with 64.
// fault: async
// sample: product 1 128 float16[64,64]<64,64:128> float16[8,64]<8,64:128> out:float32[64,8]
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/ptx.cuh"
#if FAULT
#define SWIZZLE 64
#else
#define SWIZZLE 128
#endif
#if defined(GRADLIB_SIM) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
extern "C" __global__ void product(const __grid_constant__ TensorMap x, const __grid_constant__ TensorMap w, float* y) {
    __shared__ alignas(1024) __half a[64 * 64], b[8 * 64];
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
    for (int k = 0; k < 64; k += 16) {
        const unsigned long long at_a = ptx::wgmma_descriptor<128>(a + k, 0, 1024);
        const unsigned long long at_b = ptx::wgmma_descriptor<SWIZZLE>(b + k, 0, 8 * SWIZZLE);
        ptx::wgmma<__half, 8>(d, at_a, at_b, k > 0);  // <-
    }
    ptx::wgmma_commit_group();
    ptx::wgmma_wait_group<0>();
    for (int r = 0; r < 4; ++r) y[(i / 32 * 16 + i % 32 / 4 + r / 2 * 8) * 8 + i % 4 * 2 + r % 2] = d[r];
}
#endif
