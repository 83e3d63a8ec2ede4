// Accumulators are scaled between two products, and no fence tells wgmma.
// fault: async
// sample: twice 1 128 out:float32[64,8]
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/ptx.cuh"
#if defined(GRADLIB_SIM) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
extern "C" __global__ void twice(float* y) {
    __shared__ alignas(1024) __half a[64 * 16], b[8 * 16];
    const int i = threadIdx.x;
    for (int j = 0; j < 8; ++j) a[i * 8 + j] = __float2half(1.0f);
    b[i] = __float2half(1.0f);
    ptx::fence_proxy_async();
    __syncthreads();
    const unsigned long long at_a = ptx::wgmma_descriptor<0>(a, 1024, 128);
    const unsigned long long at_b = ptx::wgmma_descriptor<0>(b, 128, 128);
    float d[4] = {};
    ptx::wgmma_fence();
    for (int part = 0; part < 2; ++part) {
        ptx::wgmma<__half, 8>(d, at_a, at_b);  // <-
        ptx::wgmma_commit_group();
        ptx::wgmma_wait_group<0>();
        for (int r = 0; r < 4; ++r) d[r] *= 0.5f;
#if !FAULT
        ptx::wgmma_fence();
#endif
    }
    for (int r = 0; r < 4; ++r) y[(i / 32 * 16 + i % 32 / 4 + r / 2 * 8) * 8 + i % 4 * 2 + r % 2] = d[r];
}
#endif
