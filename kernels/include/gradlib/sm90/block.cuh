// The body of every kernel on this main loop: what a block does from its first instruction to its last.
#pragma once

#include "gradlib/sm90/output.cuh"

namespace sm90 {

template <int N> GRADLIB_DEVICE void clear(float (&sum)[M64][N]) {
#pragma unroll
  for (int i = 0; i < M64; ++i)
#pragma unroll
    for (int j = 0; j < N; ++j) sum[i][j] = 0;
}

// Of one tile: the sums leave the tensor core, which cuts off, after every CHUNK steps: of planes, whose products are
// exact, after every 64 of k.
template <int N, class Arrived>
GRADLIB_DEVICE void sum_of_chunks(float (&sum)[M64][N], const Ring& ring, Place& place, const Tile& tile,
                                  int first_block, const Arrived& arrived) {
  clear(sum);
#pragma unroll 1
  for (int done = 0; done < tile.steps(); done += CHUNK) {
    float part[M64][N];
    multiply(part, ring, place, PASSES > 1 ? CHUNK : smaller(CHUNK, tile.steps() - done), first_block,
             [&](int step, int stage) { arrived((done + step) / PASSES, stage); }, [] {});
#pragma unroll
    for (int i = 0; i < M64; ++i)
#pragma unroll
      for (int j = 0; j < N; ++j) sum[i][j] += part[i][j];
  }
}

// `loads` fills a stage of a tile; `rows` says where threads store the rows of y themselves.
template <class Shape, class Loads, class Rows>
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
    Turns<Shape> turns(shape, rank, group);
    while (turns.left()) {
      const Tile tile = turns.begin(place);
      const Fragment at(shape, tile, group);
      const bool some = !RAGGED<Rows> || at.m0 < at.m;
      if constexpr (FETCHED) {
        if (some) staging.fetch<0, RAGGED<Rows>>(outputs.fetched_map, at, 0);
      }
      float sum[M64][BN / 2];
      const auto arrived = [&](int step, int stage) {
        if constexpr (Shape::RAGGED_SUM) shape.cut(ring, stage, tile, tile.k.begin + step);
      };
      if constexpr (CHUNK == 0) {
        multiply(sum, ring, place, tile.steps(), first_block, arrived, [&] { turns.hand_over(); });
        if constexpr (Shape::RAGGED_SUM) {
          if (tile.steps() == 0) clear(sum);
        }
      } else {
        sum_of_chunks(sum, ring, place, tile, first_block, arrived);
        turns.hand_over();
      }
      turns.end(place);
      if (some) store(sum, finish, at, staging, outputs, rows, shape.z);
    }
    if constexpr (!DIRECT) staging.drain();
  }
  if constexpr (CLUSTER > 1) ptx::cluster_sync();  // nobody leaves while the other may still reach its barriers
}

}  // namespace sm90
