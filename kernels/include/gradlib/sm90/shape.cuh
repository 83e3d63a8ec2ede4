// The configuration of a matrix product for sm_90a, and the order in which its tiles are computed.
//
// C(z, m, n) = sum over k of A(z, m, k) B(z, k, n).  A block has three warpgroups: one lets the copy engine fill a ring of
// stages with tiles of A and B, two multiply.  Blocks stay, and take tile after tile.
#pragma once

#include "gradlib/ptx.cuh"
#include "gradlib/schedule.cuh"

#ifndef OPERAND  // elements of A and B: __half, __nv_bfloat16, or 8-bit floats (float8.cuh)
#define OPERAND __nv_bfloat16
#endif
#ifndef OPERAND_B  // elements of B, if another kind of 8-bit floats
#define OPERAND_B OPERAND
#endif
#ifndef BM  // rows of a tile
#define BM 128
#endif
#ifndef BN  // columns of a tile, a multiple of 64 up to 256
#define BN 128
#endif
#ifndef STAGES
#define STAGES 4
#endif
#ifndef CLUSTER  // blocks (1 or 2) whose tiles lie below each other, and share the tile of B
#define CLUSTER 1
#endif
#ifndef PINGPONG  // 1: each warpgroup multiplies tiles of its own, so that one stores while the other multiplies
#define PINGPONG 0
#endif
#ifndef A_TRANSPOSED  // 1: A stands in memory as (k, m)
#define A_TRANSPOSED 0
#endif
#ifndef B_TRANSPOSED  // 1: B stands in memory as (n, k)
#define B_TRANSPOSED 0
#endif
#ifndef PASSES  // products of planes that make one product of float32 operands: 1 (of A and B themselves), 3 or 6
#define PASSES 1
#endif

#ifndef PROMOTE  // steps of 128 bytes of k after which sums of 8-bit floats leave the tensor core, which keeps 14 bits
#define PROMOTE 2
#endif

namespace sm90 {

constexpr int TILE_K = 128 / sizeof(OPERAND);  // one span of the swizzle
constexpr int CHUNK = PASSES > 1 ? PASSES : sizeof(OPERAND) == 1 ? PROMOTE : 0;  // steps that are summed apart, if any
static_assert(sizeof(OPERAND) == sizeof(OPERAND_B), "operands of one width");
static_assert(sizeof(OPERAND) == 2 || (!A_TRANSPOSED && B_TRANSPOSED && PASSES == 1), "of 8 bits k must be contiguous");
constexpr int THREADS = 384;
constexpr int GROUPS = PINGPONG ? 1 : 2;  // warpgroups that share a tile
constexpr int ROWS = BM / GROUPS;         // of a tile that one warpgroup computes
constexpr int M64 = ROWS / 64;
static_assert(BM % (64 * GROUPS) == 0 && BM <= 256, "a warpgroup multiplies 64 rows at a time");
static_assert(BN % 64 == 0 && BN <= 256, "tiles of B are loaded 64 columns at a time");
static_assert(CLUSTER == 1 || (CLUSTER == 2 && (B_TRANSPOSED || BN % 128 == 0)), "each block loads half of B's tile");

constexpr int A_BYTES = BM * 128, B_BYTES = BN * 128, STAGE_BYTES = A_BYTES + B_BYTES;

struct Tile;

// A shape says how many tiles there are and which is which.  RAGGED_SUM: groups are added up, of any number of rows.
struct Shape {
  static constexpr bool RAGGED_SUM = false;

  int m, n, k, z;      // z: independent products, times splits
  int splits;          // parts of the sum over k, each a tile of its own
  int group;           // rows of tiles that are computed together, for the L2 cache

  GRADLIB_DEVICE int rows() const { return ceil_div(m, BM * CLUSTER); }
  GRADLIB_DEVICE int columns() const { return ceil_div(n, BN); }
  GRADLIB_DEVICE int tiles() const { return rows() * columns() * z; }
  GRADLIB_DEVICE Tile tile(int number, int rank) const;
};

struct Tile {
  int m0, m, n0, z, split;  // m: where the rows end
  schedule::Part k;  // in TILE_K

  Tile() = default;
  // The tile of that number, for this block of the cluster.
  GRADLIB_DEVICE Tile(const Shape& s, int number, int rank) {
    const int rows = s.rows(), columns = s.columns();
    z = number / (rows * columns);
    split = z % s.splits;
    const schedule::Cell cell = schedule::in_bands(number - z * rows * columns, rows, columns, s.group);
    m0 = (cell.row * CLUSTER + rank) * BM;
    m = s.m;
    n0 = cell.column * BN;
    k = schedule::part(ceil_div(s.k, TILE_K), s.splits, split);
  }
  GRADLIB_DEVICE int steps() const { return k.size() * PASSES; }
};

GRADLIB_DEVICE Tile Shape::tile(int number, int rank) const { return Tile(*this, number, rank); }

}  // namespace sm90
