// The body of every kernel on this main loop: what a block does from its first instruction to its last.
#pragma once

#include "gradlib/sm90/output.cuh"

namespace sm90 {

// Of one tile: the products of planes are exact, and leave the tensor core, which cuts off, after every 64 of k.
template <int N>
GRADLIB_DEVICE void sum_of_planes(float (&sum)[M64][N], const Ring& ring, Place& place, const Tile& tile,
                                  int first_block) {
#pragma unroll
  for (int i = 0; i < M64; ++i)
#pragma unroll
    for (int j = 0; j < N; ++j) sum[i][j] = 0;
#pragma unroll 1
  for (int k = tile.k.begin; k < tile.k.end; ++k) {
    float part[M64][N];
    multiply(part, ring, place, PASSES, first_block, [] {});
#pragma unroll
    for (int i = 0; i < M64; ++i)
#pragma unroll
      for (int j = 0; j < N; ++j) sum[i][j] += part[i][j];
  }
}

// `loads` fills a stage of a tile; `rows` says where threads store the rows of y themselves.
template <class Loads, class Rows>
GRADLIB_DEVICE void run(unsigned char* shared, const Shape& shape, const Loads& loads, const Finish& finish,
                        const Outputs& outputs, const Rows& rows) {
  unsigned char* const room = shared + STAGES * STAGE_BYTES;
  ptx::mbarrier* const bars = reinterpret_cast<ptx::mbarrier*>(room + STAGING_BYTES + TOTALS_BYTES);
  const Ring ring{shared, bars, bars + STAGES};
  const int rank = CLUSTER == 1 ? 0 : ptx::cluster_rank();
  if (threadIdx.x == 0) {
    ring.init();
    if constexpr (FETCHED) {
      for (int i = 0; i < 2 * SLOTS; ++i) ptx::mbarrier_init(bars + 2 * STAGES + i, 1);
    }
    ptx::fence_mbarrier_init();
  }
  if constexpr (CLUSTER == 1) __syncthreads();
  else ptx::cluster_sync();

  const int role = threadIdx.x / 128;
  if (role == 0) {
    ptx::setmaxnreg_dec<40>();
    if (threadIdx.x == 0) produce(ring, shape, loads, rank);
  } else {
    ptx::setmaxnreg_inc<232>();
    const int group = role - 1, first_block = PINGPONG ? 0 : group * M64;
    Staging staging(room, bars + 2 * STAGES, group);
    Place place;
    Turns turns(shape, rank, group);
    while (turns.left()) {
      const Tile tile = turns.begin(place);
      const Fragment at(shape, tile, group);
      if constexpr (FETCHED) staging.fetch<0>(outputs.fetched_map, at, 0);
      float sum[M64][BN / 2];
      if constexpr (PASSES == 1) {
        multiply(sum, ring, place, tile.steps(), first_block, [&] { turns.hand_over(); });
      } else {
        sum_of_planes(sum, ring, place, tile, first_block);
        turns.hand_over();
      }
      turns.end(place);
      store(sum, finish, at, staging, outputs, rows, shape.z);
    }
    if constexpr (!DIRECT) staging.drain();
  }
  if constexpr (CLUSTER > 1) ptx::cluster_sync();  // nobody leaves while the other may still reach its barriers
}

}  // namespace sm90
