// Grouped products on the tensor cores of sm_90a: rows that are sorted by group, each group with a matrix of its own.
// y[r] = finish(x[r] B(g)) for r in group g; x: (rows, k); B: (groups, k, n) or, B_TRANSPOSED, (groups, n, k).
// Of float32 operands each matrix is four bfloat16 planes (planes.cu), of which PASSES products are added up.
// The configurations are those of ops/product/choose_sm90.py.
// flops: 2 * rows * n * k
// tensor: PASSES
// architectures: sm_90a
// variants: T=__nv_bfloat16 BM=128 BN=256 CLUSTER=1,2 PAIRED=1 BIAS=1 ACT=none,gelu SAVE=0,1
// variants: T=__nv_bfloat16 BM=128 BN=128 CLUSTER=1,2 PINGPONG=0,1 B_TRANSPOSED=0,1 PAIRED=1
// variants: T=__half OPERAND=__half BM=64 BN=64,128,256 PINGPONG=1 PAIRED=1 BIAS=1 ACT=gelu,tanh SAVE=1
// variants: T=__nv_bfloat16 BM=256 BN=128 STAGES=3 PAIRED=1 BIAS=1 ACT=gelu SAVE=1
// variants: T=__nv_bfloat16 BM=128 BN=64,192 PAIRED=0,1 DIRECT=1 BIAS=1 ACT=relu
// variants: T=__nv_bfloat16 BM=128 BN=128 PAIRED=1 RESIDUAL=1 BIAS=1 ACT=relu
// variants: T=float DIRECT=1 BM=128 BN=128 CLUSTER=1,2 PASSES=3,6 PAIRED=1 BIAS=1 ACT=gelu SAVE=1
// variants: T=float DIRECT=1 BM=128 BN=64 PASSES=6 PAIRED=1 BIAS=1 ACT=gelu SAVE=1
// variants: T=float DIRECT=1 BM=64 BN=64,128 PINGPONG=1 PASSES=6 PAIRED=1 BIAS=1 ACT=gelu SAVE=1
#include "gradlib/sm90/grouped.cuh"

#if defined(GRADLIB_SIM) || defined(__CUDA_ARCH_FEAT_SM90_ALL)

static_assert(!A_TRANSPOSED && !SUMS && !MOMENTS, "rows of x are rows in memory, and no columns are added up");

// bias, scale: (groups, n); offsets: (groups + 1,), of the groups' rows.
// Boxes: x (1, BM, 64); w (1, 64, 64), transposed (1, BN / CLUSTER, 64); y, z, fetched (1, ROWS, 64); fetched: slope or
// else residual.  Grid: a multiple of CLUSTER; each block takes every grid-th tile.
extern "C" __global__ void __cluster_dims__(CLUSTER, 1, 1) __launch_bounds__(sm90::THREADS, 1)
grouped(const int* offsets, const T* bias, const T* scale, const T* slope, const T* residual,
        const unsigned long long* key, OUT* y, OUT* z, unsigned int threshold, float keep, int rows, int groups, int n,
        int k, int group, int w_batch, const __grid_constant__ TensorMap x_map, const __grid_constant__ TensorMap w_map,
        const __grid_constant__ TensorMap y_map, const __grid_constant__ TensorMap z_map,
        const __grid_constant__ TensorMap fetched_map) {
  extern __shared__ __align__(1024) unsigned char shared[];
  sm90::run(shared, sm90::GroupedRows{{offsets, rows, groups}, n, k, group},
            sm90::RowsAndMatrices{&x_map, &w_map, w_batch},
            Finish{bias, scale, slope, residual, key, threshold, keep, n},
            sm90::Outputs{y, z, nullptr, &y_map, &z_map, &fetched_map}, ragged::Rows{n});
}

#endif
