// The weight gradient of convolutions of 1 to 3 dimensions on the tensor cores of sm_90a: an implicit product whose sum,
// over all places of all images, is split over blocks.  A_TRANSPOSED is 1: channels are contiguous, not places.
// The configurations are those of ops/product/choose_sm90.py.
// flops: 2 * places * n * groups * taps_w * taps_h * taps_d * channels
// tensor: PASSES
// architectures: sm_90a
// variants: T=float DIRECT=1 BM=128 BN=64,128,256 A_TRANSPOSED=1 PAIRED=1
// variants: T=float DIRECT=1 BM=256 BN=128 STAGES=3 A_TRANSPOSED=1 PAIRED=1
// variants: T=float DIRECT=1 BM=128 BN=128 CLUSTER=1,2 PINGPONG=0,1 A_TRANSPOSED=1 PAIRED=1
// variants: T=float DIRECT=1 BM=128 BN=192 A_TRANSPOSED=1 PAIRED=1
// variants: T=float DIRECT=1 BM=128 BN=256 CLUSTER=2 A_TRANSPOSED=1 PAIRED=1
// variants: T=float DIRECT=1 BM=64 BN=64,128,256 PINGPONG=1 A_TRANSPOSED=1 PAIRED=1
// variants: T=float DIRECT=1 BM=64 BN=64,128 PINGPONG=1 A_TRANSPOSED=1 PASSES=6 PAIRED=1
// variants: T=float DIRECT=1 BM=128 BN=64,128 CLUSTER=1 A_TRANSPOSED=1 PASSES=6 PAIRED=1
// variants: T=float DIRECT=1 BM=64 BN=64 PINGPONG=1 OPERAND=__half A_TRANSPOSED=1 PAIRED=1 DIMS=1,3
#include "gradlib/sm90/patches.cuh"

#if defined(GRADLIB_SIM) || defined(__CUDA_ARCH_FEAT_SM90_ALL)

// y (splits, taps, channels, groups * n) = the sums over places of patches of x times dz: the weight gradient, in parts.
// m: 64 times the blocks of all taps.  Boxes: a (64 pixels, 64 channels), b (1, 64, 64).
extern "C" __global__ void __cluster_dims__(CLUSTER, 1, 1) __launch_bounds__(sm90::THREADS, 1)
weight_gradient(OUT* y, int m, int n, int places, int groups, int splits, int band, int count_w, int count_h,
                int count_d, int step_w, int step_h, int step_d, int low_w, int low_h, int low_d, int taps_w,
                int taps_h, int taps_d, int offset_w, int offset_h, int offset_d, int blocks, int channels,
                int a_group, int a_plane, int b_group, int pitch,
                const __grid_constant__ TensorMap a_map, const __grid_constant__ TensorMap b_map) {
  extern __shared__ __align__(1024) unsigned char shared[];
  const walk::Walk going({count_w, count_h, count_d}, {step_w, step_h, step_d}, {low_w, low_h, low_d});
  const walk::Taps taps({taps_w, taps_h, taps_d}, {offset_w, offset_h, offset_d}, 0, {0, 0, 0}, blocks,
                        sm90::TILE_K);
  sm90::run(shared, sm90::Shape{m, n, places, groups * splits, splits, band},
            sm90::Backward{&a_map, &b_map, going, taps, splits, a_group, a_plane, b_group, m / 64 - 1},
            Finish{nullptr, nullptr, nullptr, nullptr, nullptr, 0, 0.0f, n}, sm90::Outputs{y, nullptr, nullptr, &a_map, &a_map, &a_map},
            walk::FilterRows{FastDiv(blocks), 64, taps_w * taps_h * taps_d, channels, pitch, n, splits});
}

#endif
