// The weight gradient of convolutions of 1 to 3 dimensions on tensor cores from sm_80 on: an implicit product whose sum,
// over all places of all images, is split over blocks.  A_TRANSPOSED is 1: channels are contiguous, not places.
// The configurations are those of ops/product/choose_mma.py.
// flops: 2 * places * pitch * taps_w * taps_h * taps_d * channels
// tensor: PASSES
// variants: T=float A_TRANSPOSED=1 PAIRED=1 ALIGNED=0,1
// variants: T=float BM=128 BN=64 WM=64 WN=32 A_TRANSPOSED=1 PAIRED=1
// variants: T=float BM=64 BN=128 WM=32 WN=32 A_TRANSPOSED=1 PAIRED=1
// variants: T=float BM=64 BN=128 WM=32 WN=32 A_TRANSPOSED=1 PASSES=6 PAIRED=1
// variants: T=float OPERAND=__half BM=64 BN=64 WM=32 WN=32 A_TRANSPOSED=1 DIMS=1,2,3
// variants: T=float BM=64 BN=64 WM=32 WN=32 A_TRANSPOSED=1 PASSES=3,6 PAIRED=1
#include "gradlib/mma/patches.cuh"

// y (splits, taps, channels, groups * n) = the sums over places of patches of x times dz, in parts.
// Grid: (tiles, 1, groups * splits); dynamic shared memory: STAGES slabs of A and of B.
extern "C" __global__ void __launch_bounds__(mma::THREADS, 1)
weight_gradient_mma(const OPERAND* x, const OPERAND* dz, OUT* y, int n, int places, int splits, int band, int count_w,
                    int count_h, int count_d, int step_w, int step_h, int step_d, int low_w, int low_h, int low_d,
                    int taps_w, int taps_h, int taps_d, int offset_w, int offset_h, int offset_d, int channels, int x_w,
                    int x_h, int x_d, long long x_pitch, long long x_plane, long long dz_pitch, long long dz_plane,
                    int pitch) {
  extern __shared__ __align__(16) unsigned char memory[];
  const walk::Walk going({count_w, count_h, count_d}, {step_w, step_h, step_d}, {low_w, low_h, low_d});
  const walk::Taps taps({taps_w, taps_h, taps_d}, {offset_w, offset_h, offset_d}, 0, {0, 0, 0},
                        ceil_div(channels, mma::WIDTH), mma::WIDTH);
  const int count = taps_w * taps_h * taps_d, padded = ceil_div(channels, mma::WIDTH) * mma::WIDTH;
  const int m = count * padded;
  const mma::Map map{x, {x_w, x_h, x_d}, x_pitch, x_plane, channels, splits};
  mma::run(memory, mma::Shape{m, n, places, splits, band}, mma::PatchColumns{map, going, taps, m},
           mma::Matrix<false>{dz, dz_pitch, n, dz_plane, n, splits, false},
           Finish{nullptr, nullptr, nullptr, nullptr, nullptr, 0, 0.0f, n}, mma::Outputs{y, nullptr, nullptr},
           walk::FilterRows{FastDiv(1), padded, count, channels, pitch, n, splits});
}
