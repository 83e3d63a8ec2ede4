// The configuration of a matrix product by mma.sync, from sm_80 on: BM x BN a block, WM x WN a warp, steps of 32 of k
// through STAGES of shared memory that cp.async fills.
#pragma once

#include "gradlib/column_totals.cuh"
#include "gradlib/ptx.cuh"
#include "gradlib/walk.cuh"

#ifndef OPERAND  // elements of A and B: __half or __nv_bfloat16
#define OPERAND __nv_bfloat16
#endif
#ifndef BM
#define BM 128
#endif
#ifndef BN
#define BN 128
#endif
#ifndef WM
#define WM 64
#endif
#ifndef WN
#define WN 32
#endif
#ifndef STAGES
#define STAGES 4
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
#ifndef ALIGNED  // 1: rows of A and B begin at multiples of 16 bytes, and cp.async takes 8 elements at a time
#define ALIGNED 1
#endif

namespace mma {

constexpr int TILE_K = 32;
constexpr int THREADS = (BM / WM) * (BN / WN) * 32;
constexpr int MI = WM / 16, NI = WN / 8;  // products of a warp
static_assert(BM % WM == 0 && BN % WN == 0 && WM % 16 == 0 && WN % 16 == 0, "warps must tile the block");

// Which plane of A meets which of B in each pass, the smallest products first; see sm90/operand.cuh.
GRADLIB_DEVICE int plane_of_a(int pass) {
  return PASSES == 6 ? 0x031132 >> 4 * pass & 15 : PASSES == 3 ? 0x031 >> 4 * pass & 15 : 0;
}
GRADLIB_DEVICE int plane_of_b(int pass) {
  return PASSES == 6 ? 0x013123 >> 4 * pass & 15 : PASSES == 3 ? 0x013 >> 4 * pass & 15 : 0;
}

// Eight elements of an operand that lie beside each other in memory, of which the first `count` are inside.
struct Chunk {
  const OPERAND* at;
  int count;
};

// A tile of EXTENT rows of A or columns of B by TILE_K in shared memory, as it stands in memory: rows of k, or, MAJOR_K 0,
// rows of the other index; 16 bytes more than a row, so that ldmatrix meets no bank twice.
template <int EXTENT, bool MAJOR_K> struct Slab {
  static constexpr int PITCH = (MAJOR_K ? TILE_K : EXTENT) + 8;
  static constexpr int SIZE = (MAJOR_K ? EXTENT : TILE_K) * PITCH;
  static constexpr int ACROSS = (MAJOR_K ? TILE_K : EXTENT) / 8;   // chunks of a row
  static constexpr int EACH = EXTENT * TILE_K / 8 / THREADS;       // chunks of a thread
  static constexpr int ROWS = THREADS / ACROSS;                    // rows that the threads take at once
  static_assert(EACH * THREADS * 8 == EXTENT * TILE_K && ROWS * ACROSS == THREADS, "threads must tile the slab");

  static GRADLIB_DEVICE int chunk() { return threadIdx.x % ACROSS * 8; }
  static GRADLIB_DEVICE int row(int j) { return threadIdx.x / ACROSS + j * ROWS; }
};

}  // namespace mma
