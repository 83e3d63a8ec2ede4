// Matrix products on the tensor cores of sm_90a, and what they pass through in dense layers (finish.cuh).
// y(z) = finish(A(z) B(z)); A: (m, k) or, A_TRANSPOSED, (k, m) in memory; B: (k, n) or, B_TRANSPOSED, (n, k).
// Of float32 operands each matrix is four bfloat16 planes (planes.cu), of which PASSES products are added up.
// The configurations are those of ops/product/choose_sm90.py.
// variants: T=__nv_bfloat16 BM=128 BN=256 CLUSTER=1,2 PAIRED=1 BIAS=1 ACT=none,relu,gelu SAVE=0,1
// variants: T=__nv_bfloat16 BM=128 BN=128 CLUSTER=1,2 PINGPONG=0,1 PAIRED=1 BIAS=1 ACT=gelu SAVE=1
// variants: T=__nv_bfloat16 BM=256 BN=128 STAGES=3 PAIRED=1 BIAS=1 ACT=gelu SAVE=1
// variants: T=__nv_bfloat16 BM=64 BN=64,128,256 PINGPONG=1 PAIRED=1 BIAS=1 ACT=gelu SAVE=1
// variants: T=__nv_bfloat16 BM=128 BN=64,192 PAIRED=1 BIAS=1 ACT=gelu SAVE=1
// variants: T=__half OPERAND=__half BM=128 BN=128 PINGPONG=1 PAIRED=1 BIAS=1 ACT=tanh,silu,mish,sigmoid,elu SAVE=1
// variants: T=__nv_bfloat16 BM=128 BN=256 CLUSTER=2 A_TRANSPOSED=0,1 B_TRANSPOSED=0,1 PAIRED=1
// variants: T=__nv_bfloat16 BM=128 BN=256 CLUSTER=2 B_TRANSPOSED=1 PAIRED=1 SLOPE=1 SLOPE_ACT=relu,gelu SUMS=1
// variants: T=__nv_bfloat16 BM=128 BN=128 PINGPONG=1 B_TRANSPOSED=1 PAIRED=1 SLOPE=1 SLOPE_ACT=gelu SUMS=1
// variants: T=__nv_bfloat16 BM=128 BN=128 PINGPONG=1 PAIRED=1 RESIDUAL=1 ACT=relu BIAS=1
// variants: T=__nv_bfloat16 BM=128 BN=128 PAIRED=0 DIRECT=1 SCALE=1 BIAS=1 ACT=relu RESIDUAL=1
// variants: T=float DIRECT=1 BM=128 BN=256 CLUSTER=2 A_TRANSPOSED=1 PAIRED=0,1
// variants: T=float DIRECT=1 BM=128 BN=128 CLUSTER=1,2 PASSES=3,6 PAIRED=1 BIAS=1 ACT=gelu SAVE=1
// variants: T=float DIRECT=1 BM=128 BN=128 PASSES=6 PAIRED=1 SLOPE=1 SLOPE_ACT=gelu SUMS=1
#include "gradlib/sm90/output.cuh"

#if defined(GRADLIB_SIM) || defined(__CUDA_ARCH_FEAT_SM90_ALL)

// Of one tile: the products of planes are exact, and leave the tensor core, which cuts off, after every 64 of k.
template <int N>
GRADLIB_DEVICE void sum_of_planes(float (&sum)[sm90::M64][N], const sm90::Ring& ring, sm90::Place& place,
                                  const sm90::Tile& tile, int first_block) {
#pragma unroll
  for (int i = 0; i < sm90::M64; ++i)
#pragma unroll
    for (int j = 0; j < N; ++j) sum[i][j] = 0;
#pragma unroll 1
  for (int k = tile.begin; k < tile.end; ++k) {
    float part[sm90::M64][N];
    sm90::multiply(part, ring, place, PASSES, first_block, [] {});
#pragma unroll
    for (int i = 0; i < sm90::M64; ++i)
#pragma unroll
      for (int j = 0; j < N; ++j) sum[i][j] += part[i][j];
  }
}

// Boxes: a (1, BM, 64), transposed (1, 64, 64); b (1, 64, 64), transposed (1, BN / CLUSTER, 64); y, z (1, ROWS, 64).
// fetched (1, ROWS, 64): slope, or else residual.  Grid: a multiple of CLUSTER; each block takes every grid-th tile.
extern "C" __global__ void __cluster_dims__(CLUSTER, 1, 1) __launch_bounds__(sm90::THREADS, 1)
product(const T* bias, const T* scale, const T* slope, const T* residual, OUT* y, OUT* z, float* sums,
        int m, int n, int k, int products, int splits, int group, int a_batch, int b_batch,
        const __grid_constant__ TensorMap a_map, const __grid_constant__ TensorMap b_map,
        const __grid_constant__ TensorMap y_map, const __grid_constant__ TensorMap z_map,
        const __grid_constant__ TensorMap fetched_map) {
  extern __shared__ __align__(1024) unsigned char shared[];
  unsigned char* const room = shared + STAGES * sm90::STAGE_BYTES;
  ptx::mbarrier* const bars = reinterpret_cast<ptx::mbarrier*>(room + sm90::STAGING_BYTES + sm90::SUMS_BYTES);
  const sm90::Ring ring{shared, bars, bars + STAGES};
  const sm90::Shape shape{m, n, k, products * splits, splits, group};
  const int rank = CLUSTER == 1 ? 0 : ptx::cluster_rank();
  if (threadIdx.x == 0) {
    ptx::prefetch_tensor_map(&a_map);
    ptx::prefetch_tensor_map(&b_map);
    ring.init();
    if constexpr (sm90::FETCHED) {
      for (int i = 0; i < 2 * sm90::SLOTS; ++i) ptx::mbarrier_init(bars + 2 * STAGES + i, 1);
      ptx::fence_mbarrier_init();
    }
  }
  if constexpr (CLUSTER == 1) __syncthreads();
  else ptx::cluster_sync();

  const int role = threadIdx.x / 128;
  if (role == 0) {
    ptx::setmaxnreg_dec<40>();
    if (threadIdx.x == 0) sm90::produce(ring, shape, sm90::Batch{a_batch, b_batch}, &a_map, &b_map, rank);
  } else {
    ptx::setmaxnreg_inc<232>();
    const Finish finish{bias, scale, slope, residual, n};
    const sm90::Outputs outputs{y, z, sums, &y_map, &z_map, &fetched_map};
    sm90::Staging staging(room, bars + 2 * STAGES, role - 1);
    sm90::Place place;
    sm90::Turns turns(shape, rank, role - 1);
    while (turns.left()) {
      const sm90::Tile tile = turns.begin(place);
      const sm90::Fragment at(shape, tile, role - 1);
      if constexpr (sm90::FETCHED) staging.fetch<0>(&fetched_map, at, 0);
      float sum[sm90::M64][BN / 2];
      const int first_block = PINGPONG ? 0 : (role - 1) * sm90::M64;
      if constexpr (PASSES == 1) {
        sm90::multiply(sum, ring, place, tile.steps(), first_block, [&] { turns.hand_over(); });
      } else {
        sum_of_planes(sum, ring, place, tile, first_block);
        turns.hand_over();
      }
      turns.end(place);
      sm90::store(sum, finish, at, staging, outputs);
    }
    if constexpr (!DIRECT) staging.drain();
  }
  if constexpr (CLUSTER > 1) ptx::cluster_sync();  // nobody leaves while the other may still reach its barriers
}

#endif
