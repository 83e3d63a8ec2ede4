// Convolutions of 1 to 3 dimensions on the tensor cores of sm_90a: implicit products (sm90/patches.cuh) of images NHWC and
// filters (taps, channels / groups, features), with the epilogues of finish.cuh.
// The configurations are those of ops/product/choose_sm90.py.
// flops: 2 * m * n * groups * taps_w * taps_h * taps_d * a_group
// tensor: PASSES
// architectures: sm_90a
// variants: T=__nv_bfloat16 BM=128 BN=64,128,256 DIMS=2 PAIRED=1 BIAS=1 ACT=none,relu
// variants: T=__nv_bfloat16 BM=256 BN=128 STAGES=3 PAIRED=1 BIAS=1 ACT=relu
// variants: T=__nv_bfloat16 BM=128 BN=192 PAIRED=1 BIAS=1 ACT=relu
// variants: T=__nv_bfloat16 BM=128 BN=256 CLUSTER=2 PAIRED=1 BIAS=1 ACT=relu
// variants: T=__nv_bfloat16 BM=64 BN=128,256 PINGPONG=1 PAIRED=1 BIAS=1 ACT=relu
// variants: T=float DIRECT=1 BM=128 BN=128 CLUSTER=2 PASSES=6 PAIRED=1 BIAS=1 ACT=relu
// variants: T=float DIRECT=1 BM=64 BN=64,128 PINGPONG=1 PASSES=6 PAIRED=1 BIAS=1 ACT=relu
// variants: T=__nv_bfloat16 BM=128 BN=128 CLUSTER=1,2 PINGPONG=0,1 PAIRED=1 BIAS=1 ACT=gelu SAVE=1
// variants: T=__half OPERAND=__half BM=64 BN=64 PINGPONG=1 DIMS=1,3 PAIRED=1 BIAS=1 ACT=silu SAVE=1
// variants: T=__nv_bfloat16 BM=128 BN=64,128 DIMS=2 PAIRED=1 SCALE=1 BIAS=1 ACT=relu RESIDUAL=2
// variants: T=__nv_bfloat16 BM=128 BN=256 DIMS=2 PAIRED=1 SCALE=1 BIAS=1 ACT=silu RESIDUAL=2 SAVE=1
// variants: T=__nv_bfloat16 BM=128 BN=64,128,256 DIMS=2 PAIRED=1 MOMENTS=1
// variants: T=__nv_bfloat16 BM=128 BN=64,128,256 B_TRANSPOSED=1 PAIRED=1
// variants: T=__nv_bfloat16 BM=128 BN=128 B_TRANSPOSED=1 DIRECT=1 PAIRED=1
// variants: T=__nv_bfloat16 BM=128 BN=256 B_TRANSPOSED=1 DIRECT=1 PAIRED=1 BIAS=1 ACT=gelu SAVE=1
// variants: T=float DIRECT=1 OPERAND=__nv_bfloat16 BM=128 BN=64,128,256 PAIRED=1 B_TRANSPOSED=0,1
// variants: T=float DIRECT=1 BM=128 BN=64,128 PASSES=3,6 PAIRED=1 BIAS=1 ACT=relu
// variants: T=float DIRECT=1 BM=128 BN=64,128 PASSES=6 PAIRED=1 MOMENTS=1
// variants: T=float DIRECT=1 BM=128 BN=64,128 PASSES=6 PAIRED=1 B_TRANSPOSED=1
#include "gradlib/sm90/patches.cuh"

#if defined(GRADLIB_SIM) || defined(__CUDA_ARCH_FEAT_SM90_ALL)

// y (places, groups * n) = finish(patches of x times filters): the forward pass; with B_TRANSPOSED the data gradient, also
// the transposed convolution, of stride 1, or one class of a larger stride, whose x is dz.  count, step, low: the walk of
// the filter's base over x; taps, offset, first, matrix: the filter's taps; size, origin, stride: where the rows of y lie,
// if the threads store them.
// splits > 1, of one group: y (splits, m, n) are the parts of the sum, stored by the threads, without steps.
// Boxes: a (BM pixels, 64 channels); b (1, 64, 64), transposed (1, BN / CLUSTER, 64); y, z, fetched (1, ROWS, 64).
extern "C" __global__ void __cluster_dims__(CLUSTER, 1, 1) __launch_bounds__(sm90::THREADS, 1)
convolve(const T* bias, const T* scale, const T* slope, const T* residual, const unsigned long long* key, OUT* y,
         OUT* z, float* totals, unsigned int threshold, float keep, int m, int n, int groups, int band, int count_w,
         int count_h, int count_d, int step_w, int step_h, int step_d, int low_w, int low_h, int low_d, int taps_w,
         int taps_h, int taps_d, int offset_w, int offset_h, int offset_d, int first, int matrix_w, int matrix_h,
         int matrix_d, int splits, int blocks, int a_group, int a_plane, int b_group, int b_plane, int size_w, int size_h,
         int size_d, int origin_w, int origin_h, int origin_d, int stride_w, int stride_h, int stride_d, int pitch,
         const __grid_constant__ TensorMap a_map, const __grid_constant__ TensorMap b_map,
         const __grid_constant__ TensorMap y_map, const __grid_constant__ TensorMap z_map,
         const __grid_constant__ TensorMap fetched_map) {
  extern __shared__ __align__(1024) unsigned char shared[];
  const walk::Walk places({count_w, count_h, count_d}, {step_w, step_h, step_d}, {low_w, low_h, low_d});
  const walk::Taps taps({taps_w, taps_h, taps_d}, {offset_w, offset_h, offset_d}, first,
                        {matrix_w, matrix_h, matrix_d}, blocks, sm90::TILE_K);
  const int depth = taps_w * taps_h * taps_d * blocks * sm90::TILE_K;
  sm90::run(shared, sm90::Shape{m, n, depth, groups * splits, splits, band},
            sm90::Forward{&a_map, &b_map, places, taps, splits, a_group, a_plane, b_group, b_plane},
            Finish{bias, scale, slope, residual, key, threshold, keep, n},
            sm90::Outputs{y, z, totals, &y_map, &z_map, &fetched_map},
            walk::MapRows{places, {size_w, size_h, size_d}, {origin_w, origin_h, origin_d},
                          {stride_w, stride_h, stride_d}, m, pitch, splits > 1 ? m * n : n, 1});
}

#endif
