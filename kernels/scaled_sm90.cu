// Products of 8-bit floats on the tensor cores of sm_90a: y = finish(a_scale b_scale A B), a scale for each operand;
// A: (m, k), B: (n, k) in memory: the tensor cores take no other order of 8-bit elements.
// They keep some 14 bits of a sum, so it leaves them after every PROMOTE * 128 of k, to be added up in float32.
// The configurations are those of ops/product/choose_scaled.py.  Of a sum that is split, y is (splits, m, n).
// flops: 2 * m * n * k
// tensor: 0.5
// architectures: sm_90a
// variants: T=__nv_bfloat16 BM=128 BN=128 CLUSTER=1,2 PINGPONG=0 PAIRED=1 BIAS=0,1
// variants: T=__half OPERAND=__nv_fp8_e4m3,__nv_fp8_e5m2 OPERAND_B=__nv_fp8_e4m3,__nv_fp8_e5m2 BM=64 PINGPONG=1
// variants: T=__half BM=64 BN=64 PINGPONG=1 PAIRED=0,1 BIAS=1 ACT=gelu SAVE=1
// variants: T=float BM=128 BN=64,128 DIRECT=1 PAIRED=0,1 BIAS=1 RESIDUAL=1
// variants: T=float BM=128 BN=128 CLUSTER=2 DIRECT=1 PAIRED=1
// variants: T=float BM=64 BN=64,128 PINGPONG=1 DIRECT=1 PAIRED=0,1
#include "gradlib/float8.cuh"

#ifndef OPERAND
#define OPERAND __nv_fp8_e4m3
#endif
#ifndef FACTOR
#define FACTOR 1
#endif
#ifndef B_TRANSPOSED
#define B_TRANSPOSED 1
#endif
#include "gradlib/sm90/block.cuh"
#include "gradlib/walk.cuh"

#if defined(GRADLIB_SIM) || defined(__CUDA_ARCH_FEAT_SM90_ALL)

// a_scale, b_scale: one element each.  Boxes: a (1, BM, 128), b (1, BN / CLUSTER, 128); y, z, fetched (1, ROWS, 64).
// Grid: a multiple of CLUSTER; each block takes every grid-th tile.
extern "C" __global__ void __cluster_dims__(CLUSTER, 1, 1) __launch_bounds__(sm90::THREADS, 1)
scaled(const float* a_scale, const float* b_scale, const T* bias, const T* scale, const T* slope, const T* residual,
       const unsigned long long* key, OUT* y, OUT* z, float* totals, unsigned int threshold, float keep, int m, int n,
       int k, int splits, int group, const __grid_constant__ TensorMap a_map,
       const __grid_constant__ TensorMap b_map, const __grid_constant__ TensorMap y_map,
       const __grid_constant__ TensorMap z_map, const __grid_constant__ TensorMap fetched_map) {
  extern __shared__ __align__(1024) unsigned char shared[];
  sm90::run(shared, sm90::Shape{m, n, k, splits, splits, group}, sm90::Tiles{&a_map, &b_map, 0, 0, splits},
            Finish{bias, scale, slope, residual, key, threshold, keep, n, *a_scale * *b_scale},
            sm90::Outputs{y, z, totals, &y_map, &z_map, &fetched_map}, walk::PlainRows{m, n});
}

#endif
