// The gradient of a grouped product in its matrices, on tensor cores from sm_80 on: y(g) = sum over r in group g of
// a[r]^T b[r], of a (rows, m) and b (rows, n).
// Of float32 operands each matrix is four bfloat16 planes (planes.cu), of which PASSES products are added up.
// The configurations are those of ops/product/choose_mma.py.
// variants: T=__nv_bfloat16 A_TRANSPOSED=1 PAIRED=0,1 ALIGNED=0,1
// variants: T=__nv_bfloat16 A_TRANSPOSED=1 BM=128 BN=64,128 PAIRED=1
// variants: T=__nv_bfloat16 A_TRANSPOSED=1 BM=64 BN=128 WM=32 WN=32 PAIRED=1
// variants: T=float OPERAND=__nv_bfloat16,__half A_TRANSPOSED=1 BM=64 BN=64 WM=32 WN=32 PAIRED=1
// variants: T=float A_TRANSPOSED=1 BM=64 BN=64,128 WM=32 WN=32 PASSES=3,6 PAIRED=1
#include "gradlib/mma/block.cuh"
#include "gradlib/ragged.cuh"

// y: (groups * splits, m, n); offsets: (groups + 1,), of the groups' rows.  Grid: (tiles, 1, groups * splits); dynamic
// shared memory: STAGES slabs of A and of B.
extern "C" __global__ void __launch_bounds__(mma::THREADS, 1)
grouped_weights_mma(const OPERAND* a, const OPERAND* b, const int* offsets, OUT* y, int m, int n, int splits, int band,
                    long long a_pitch, long long a_plane, long long b_pitch, long long b_plane) {
  extern __shared__ __align__(16) unsigned char memory[];
  const schedule::Cell cell = schedule::in_bands(blockIdx.x, ceil_div(m, BM), ceil_div(n, BN), band);
  const schedule::Part k = ragged::part<mma::TILE_K>(offsets, blockIdx.z / splits, splits, blockIdx.z % splits);
  mma::compute(memory, mma::Tile{int(blockIdx.z), cell.row * BM, m, cell.column * BN, n, k.begin, k.end},
               mma::Matrix<!A_TRANSPOSED>{a, a_pitch, 0, a_plane, m, 1, true},
               mma::Matrix<B_TRANSPOSED>{b, b_pitch, 0, b_plane, n, 1, false},
               Finish{nullptr, nullptr, nullptr, nullptr, nullptr, 0, 0.0f, n}, mma::Outputs{y, nullptr, nullptr},
               walk::PlainRows{m, n});
}
