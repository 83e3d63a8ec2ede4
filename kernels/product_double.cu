// Matrix products of doubles on tensor cores (mma.sync.m8n8k4.f64): y(z) = finish(A(z) B(z)), for matrices of any pitch.
// A block computes 64 x 64, each of its four warps 32 x 32, in steps of 16 of k through STAGES of shared memory that
// cp.async fills, an element at a time, so that every alignment will do: 64 copies of a warp beside 256 products.
// It is the kernel of GPUs whose tensor cores multiply doubles faster than their other units: ops/product/double.py.
// flops: 2 * m * n * k * grid_z / splits
// tensor: 16
// bytes: size(T) * ((m * k + k * n) / splits + m * n) * grid_z
// variants: A_ALONG=0,1 B_ALONG=0,1
// variants: PAIRED=1 BIAS=1 ACT=relu,gelu,tanh,mish SAVE=1
// variants: SCALE=1 BIAS=1 ACT=silu RESIDUAL=1,2 DROPOUT=1
// variants: SLOPE=1 SLOPE_ACT=gelu RESIDUAL=1
#ifndef T
#define T double
#endif
#ifndef A_ALONG  // 1: A stands in memory as (m, k); 0: as (k, m)
#define A_ALONG 1
#endif
#ifndef B_ALONG  // 1: B stands in memory as (n, k); 0: as (k, n)
#define B_ALONG 0
#endif
#ifndef STAGES
#define STAGES 3
#endif

#include "gradlib/finish.cuh"
#include "gradlib/schedule.cuh"

namespace doubles {

constexpr int TILE = 64, TILE_K = 16, THREADS = 128, WARP_TILE = 32;
constexpr int EACH = WARP_TILE / 8;        // products of a warp along each side
constexpr int PITCH = TILE_K + 4;          // four rows of four elements of k meet each bank once
constexpr int SLAB = TILE * PITCH;

// A matrix in memory: element (i, k) at i * pitch + k, or, ALONG 0, at k * pitch + i.
template <bool ALONG> struct Matrix {
  const T* first;
  long long pitch;
  int limit;  // indices inside

  // Rows begin .. begin + TILE, TILE_K of k; what is outside becomes 0.
  GRADLIB_DEVICE void fill(T* slab, int begin, int k0, int k_end) const {
    constexpr int FAST = ALONG ? TILE_K : TILE;
#pragma unroll
    for (int j = 0; j < TILE * TILE_K / THREADS; ++j) {
      const int i = threadIdx.x + j * THREADS;
      const int row = ALONG ? i / FAST : i % FAST, k = ALONG ? i % FAST : i / FAST;
      const bool inside = begin + row < limit && k0 + k < k_end;
      const T* from = first + (ALONG ? (begin + row) * pitch + k0 + k : (k0 + k) * pitch + begin + row);
      ptx::cp_async<8>(slab + row * PITCH + k, inside ? from : first, inside ? 8 : 0);
    }
  }
};

}  // namespace doubles

// y, z: (products, m, n), or, of a sum that is split, (products, splits, m, n).
// Grid: (tiles of y, 1, products * splits); dynamic shared memory: STAGES slabs of A and of B.
extern "C" __global__ void __launch_bounds__(doubles::THREADS, 2)
product_double(const T* a, const T* b, const T* bias, const T* scale, const T* slope, const T* residual,
               const unsigned long long* key, OUT* y, OUT* z, unsigned int threshold, double keep, int m, int n, int k,
               int splits, int band, long long a_pitch, long long a_batch, long long b_pitch, long long b_batch) {
  using namespace doubles;
  extern __shared__ __align__(16) unsigned char memory[];
  T* slabs = reinterpret_cast<T*>(memory);
  const int zs = blockIdx.z, product = zs / splits;
  const schedule::Cell cell = schedule::in_bands(blockIdx.x, ceil_div(m, TILE), ceil_div(n, TILE), band);
  const int m0 = cell.row * TILE, n0 = cell.column * TILE;
  const schedule::Part part = schedule::part(ceil_div(k, TILE_K), splits, zs % splits);
  const Matrix<A_ALONG> left{a + product * a_batch, a_pitch, m};
  const Matrix<B_ALONG> right{b + product * b_batch, b_pitch, n};
  const auto fill = [&](int step) {
    T* to = slabs + step % STAGES * 2 * SLAB;
    const int k0 = (part.begin + step) * TILE_K;
    left.fill(to, m0, k0, k);
    right.fill(to + SLAB, n0, k0, k);
  };

  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int row = warp / 2 * WARP_TILE + lane / 4, column = warp % 2 * WARP_TILE + lane / 4;
  T sum[EACH][EACH][2] = {};
  for (int i = 0; i < STAGES - 1; ++i) {
    if (i < part.size()) fill(i);
    ptx::cp_async_commit_group();
  }
#pragma unroll 1
  for (int step = 0; step < part.size(); ++step) {
    ptx::cp_async_wait_group<STAGES - 2>();
    __syncthreads();  // this step is there, and everybody is done with the one before
    if (step + STAGES - 1 < part.size()) fill(step + STAGES - 1);
    ptx::cp_async_commit_group();
    const T* a_slab = slabs + step % STAGES * 2 * SLAB;
    const T* b_slab = a_slab + SLAB;
#pragma unroll
    for (int step4 = 0; step4 < TILE_K; step4 += 4) {
      const int k4 = step4 + lane % 4;
      T of_a[EACH], of_b[EACH];
#pragma unroll
      for (int i = 0; i < EACH; ++i) {
        of_a[i] = a_slab[(row + 8 * i) * PITCH + k4];
        of_b[i] = b_slab[(column + 8 * i) * PITCH + k4];
      }
#pragma unroll
      for (int i = 0; i < EACH; ++i)
#pragma unroll
        for (int j = 0; j < EACH; ++j) ptx::mma_m8n8k4_f64(sum[i][j], of_a[i], of_b[j]);
    }
  }

  const Finish finish{bias, scale, slope, residual, key, threshold, keep, n};
#pragma unroll
  for (int i = 0; i < EACH; ++i) {
    const int to_row = m0 + row + 8 * i;
    if (to_row >= m) continue;
#pragma unroll
    for (int j = 0; j < EACH; ++j) {
      const int to = n0 + warp % 2 * WARP_TILE + 8 * j + lane % 4 * 2;
      if (to < n) finish.pair(((long long)zs * m + to_row) * n, to, sum[i][j][0], sum[i][j][1], y, z);
    }
  }
}
