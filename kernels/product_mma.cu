// Matrix products on tensor cores from sm_80 on, for any strides, and what they pass through in dense layers (finish.cuh).
// y(z) = finish(A(z) B(z)); A: (m, k) or, A_TRANSPOSED, (k, m) in memory; B: (k, n) or, B_TRANSPOSED, (n, k).
// Of float32 operands each matrix is four bfloat16 planes (planes.cu), of which PASSES products are added up.
// The configurations are those of ops/product/choose_mma.py.
// flops: 2 * m * n * k * grid_z / splits
// tensor: PASSES
// bytes: (size(OPERAND) * min(PASSES, 4) * (m * k + k * n) / splits + size(OUT) * m * n) * grid_z
// variants: T=__nv_bfloat16 PAIRED=0,1 ALIGNED=0,1
// variants: T=__nv_bfloat16 BM=128 BN=128 A_TRANSPOSED=0,1 B_TRANSPOSED=0,1 PAIRED=1
// variants: T=__half OPERAND=__half BM=64 BN=64 WM=32 WN=32 BIAS=1 ACT=relu,gelu,tanh,mish SAVE=1
// variants: T=__nv_bfloat16 BM=128 BN=64 WM=64 WN=32 PAIRED=1 SLOPE=1 SLOPE_ACT=gelu SUMS=1 B_TRANSPOSED=1
// variants: T=__nv_bfloat16 BM=64 BN=128 WM=32 WN=32 PAIRED=1 SCALE=1 BIAS=1 ACT=silu RESIDUAL=1
// variants: T=__nv_bfloat16 BM=128 BN=128 PAIRED=1 SCALE=1 BIAS=1 ACT=relu RESIDUAL=2
// variants: T=__nv_bfloat16 BM=128 BN=128 PAIRED=0,1 BIAS=1 ACT=gelu DROPOUT=1 RESIDUAL=1
// variants: T=__nv_bfloat16 BM=128 BN=128 PAIRED=1 MOMENTS=1
// variants: T=float BM=64 BN=128 WM=32 WN=32 PASSES=6 PAIRED=1 MOMENTS=1
// variants: T=float BM=64 BN=64,128 WM=32 WN=32 PASSES=3,6 PAIRED=1 BIAS=1 ACT=gelu SAVE=1
// variants: T=float BM=64 BN=64 WM=32 WN=32 PASSES=6 A_TRANSPOSED=1 PAIRED=1
#include "gradlib/mma/block.cuh"

// Grid: (tiles, 1, products * splits); dynamic shared memory: STAGES slabs of A and of B.
extern "C" __global__ void __launch_bounds__(mma::THREADS, 1)
product_mma(const OPERAND* a, const OPERAND* b, const T* bias, const T* scale, const T* slope, const T* residual,
            const unsigned long long* key, OUT* y, OUT* z, float* totals, unsigned int threshold, float keep, int m,
            int n, int k, int splits, int band, long long a_pitch, long long a_batch, long long a_plane,
            long long b_pitch, long long b_batch, long long b_plane) {
  extern __shared__ __align__(16) unsigned char memory[];
  mma::run(memory, mma::Shape{m, n, k, splits, band},
           mma::Matrix<!A_TRANSPOSED>{a, a_pitch, a_batch, a_plane, m, splits, true},
           mma::Matrix<B_TRANSPOSED>{b, b_pitch, b_batch, b_plane, n, splits, false},
           Finish{bias, scale, slope, residual, key, threshold, keep, n}, mma::Outputs{y, z, totals}, walk::PlainRows{m, n});
}
