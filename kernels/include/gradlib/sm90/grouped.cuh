// Shapes and operands of grouped products: groups of rows one after the other, of sizes that the device alone knows.
#pragma once

#include "gradlib/ragged.cuh"
#include "gradlib/sm90/block.cuh"

namespace sm90 {

template <> constexpr bool RAGGED<ragged::Rows> = true;

// Of rows of y: tiles of one group each, whose last may be short.  The copy engine loads rows of the next group with it,
// which nobody stores.
struct GroupedRows {
  static constexpr bool RAGGED_SUM = false;

  ragged::Slots<BM * CLUSTER> slots;
  int n, k, group;
  static constexpr int z = 1;

  GRADLIB_DEVICE int tiles() const { return slots.count() * ceil_div(n, BN); }
  GRADLIB_DEVICE Tile tile(int number, int rank) const {
    const schedule::Cell cell = schedule::in_bands(number, slots.count(), ceil_div(n, BN), group);
    const auto place = slots.at(cell.row);
    Tile t;
    t.m0 = place.row + rank * BM;
    t.m = place.end;
    t.n0 = cell.column * BN;
    t.z = place.group;
    t.split = 0;
    t.k = {0, place.empty() ? 0 : ceil_div(k, TILE_K)};
    return t;
  }
};

// Of sums over the rows of a group: y(group) = a^T b.
struct GroupedDepth {
  static constexpr bool RAGGED_SUM = true;

  const int* offsets;
  int m, n, z, splits, group;  // z: groups times splits

  GRADLIB_DEVICE int tiles() const { return Shape{m, n, 0, z, splits, group}.tiles(); }
  GRADLIB_DEVICE int size(int z) const { return offsets[z / splits + 1] - offsets[z / splits]; }
  GRADLIB_DEVICE Tile tile(int number, int rank) const {
    Tile t(Shape{m, n, 0, z, splits, group}, number, rank);
    t.k = schedule::part(ceil_div(size(t.z), TILE_K), splits, t.split);
    return t;
  }

  // The last step's stage holds rows of the next group too: fill them with zeros, by all who multiply it.
  GRADLIB_DEVICE void cut(const Ring& ring, int stage, const Tile& tile, int k) const {
    const int left = size(tile.z) - k * TILE_K;
    if (left >= TILE_K) return;
    constexpr int HELPERS = GROUPS * 128, BOXES = (BM + BN) / 64;
    unsigned char* const tiles = ring.a(stage);  // then those of b: boxes of 64 rows of 128 bytes
    const int chunks = (TILE_K - left) * 8;
    for (int i = threadIdx.x % HELPERS; i < BOXES * chunks; i += HELPERS) {
      *reinterpret_cast<uint4*>(tiles + i / chunks * 8192 + left * 128 + i % chunks * 16) = uint4{0, 0, 0, 0};
    }
    ptx::fence_proxy_async();
    ptx::bar_sync(PINGPONG ? threadIdx.x / 128 : 3, HELPERS);
  }
};

// Matrices whose rows are those of the groups: as a of GroupedRows, with a matrix b for each group; and both of
// GroupedDepth.
struct RowsAndMatrices {
  const TensorMap *a, *b;
  int b_batch;

  struct Start {};
  GRADLIB_DEVICE Start start(const Tile&) const { return {}; }
  GRADLIB_DEVICE void load(const Ring& ring, int stage, const Tile& tile, const Start&, int k, int pass,
                           int rank) const {
    ptx::mbarrier* full = ring.full + stage;
    OperandA::load(ring.a(stage), a, full, tile.m0, k * TILE_K, plane_of_a(pass), 0);
    OperandB::load(ring.b(stage), b, full, tile.n0, k * TILE_K, tile.z * b_batch + plane_of_b(pass), rank);
  }
};
struct RowsAndRows {
  const TensorMap *a, *b;
  const int* offsets;
  int splits;

  struct Start {
    int row;
  };
  GRADLIB_DEVICE Start start(const Tile& tile) const { return {offsets[tile.z / splits]}; }
  GRADLIB_DEVICE void load(const Ring& ring, int stage, const Tile& tile, const Start& s, int k, int pass,
                           int rank) const {
    ptx::mbarrier* full = ring.full + stage;
    OperandA::load(ring.a(stage), a, full, tile.m0, s.row + k * TILE_K, plane_of_a(pass), 0);
    OperandB::load(ring.b(stage), b, full, tile.n0, s.row + k * TILE_K, plane_of_b(pass), rank);
  }
};

}  // namespace sm90
