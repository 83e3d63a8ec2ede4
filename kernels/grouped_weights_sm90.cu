// The gradient of a grouped product in its matrices, on the tensor cores of sm_90a: y(g) = sum over r in group g of
// a[r]^T b[r], of a (rows, m) and b (rows, n).
// Of float32 operands each matrix is four bfloat16 planes (planes.cu), of which PASSES products are added up.
// The configurations are those of ops/product/choose_sm90.py.
// architectures: sm_90a
// variants: T=__nv_bfloat16 A_TRANSPOSED=1 BM=128 BN=128,256 CLUSTER=1,2 PAIRED=1
// variants: T=__nv_bfloat16 A_TRANSPOSED=1 BM=128 BN=128 CLUSTER=1,2 PINGPONG=1 PAIRED=1
// variants: T=__half OPERAND=__half A_TRANSPOSED=1 BM=64 BN=64,128,256 PINGPONG=1 PAIRED=1
// variants: T=__nv_bfloat16 A_TRANSPOSED=1 BM=256 BN=128 STAGES=3 PAIRED=1
// variants: T=float A_TRANSPOSED=1 DIRECT=1 BM=128 BN=64,192 PAIRED=0,1
// variants: T=float A_TRANSPOSED=1 DIRECT=1 BM=128 BN=128 CLUSTER=1,2 PASSES=3,6 PAIRED=1
// variants: T=float A_TRANSPOSED=1 DIRECT=1 BM=128 BN=64 PASSES=6 PAIRED=1
// variants: T=float A_TRANSPOSED=1 DIRECT=1 BM=64 BN=64,128 PINGPONG=1 PASSES=6 PAIRED=1
#include "gradlib/sm90/grouped.cuh"

#if defined(GRADLIB_SIM) || defined(__CUDA_ARCH_FEAT_SM90_ALL)

// y: (groups * splits, m, n); offsets: (groups + 1,), of the groups' rows.  Boxes: a, b (1, 64, 64); y (1, ROWS, 64).
// Grid: a multiple of CLUSTER; each block takes every grid-th tile.
extern "C" __global__ void __cluster_dims__(CLUSTER, 1, 1) __launch_bounds__(sm90::THREADS, 1)
grouped_weights(const int* offsets, OUT* y, int m, int n, int groups, int splits, int group,
                const __grid_constant__ TensorMap a_map, const __grid_constant__ TensorMap b_map,
                const __grid_constant__ TensorMap y_map) {
  extern __shared__ __align__(1024) unsigned char shared[];
  sm90::run(shared, sm90::GroupedDepth{offsets, m, n, groups * splits, splits, group},
            sm90::RowsAndRows{&a_map, &b_map, offsets, splits},
            Finish{nullptr, nullptr, nullptr, nullptr, nullptr, 0, 0.0f, n},
            sm90::Outputs{y, nullptr, nullptr, &y_map, nullptr, nullptr}, walk::PlainRows{m, n});
}

#endif
