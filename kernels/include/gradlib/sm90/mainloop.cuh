// The two roles around the ring: one thread lets tiles be copied, warpgroups multiply them.
#pragma once

#include "gradlib/sm90/operand.cuh"

namespace sm90 {

// Matrices in memory; a batch has as many steps of z as it has planes, 0 where one matrix serves all products.
struct Tiles {
  const TensorMap *a, *b;
  int a_batch, b_batch, splits;

  struct Start {};  // of a tile: nothing to prepare
  GRADLIB_DEVICE Start start(const Tile&) const { return {}; }
  GRADLIB_DEVICE void load(const Ring& ring, int stage, const Tile& tile, const Start&, int k, int pass,
                           int rank) const {
    const int product = tile.z / splits;
    ptx::mbarrier* full = ring.full + stage;
    OperandA::load(ring.a(stage), a, full, tile.m0, k * TILE_K, product * a_batch + plane_of_a(pass), 0);
    OperandB::load(ring.b(stage), b, full, tile.n0, k * TILE_K, product * b_batch + plane_of_b(pass), rank);
  }
};

// By one thread: fill the ring with the tiles of every output tile of this block, in the order of their use.
template <class Shape, class Loads>
GRADLIB_DEVICE void produce(const Ring& ring, const Shape& shape, const Loads& loads, int rank) {
  Place place;
  const int tiles = shape.tiles();
  for (int number = blockIdx.x / CLUSTER; number < tiles; number += gridDim.x / CLUSTER) {
    const Tile tile = shape.tile(number, rank);
    const typename Loads::Start start = loads.start(tile);
    for (int k = tile.k.begin; k < tile.k.end; ++k) {
#pragma unroll 1
      for (int pass = 0; pass < PASSES; ++pass) {
        ptx::mbarrier_wait_parity(ring.empty + place.stage, place.phase ^ 1);
        ptx::mbarrier_arrive_expect_tx(ring.full + place.stage, STAGE_BYTES);
        loads.load(ring, place.stage, tile, start, k, pass, rank);
        place.next();
      }
    }
  }
}

// The next 32 bytes of k of 64 rows.
template <class Left, class Right>
GRADLIB_DEVICE void multiply_add(float (&sum)[BN / 2], unsigned long long a, unsigned long long b, bool add) {
  if constexpr (sizeof(Left) == 1) ptx::wgmma_fp8<ptx::float8_t<Left>, ptx::float8_t<Right>, BN>(sum, a, b, add);
  else ptx::wgmma<Left, BN, A_TRANSPOSED, !B_TRANSPOSED>(sum, a, b, add);
}

// By a warpgroup: multiply `steps` stages into `sum`.  `arrived(step, stage)` is called when a stage is there, `issued`
// when all is on its way to the tensor core.
template <int N, class Arrived, class Issued>
GRADLIB_DEVICE void multiply(float (&sum)[M64][N], const Ring& ring, Place& place, int steps, int first_block,
                             const Arrived& arrived, const Issued& issued) {
  const unsigned long long a0 = OperandA::descriptor(ring.a(0), first_block), b0 = OperandB::descriptor(ring.b(0), 0);
  int before = -1;
#pragma unroll 1
  for (int step = 0; step < steps; ++step) {
    ptx::mbarrier_wait_parity(ring.full + place.stage, place.phase);
    arrived(step, place.stage);
    const unsigned long long a = a0 + place.stage * (STAGE_BYTES >> 4), b = b0 + place.stage * (STAGE_BYTES >> 4);
    ptx::wgmma_fence();
#pragma unroll
    for (int k = 0; k < 4; ++k) {
#pragma unroll
      for (int i = 0; i < M64; ++i) {
        multiply_add<OPERAND, OPERAND_B>(sum[i], a + k * OperandA::NEXT_K + i * OperandA::NEXT_BLOCK,
                                         b + k * OperandB::NEXT_K, step > 0 || k > 0);
      }
    }
    ptx::wgmma_commit_group();
    if (before >= 0) {
      ptx::wgmma_wait_group<1>();  // the stage before this one has been read
      ring.release(before);
    }
    before = place.stage;
    place.next();
  }
  issued();
  ptx::wgmma_wait_group<0>();
  if (before >= 0) ring.release(before);
}

// The tiles of a warpgroup, one after the other.  In ping-pong the two take turns: one begins to multiply when the other
// has issued its last product, and each skips the stages of the other's tiles.
template <class Shape> struct Turns {
  const Shape& shape;
  int rank, group, tiles, step, number;
  bool first;

  GRADLIB_DEVICE Turns(const Shape& s, int r, int warpgroup)
      : shape(s), rank(r), group(warpgroup), tiles(s.tiles()), step(gridDim.x / CLUSTER), number(blockIdx.x / CLUSTER),
        first(true) {
    if (PINGPONG && group == 1) number += step;
  }
  GRADLIB_DEVICE bool left() const { return number < tiles; }
  GRADLIB_DEVICE Tile begin(Place& place) {
    if constexpr (PINGPONG) {
      if (group == 1 && first) skip(place, number - step);
      if (group == 1 || !first) ptx::bar_sync(3 + group, 256);
      first = false;
    }
    return shape.tile(number, rank);
  }
  GRADLIB_DEVICE void hand_over() const {
    if (PINGPONG && number + step < tiles) ptx::bar_arrive(4 - group, 256);
  }
  GRADLIB_DEVICE void end(Place& place) {
    number += step;
    if (PINGPONG) {
      if (left()) skip(place, number);
      number += step;
    }
  }
  GRADLIB_DEVICE void skip(Place& place, int other) const { place.skip(shape.tile(other, rank).steps()); }
};

}  // namespace sm90
