// Convolutions of 1 to 3 dimensions on tensor cores from sm_80 on: implicit products (mma/patches.cuh) of images NHWC and
// filters (taps, channels / groups, features), with the epilogues of finish.cuh.  Arguments as in conv_sm90.cu.
// The configurations are those of ops/product/choose_mma.py.
// flops: 2 * m * n * taps_w * taps_h * taps_d * channels
// tensor: PASSES
// bytes: size(OPERAND) * b_planes * channels * (m * x_w * x_h * x_d / (count_w * count_h * count_d) + n * taps_w * taps_h * taps_d) + size(OUT) * m * n
// variants: T=__nv_bfloat16 PAIRED=1 ALIGNED=0,1 BIAS=1 ACT=none,relu
// variants: T=__nv_bfloat16 BM=64 BN=128 WM=32 WN=32 PAIRED=1 BIAS=1 ACT=relu
// variants: T=__half OPERAND=__half BM=64 BN=64 WM=32 WN=32 DIMS=1,2,3 BIAS=1 ACT=gelu SAVE=1
// variants: T=__nv_bfloat16 BM=128 BN=64 PAIRED=1 SCALE=1 BIAS=1 ACT=relu RESIDUAL=2
// variants: T=__nv_bfloat16 BM=128 BN=64,128 PAIRED=1 MOMENTS=1
// variants: T=__nv_bfloat16 B_TRANSPOSED=1 PAIRED=0,1 ALIGNED=0,1
// variants: T=__nv_bfloat16 B_TRANSPOSED=1 PAIRED=1 BIAS=1 ACT=gelu SAVE=1
// variants: T=float OPERAND=__nv_bfloat16,__half BM=64 BN=64,128 WM=32 WN=32 PAIRED=1 B_TRANSPOSED=0,1
// variants: T=float BM=64 BN=64,128 WM=32 WN=32 PASSES=6 PAIRED=1 BIAS=1 ACT=relu
// variants: T=float BM=64 BN=64 WM=32 WN=32 PASSES=3,6 PAIRED=1 B_TRANSPOSED=1
#include "gradlib/mma/patches.cuh"

// Grid: (tiles, 1, splits); dynamic shared memory: STAGES slabs of A and of B.  b_planes: planes of each filter matrix.
// Of one group; splits > 1: y (splits, m, n) are the parts of the sum, without steps.  Without any taps sums are 0.
extern "C" __global__ void __launch_bounds__(mma::THREADS, 1)
convolve_mma(const OPERAND* x, const OPERAND* w, const T* bias, const T* scale, const T* slope, const T* residual,
             const unsigned long long* key, OUT* y, OUT* z, float* totals, unsigned int threshold, float keep, int m,
             int n, int band, int count_w, int count_h, int count_d, int step_w, int step_h, int step_d, int low_w,
             int low_h, int low_d, int taps_w, int taps_h, int taps_d, int offset_w, int offset_h, int offset_d,
             int first, int matrix_w, int matrix_h, int matrix_d, int splits, int channels, int x_w, int x_h, int x_d,
             long long x_pitch, long long x_plane, int b_planes, long long w_pitch, int size_w, int size_h, int size_d,
             int origin_w, int origin_h, int origin_d, int stride_w, int stride_h, int stride_d, int pitch) {
  extern __shared__ __align__(16) unsigned char memory[];
  const walk::Walk places({count_w, count_h, count_d}, {step_w, step_h, step_d}, {low_w, low_h, low_d});
  const walk::Taps taps({taps_w, taps_h, taps_d}, {offset_w, offset_h, offset_d}, first,
                        {matrix_w, matrix_h, matrix_d}, ceil_div(channels, mma::WIDTH), mma::WIDTH);
  const int padded = ceil_div(channels, mma::WIDTH) * mma::WIDTH, depth = taps_w * taps_h * taps_d * padded;
  const mma::Map map{x, {x_w, x_h, x_d}, x_pitch, x_plane, channels, splits};
  const mma::PatchRows a{map, places, taps, m};
  const mma::Shape shape{m, n, depth, splits, band};
  const Finish finish{bias, scale, slope, residual, key, threshold, keep, n};
  const mma::Outputs out{y, z, totals};
  const walk::MapRows rows{places, {size_w, size_h, size_d}, {origin_w, origin_h, origin_d},
                           {stride_w, stride_h, stride_d}, m, pitch, splits > 1 ? m * n : n, 1};
  if constexpr (B_TRANSPOSED) {  // n channels, of which each matrix has a row of features
    const mma::FilterColumns b{w, taps, n, channels, splits, w_pitch, n * w_pitch, 1};
    mma::run(memory, shape, a, b, finish, out, rows);
  } else {
    const mma::FilterRows b{w, channels, n, splits, w_pitch, b_planes, FastDiv(padded)};
    mma::run(memory, shape, a, b, finish, out, rows);
  }
}
