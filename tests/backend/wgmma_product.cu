// y = x w, warp-specialised for sm_90a: one warpgroup lets the copy engine fill a ring of stages with tiles of x (m, k)
// and w (k, n), two warpgroups multiply 64 x 128 each and send their part of y out.  bfloat16, summed in float.
#include "gradlib/ptx.cuh"

#ifndef STAGES
#define STAGES 4
#endif

constexpr int tile_m = 128, tile_n = 128, tile_k = 64;
constexpr int x_bytes = tile_m * tile_k * 2, w_bytes = tile_k * tile_n * 2, stage_bytes = x_bytes + w_bytes;
constexpr int half_w = w_bytes / 2;  // the swizzle spans 64 columns of w: a tile comes in two boxes
constexpr int y_bytes = tile_m * tile_n * 2;

#if defined(GRADLIB_SIM) || defined(__CUDA_ARCH_FEAT_SM90_ALL)

__device__ void produce(unsigned char* ring, ptx::mbarrier* full, ptx::mbarrier* empty, const TensorMap* x,
                        const TensorMap* w, int steps) {
  for (int i = 0; i < steps; ++i) {
    const int stage = i % STAGES;
    ptx::mbarrier_wait_parity(empty + stage, i / STAGES % 2 ^ 1);
    ptx::mbarrier_arrive_expect_tx(full + stage, stage_bytes);
    unsigned char* x_tile = ring + stage * stage_bytes;
    unsigned char* w_tile = x_tile + x_bytes;
    ptx::tensor_load(x_tile, x, full + stage, i * tile_k, (int)blockIdx.y * tile_m);
    ptx::tensor_load(w_tile, w, full + stage, (int)blockIdx.x * tile_n, i * tile_k);
    ptx::tensor_load(w_tile + half_w, w, full + stage, (int)blockIdx.x * tile_n + 64, i * tile_k);
  }
}

__device__ void consume(unsigned char* ring, unsigned char* staging, ptx::mbarrier* full, ptx::mbarrier* empty,
                        const TensorMap* y, int steps, int group) {
  float sum[tile_n / 2];
#pragma unroll
  for (int i = 0; i < tile_n / 2; ++i) sum[i] = 0;
  const int thread = threadIdx.x % 128, warp = thread / 32, lane = thread % 32;
  for (int i = 0; i < steps; ++i) {
    const int stage = i % STAGES;
    ptx::mbarrier_wait_parity(full + stage, i / STAGES % 2);
    const unsigned char* x_tile = ring + stage * stage_bytes + group * (x_bytes / 2);
    const unsigned char* w_tile = ring + stage * stage_bytes + x_bytes;
    ptx::wgmma_fence();
#pragma unroll
    for (int k = 0; k < tile_k / 16; ++k) {  // x by rows (K-major), w by rows too, which for it is N-major
      ptx::wgmma<__nv_bfloat16, tile_n, 0, 1>(sum, ptx::wgmma_descriptor<128>(x_tile + k * 32, 16, 1024),
                                              ptx::wgmma_descriptor<128>(w_tile + k * 2048, half_w, 1024));
    }
    ptx::wgmma_commit_group();
    ptx::wgmma_wait_group<1>();  // the stage before this one has been read
    if (i > 0 && lane == 0) ptx::mbarrier_arrive(empty + (i - 1) % STAGES);
  }
  ptx::wgmma_wait_group<0>();

  __nv_bfloat16* part = reinterpret_cast<__nv_bfloat16*>(staging) + group * 64 * tile_n;
  const int row = warp * 16 + lane % 16, column = lane / 16 * 8;
#pragma unroll
  for (int j = 0; j < tile_n / 16; ++j) {
    unsigned words[4];
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      __nv_bfloat162 pair = __floats2bfloat162_rn(sum[8 * j + 2 * r], sum[8 * j + 2 * r + 1]);
      words[r] = *reinterpret_cast<unsigned*>(&pair);
    }
    ptx::stmatrix(part + row * tile_n + 16 * j + column, words);
  }
  ptx::fence_proxy_async();
  ptx::bar_sync(1 + group, 128);
  if (thread == 0) {
    ptx::tensor_store(y, part, (int)blockIdx.x * tile_n, (int)blockIdx.y * tile_m + group * 64);
    ptx::cp_async_bulk_commit_group();
    ptx::cp_async_bulk_wait_group<0>();
  }
}

// Dynamic shared memory: STAGES * 32768 + 32768 bytes.  The boxes: x (128, 64), w (64, 64), swizzle 128; y (64, 128).
extern "C" __global__ void __launch_bounds__(384, 1)
wgmma_product(const int* unused, int steps, const __grid_constant__ TensorMap x, const __grid_constant__ TensorMap w,
              const __grid_constant__ TensorMap y) {
  extern __shared__ __align__(1024) unsigned char ring[];
  __shared__ ptx::mbarrier full[STAGES], empty[STAGES];
  if (threadIdx.x == 0) {
    for (int i = 0; i < STAGES; ++i) {
      ptx::mbarrier_init(full + i, 1);
      ptx::mbarrier_init(empty + i, 8);  // one for each consumer warp
    }
    ptx::fence_mbarrier_init();
  }
  __syncthreads();
  const int group = threadIdx.x / 128;
  if (group == 0) {
    ptx::setmaxnreg_dec<40>();
    if (threadIdx.x == 0) produce(ring, full, empty, &x, &w, steps);
  } else {
    ptx::setmaxnreg_inc<232>();
    consume(ring, ring + STAGES * stage_bytes, full, empty, &y, steps, group - 1);
  }
}

#endif
