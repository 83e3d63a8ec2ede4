// Matrix products on the tensor cores of sm_90a, and what they pass through in dense layers (finish.cuh).
// y(z) = finish(A(z) B(z)); A: (m, k) or, A_TRANSPOSED, (k, m) in memory; B: (k, n) or, B_TRANSPOSED, (n, k).
// Of float32 operands each matrix is four bfloat16 planes (planes.cu), of which PASSES products are added up.
// The configurations are those of ops/product/choose_sm90.py.
// flops: 2 * m * n * k * products
// tensor: PASSES
// architectures: sm_90a
// variants: T=__nv_bfloat16 BM=128 BN=256 CLUSTER=1,2 PAIRED=1 BIAS=1 ACT=none,relu,gelu SAVE=0,1
// variants: T=__nv_bfloat16 BM=128 BN=128 CLUSTER=1,2 PINGPONG=0,1 PAIRED=1 BIAS=1 ACT=gelu SAVE=1
// variants: T=__nv_bfloat16 BM=256 BN=128 STAGES=3 PAIRED=1 BIAS=1 ACT=gelu SAVE=1
// variants: T=__nv_bfloat16 BM=64 BN=64,128,256 PINGPONG=1 PAIRED=1 BIAS=1 ACT=gelu SAVE=1
// variants: T=__nv_bfloat16 BM=128 BN=64,192 PAIRED=1 BIAS=1 ACT=gelu SAVE=1
// variants: T=float DIRECT=1 BM=128 BN=64 PASSES=6 PAIRED=1 BIAS=1 ACT=gelu SAVE=1
// variants: T=float DIRECT=1 BM=64 BN=64,128 PINGPONG=1 PASSES=6 PAIRED=1 BIAS=1 ACT=gelu SAVE=1
// variants: T=__half OPERAND=__half BM=128 BN=128 PINGPONG=1 PAIRED=1 BIAS=1 ACT=tanh,silu,mish,sigmoid,elu SAVE=1
// variants: T=__nv_bfloat16 BM=128 BN=256 CLUSTER=2 A_TRANSPOSED=0,1 B_TRANSPOSED=0,1 PAIRED=1
// variants: T=__nv_bfloat16 BM=128 BN=256 CLUSTER=2 B_TRANSPOSED=1 PAIRED=1 SLOPE=1 SLOPE_ACT=relu,gelu SUMS=1
// variants: T=__nv_bfloat16 BM=128 BN=128 PINGPONG=1 B_TRANSPOSED=1 PAIRED=1 SLOPE=1 SLOPE_ACT=gelu SUMS=1
// variants: T=__nv_bfloat16 BM=128 BN=128 PINGPONG=1 PAIRED=1 RESIDUAL=1 ACT=relu BIAS=1
// variants: T=__nv_bfloat16 BM=128 BN=128 PAIRED=0 DIRECT=1 SCALE=1 BIAS=1 ACT=relu RESIDUAL=1
// variants: T=__nv_bfloat16 BM=128 BN=128,256 PAIRED=1 SCALE=1 BIAS=1 ACT=relu RESIDUAL=2
// variants: T=__nv_bfloat16 BM=128 BN=128,256 PAIRED=1 BIAS=1 ACT=gelu DROPOUT=1 RESIDUAL=1
// variants: T=__nv_bfloat16 BM=128 BN=192,256 PAIRED=1 SCALE=1 BIAS=1 ACT=silu RESIDUAL=2 SAVE=1
// variants: T=__nv_bfloat16 BM=128 BN=256 CLUSTER=2 PAIRED=1 BIAS=1 ACT=gelu DROPOUT=1 RESIDUAL=1 SAVE=1
// variants: T=__nv_bfloat16 BM=64 BN=256 PINGPONG=1 PAIRED=1 BIAS=1 ACT=gelu DROPOUT=1 RESIDUAL=1 SAVE=1
// variants: T=__half OPERAND=__half BM=128 BN=128 PINGPONG=1 PAIRED=1 SCALE=1 BIAS=1 ACT=silu SAVE=1
// variants: T=__nv_bfloat16 BM=128 BN=256 CLUSTER=2 PAIRED=0,1 DIRECT=0,1 MOMENTS=1
// variants: T=float DIRECT=1 BM=128 BN=256 CLUSTER=2 A_TRANSPOSED=1 PAIRED=0,1
// variants: T=float DIRECT=1 BM=128 BN=128 CLUSTER=1,2 PASSES=3,6 PAIRED=1 BIAS=1 ACT=gelu SAVE=1
// variants: T=float DIRECT=1 BM=128 BN=128 PASSES=6 PAIRED=1 SLOPE=1 SLOPE_ACT=gelu SUMS=1
// variants: T=float DIRECT=1 BM=128 BN=128 PASSES=6 PAIRED=1 BIAS=1 ACT=gelu DROPOUT=1 RESIDUAL=1,2
// variants: T=float DIRECT=1 BM=128 BN=128 PASSES=6 PAIRED=1 MOMENTS=1
#include "gradlib/sm90/block.cuh"
#include "gradlib/walk.cuh"

#if defined(GRADLIB_SIM) || defined(__CUDA_ARCH_FEAT_SM90_ALL)

// Boxes: a (1, BM, 64), transposed (1, 64, 64); b (1, 64, 64), transposed (1, BN / CLUSTER, 64); y, z (1, ROWS, 64).
// fetched (1, ROWS, 64): slope, or else residual.  Grid: a multiple of CLUSTER; each block takes every grid-th tile.
extern "C" __global__ void __cluster_dims__(CLUSTER, 1, 1) __launch_bounds__(sm90::THREADS, 1)
product(const T* bias, const T* scale, const T* slope, const T* residual, const unsigned long long* key, OUT* y, OUT* z,
        float* totals, unsigned int threshold, float keep, int m, int n, int k, int products, int splits, int group,
        int a_batch, int b_batch, const __grid_constant__ TensorMap a_map, const __grid_constant__ TensorMap b_map,
        const __grid_constant__ TensorMap y_map, const __grid_constant__ TensorMap z_map,
        const __grid_constant__ TensorMap fetched_map) {
  extern __shared__ __align__(1024) unsigned char shared[];
  sm90::run(shared, sm90::Shape{m, n, k, products * splits, splits, group},
            sm90::Tiles{&a_map, &b_map, a_batch, b_batch, splits},
            Finish{bias, scale, slope, residual, key, threshold, keep, n},
            sm90::Outputs{y, z, totals, &y_map, &z_map, &fetched_map}, walk::PlainRows{m, n});
}

#endif
