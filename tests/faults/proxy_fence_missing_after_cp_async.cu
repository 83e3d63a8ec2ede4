// What cp.async brought is multiplied by wgmma; cp.async belongs to the other proxy.
// fault: async
// sample: ones 1 128 float16[64,16]=1 out:float32[64,8]
#ifndef FAULT
#define FAULT 0
#endif

#include "gradlib/ptx.cuh"
#if defined(GRADLIB_SIM) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
extern "C" __global__ void ones(const __half* x, float* y) {
    __shared__ alignas(1024) __half a[64 * 16], b[8 * 16];
    const int i = threadIdx.x;
    ptx::cp_async<16>(a + i * 8, x + i * 8);
    if (i < 16) ptx::cp_async<16>(b + i * 8, x + i * 8);
    ptx::cp_async_wait_all();
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
