// y = x w for sm_80: mma.sync fed by ldmatrix, from three stages that cp.async fills.  Eight warps multiply 128 x 128 by
// steps of 32; x is (m, k), w (k, n), y (m, n) float; k and n are multiples of 8.
#include "gradlib/ptx.cuh"

#ifndef T
#define T __nv_bfloat16
#endif
#ifndef STAGES
#define STAGES 3
#endif

constexpr int tile_m = 128, tile_n = 128, tile_k = 32;
constexpr int x_pitch = tile_k + 8, w_pitch = tile_n + 8;  // 16 bytes more than a row: ldmatrix without bank conflicts
constexpr int x_size = tile_m * x_pitch, w_size = tile_k * w_pitch;

__device__ int inside(int left) { return left >= 8 ? 16 : left > 0 ? 2 * left : 0; }  // bytes of a chunk of 8

__device__ void load(T* x_tile, T* w_tile, const T* x, const T* w, int m, int k, int n, int at_k) {
  const int m0 = blockIdx.y * tile_m, n0 = blockIdx.x * tile_n;
  for (int i = threadIdx.x; i < tile_m * tile_k / 8; i += 256) {
    const int row = i / (tile_k / 8), column = i % (tile_k / 8) * 8;
    const int bytes = m0 + row < m ? inside(k - at_k - column) : 0;
    ptx::cp_async<16>(x_tile + row * x_pitch + column, bytes ? x + (long long)(m0 + row) * k + at_k + column : x, bytes);
  }
  for (int i = threadIdx.x; i < tile_k * tile_n / 8; i += 256) {
    const int row = i / (tile_n / 8), column = i % (tile_n / 8) * 8;
    const int bytes = at_k + row < k ? inside(n - n0 - column) : 0;
    ptx::cp_async<16>(w_tile + row * w_pitch + column, bytes ? w + (long long)(at_k + row) * n + n0 + column : w, bytes);
  }
}

// Dynamic shared memory: STAGES * 18944 bytes.
extern "C" __global__ void __launch_bounds__(256)
mma_product(const T* __restrict__ x, const T* __restrict__ w, float* __restrict__ y, int m, int k, int n) {
  extern __shared__ __align__(16) unsigned char memory[];
  T* tiles = reinterpret_cast<T*>(memory);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int warp_m = warp / 4 * 64, warp_n = warp % 4 * 32;  // this warp's 64 x 32 of the tile
  const int steps = (k + tile_k - 1) / tile_k;
  float sum[4][4][4] = {};

  for (int i = 0; i < STAGES - 1; ++i) {
    if (i < steps) load(tiles + i * (x_size + w_size), tiles + i * (x_size + w_size) + x_size, x, w, m, k, n, i * tile_k);
    ptx::cp_async_commit_group();
  }
  for (int i = 0; i < steps; ++i) {
    ptx::cp_async_wait_group<STAGES - 2>();
    __syncthreads();  // step i is there, and everybody is done with step i - 1
    const int next = i + STAGES - 1;
    if (next < steps) {
      T* stage = tiles + next % STAGES * (x_size + w_size);
      load(stage, stage + x_size, x, w, m, k, n, next * tile_k);
    }
    ptx::cp_async_commit_group();
    const T* x_tile = tiles + i % STAGES * (x_size + w_size);
    const T* w_tile = x_tile + x_size;
#pragma unroll
    for (int at = 0; at < tile_k; at += 16) {
      unsigned a[4][4], b[4][2];
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        ptx::ldmatrix(a[r], x_tile + (warp_m + r * 16 + lane % 16) * x_pitch + at + lane / 16 * 8);
      }
#pragma unroll
      for (int c = 0; c < 4; c += 2) {
        unsigned both[4];
        ptx::ldmatrix<4, true>(both, w_tile + (at + lane % 16) * w_pitch + warp_n + c * 8 + lane / 16 * 8);
        b[c][0] = both[0], b[c][1] = both[1], b[c + 1][0] = both[2], b[c + 1][1] = both[3];
      }
#pragma unroll
      for (int r = 0; r < 4; ++r) {
#pragma unroll
        for (int c = 0; c < 4; ++c) ptx::mma_m16n8k16<T>(sum[r][c], a[r], b[c]);
      }
    }
  }
  const int m0 = blockIdx.y * tile_m + warp_m + lane / 4, n0 = blockIdx.x * tile_n + warp_n + lane % 4 * 2;
#pragma unroll
  for (int r = 0; r < 4; ++r) {
#pragma unroll
    for (int c = 0; c < 4; ++c) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int row = m0 + r * 16 + i / 2 * 8, column = n0 + c * 8 + i % 2;
        if (row < m && column < n) y[(long long)row * n + column] = sum[r][c][i];
      }
    }
  }
}
