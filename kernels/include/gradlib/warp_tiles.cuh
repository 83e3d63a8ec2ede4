// Products of a warp over tiles of 16-bit elements in shared memory, float sums in registers (mma.sync m16n8k16).
//
// A tile is ROWS x (a multiple of 16), row-major, its rows `pitch` elements apart; a pitch of 8 more than the row's
// length keeps rows 16-byte aligned and ldmatrix free of bank conflicts.
//
// Sums are fragments: of a 16 x 8 block, lane l holds (row l / 4, columns 2 (l % 4) and the next) in [0], [1] and the
// same columns of row l / 4 + 8 in [2], [3].
#pragma once

#include "gradlib/ptx.cuh"

namespace warp_tiles {

GRADLIB_DEVICE int lane() { return threadIdx.x % 32; }

// Rows row .. row + 15, columns k .. k + 15 of a tile, as the left operand.
template <class E> GRADLIB_DEVICE void left(unsigned (&a)[4], const E* tile, int pitch, int row, int k) {
  ptx::ldmatrix<4>(a, tile + (row + lane() % 16) * pitch + k + lane() / 16 * 8);
}

// Two floats as one register of a pair of E.
template <class E> GRADLIB_DEVICE unsigned pair(float low, float high);
template <> GRADLIB_DEVICE unsigned pair<__half>(float low, float high) {
  __half2 v = __floats2half2_rn(low, high);
  return *reinterpret_cast<unsigned*>(&v);
}
template <> GRADLIB_DEVICE unsigned pair<__nv_bfloat16>(float low, float high) {
  __nv_bfloat162 v = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<unsigned*>(&v);
}

// Columns 16 k .. 16 k + 15 of sums, as the left operand of the next product.
template <class E, int BLOCKS> GRADLIB_DEVICE void left(unsigned (&a)[4], const float (&sums)[BLOCKS][4], int k) {
  a[0] = pair<E>(sums[2 * k][0], sums[2 * k][1]);
  a[1] = pair<E>(sums[2 * k][2], sums[2 * k][3]);
  a[2] = pair<E>(sums[2 * k + 1][0], sums[2 * k + 1][1]);
  a[3] = pair<E>(sums[2 * k + 1][2], sums[2 * k + 1][3]);
}

// sums (16 x 8 BLOCKS) += a times the transpose of the tile's rows 0 .. 8 BLOCKS - 1, columns k .. k + 15.
template <class E, int BLOCKS>
GRADLIB_DEVICE void times_rows(float (&sums)[BLOCKS][4], const unsigned (&a)[4], const E* tile, int pitch, int k) {
  static_assert(BLOCKS % 2 == 0, "16 rows of the tile at a time");
#pragma unroll
  for (int n = 0; n < BLOCKS; n += 2) {
    unsigned b[4];
    ptx::ldmatrix<4>(b, tile + (n * 8 + lane() / 16 * 8 + lane() % 8) * pitch + k + lane() / 8 % 2 * 8);
    const unsigned first[2] = {b[0], b[1]}, second[2] = {b[2], b[3]};
    ptx::mma_m16n8k16<E>(sums[n], a, first);
    ptx::mma_m16n8k16<E>(sums[n + 1], a, second);
  }
}

// sums (16 x 8 BLOCKS) += a times the tile's rows k .. k + 15, columns 0 .. 8 BLOCKS - 1.
template <class E, int BLOCKS>
GRADLIB_DEVICE void times_columns(float (&sums)[BLOCKS][4], const unsigned (&a)[4], const E* tile, int pitch, int k) {
  static_assert(BLOCKS % 2 == 0, "16 columns of the tile at a time");
#pragma unroll
  for (int n = 0; n < BLOCKS; n += 2) {
    unsigned b[4];
    ptx::ldmatrix<4, true>(b, tile + (k + lane() % 16) * pitch + n * 8 + lane() / 16 * 8);
    const unsigned first[2] = {b[0], b[1]}, second[2] = {b[2], b[3]};
    ptx::mma_m16n8k16<E>(sums[n], a, first);
    ptx::mma_m16n8k16<E>(sums[n + 1], a, second);
  }
}

}  // namespace warp_tiles
