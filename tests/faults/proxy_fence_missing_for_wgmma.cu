// Tiles that threads fill by stmatrix and stores are multiplied by wgmma without a fence between the two proxies.
// fault: async
// sample: ones 1 128 out:float32[64,8]
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/ptx.cuh"
#if defined(GRADLIB_SIM) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
extern "C" __global__ void ones(float* y) {
    __shared__ alignas(1024) __half a[64 * 16], b[8 * 16];
    const int i = threadIdx.x;
    const unsigned two = 0x3c003c00, words[2] = {two, two};  // pairs of 1.0
    for (int part = 0; part < 2; ++part) ptx::stmatrix(a + i / 32 * 256 + part * 128 + i % 16 * 8, words);
    b[i] = __float2half(1.0f);
#if !FAULT
    ptx::fence_proxy_async();
#endif
    __syncthreads();
    float d[4];
    ptx::wgmma_fence();
    ptx::wgmma<__half, 8>(d, ptx::wgmma_descriptor<0>(a, 1024, 128), ptx::wgmma_descriptor<0>(b, 128, 128), 0);  // <-
    ptx::wgmma_commit_group();
    ptx::wgmma_wait_group<0>();
    for (int r = 0; r < 4; ++r) y[(i / 32 * 16 + i % 32 / 4 + r / 2 * 8) * 8 + i % 4 * 2 + r % 2] = d[r];
}
#endif
