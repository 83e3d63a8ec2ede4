// Grouped products on tensor cores from sm_80 on: rows that are sorted by group, each group with a matrix of its own.
// y[r] = finish(x[r] B(g)) for r in group g; x: (rows, k); B: (groups, k, n) or, B_TRANSPOSED, (groups, n, k).
// Of float32 operands each matrix is four bfloat16 planes (planes.cu), of which PASSES products are added up.
// The configurations are those of ops/product/choose_mma.py.
// flops: 2 * rows * n * k
// tensor: PASSES
// bytes: size(OPERAND) * min(PASSES, 4) * (rows * k + groups * k * n) + size(OUT) * rows * n
// variants: T=__nv_bfloat16 PAIRED=0,1 ALIGNED=0,1 BIAS=1 ACT=relu
// variants: T=__nv_bfloat16 BM=128 BN=64,128 B_TRANSPOSED=0,1 PAIRED=1
// variants: T=__nv_bfloat16 BM=64 BN=128 WM=32 WN=32 PAIRED=1 BIAS=1 ACT=relu
// variants: T=__half OPERAND=__half BM=64 BN=64 WM=32 WN=32 BIAS=1 ACT=gelu,tanh SAVE=1
// variants: T=float BM=64 BN=64,128 WM=32 WN=32 PASSES=3,6 PAIRED=1 BIAS=1 ACT=gelu SAVE=1
// variants: T=float BM=64 BN=64 WM=32 WN=32 PASSES=6 B_TRANSPOSED=1 PAIRED=1
#include "gradlib/mma/block.cuh"
#include "gradlib/ragged.cuh"

static_assert(!A_TRANSPOSED && !SUMS && !MOMENTS, "rows of x are rows in memory, and no columns are added up");

// bias, scale: (groups, n); offsets: (groups + 1,), of the groups' rows.  Grid: slots times columns of tiles; dynamic
// shared memory: STAGES slabs of A and of B.
extern "C" __global__ void __launch_bounds__(mma::THREADS, 1)
grouped_mma(const OPERAND* x, const OPERAND* w, const int* offsets, const T* bias, const T* scale, const T* slope,
            const T* residual, const unsigned long long* key, OUT* y, OUT* z, unsigned int threshold, float keep,
            int rows, int groups, int n, int k, int band, long long x_pitch, long long x_plane, long long w_pitch,
            long long w_batch, long long w_plane) {
  extern __shared__ __align__(16) unsigned char memory[];
  const ragged::Slots<BM> slots{offsets, rows, groups};
  const schedule::Cell cell = schedule::in_bands(blockIdx.x, slots.count(), ceil_div(n, BN), band);
  const auto place = slots.at(cell.row);
  if (place.empty()) return;
  mma::compute(memory, mma::Tile{place.group, place.row, place.end, cell.column * BN, n, 0, k},
               mma::Matrix<true>{x, x_pitch, 0, x_plane, place.end, 1, true},
               mma::Matrix<B_TRANSPOSED>{w, w_pitch, w_batch, w_plane, n, 1, false},
               Finish{bias, scale, slope, residual, key, threshold, keep, n}, mma::Outputs{y, z, nullptr},
               ragged::Rows{n});
}
