// The tiles of attention in 16-bit types: sizes, copies into shared memory and back, and who holds what of a fragment.
// T is the element type, D the width of a tile's rows.
#pragma once

#include "gradlib/attention.cuh"
#include "gradlib/pack.cuh"
#include "gradlib/reduce.cuh"
#include "gradlib/warp_tiles.cuh"

#ifndef T
#define T __half
#endif
#ifndef D
#define D 64
#endif

namespace attention {

using warp_tiles::lane;

constexpr int PITCH = D + 8, STEPS = D / 16;
constexpr bool BIG = D > 128;

// gradlib/ops/attention_launch.py knows the same numbers.
constexpr int WARPS = 4;                // of the forward kernel and of attention_dkv
constexpr int KEYS = BIG ? 32 : 64;     // of a step of the forward kernel and of attention_dq
constexpr int DQ_WARPS = BIG ? 2 : 4;
constexpr int QUERIES = BIG ? 16 : 32;  // of a step of attention_dkv
constexpr int STAGES = BIG ? 1 : 2;
// Of the products along a row: all at once only where the registers suffice.
constexpr int UNROLL = BIG || (D > 96 && (MASK || DROPOUT)) ? 4 : STEPS;

// Starts copying ROWS rows, from `first` on, of a matrix of `rows` rows into a tile; what is outside becomes 0.
// `wide`: the matrix is aligned to 16 bytes in every row.
template <int ROWS>
GRADLIB_DEVICE void fetch(T* tile, const T* matrix, int first, int rows, int width, bool wide) {
  for (int i = threadIdx.x; i < ROWS * D / 8; i += blockDim.x) {
    const int row = i / (D / 8), column = i % (D / 8) * 8;
    const int valid = first + row < rows ? larger(smaller(width - column, 8), 0) : 0;
    T* to = tile + row * PITCH + column;
    const T* from = valid ? matrix + (long long)(first + row) * width + column : matrix;
    if (wide) {
      ptx::cp_async<16>(to, from, valid * 2);
    } else {
#pragma unroll
      for (int k = 0; k < 8; ++k) to[k] = k < valid ? from[k] : from_acc<T>(0.0f);
    }
  }
}

GRADLIB_DEVICE bool rows_aligned(const T* matrix, int width) { return width % 8 == 0 && aligned_pack<8>(matrix); }

// Writes factor[0] and factor[1] times a warp's 16 rows, through its own rows of a tile.
GRADLIB_DEVICE void put(T* tile, const float (&sums)[D / 8][4], const float (&factor)[2], T* matrix, int first,
                        int rows, int width) {
  const bool wide = rows_aligned(matrix, width);
  __syncwarp();  // the warp has read what was there
#pragma unroll
  for (int n = 0; n < D / 8; ++n) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      *reinterpret_cast<unsigned*>(tile + (lane() / 4 + 8 * half) * PITCH + 8 * n + lane() % 4 * 2) =
          warp_tiles::pair<T>(sums[n][2 * half] * factor[half], sums[n][2 * half + 1] * factor[half]);
    }
  }
  __syncwarp();
  for (int i = lane(); i < 16 * D / 8; i += 32) {
    const int row = i / (D / 8), column = i % (D / 8) * 8;
    if (first + row >= rows || column >= width) continue;
    T* to = matrix + (long long)(first + row) * width + column;
    const T* from = tile + row * PITCH + column;
    if (wide) {
      *reinterpret_cast<Pack<T, 8>*>(to) = *reinterpret_cast<const Pack<T, 8>*>(from);
    } else {
      for (int k = 0; k < 8 && column + k < width; ++k) to[k] = from[k];
    }
  }
}

// Over the four lanes that hold a row.
template <class F> GRADLIB_DEVICE float quad(float v) {
  v = F::combine(v, shuffle_xor(v, 1));
  return F::combine(v, shuffle_xor(v, 2));
}

// Row or column of element e of block n of a fragment.
GRADLIB_DEVICE int row_of(int e) { return lane() / 4 + e / 2 * 8; }
GRADLIB_DEVICE int column_of(int n, int e) { return n * 8 + lane() % 4 * 2 + e % 2; }

// What dropout keeps of a fragment of 16 queries and 8 BLOCKS keys: bit 4 n + e for element e of block n.  Drawn ahead,
// in a loop, for the draws unrolled among the products would take all registers.
template <int BLOCKS> GRADLIB_DEVICE unsigned int kept_bits(const Head& head, int first_query, int first_key) {
  static_assert(4 * BLOCKS <= 32, "a bit for each element");
  if (!DROPOUT) return ~0u;
  unsigned int bits = 0;
#pragma unroll 1
  for (int i = 0; i < 2 * BLOCKS; ++i) {
    bits |= head.kept_two(first_query + row_of(i % 2 * 2), first_key + column_of(i / 2, 0)) << (2 * i);
  }
  return bits;
}

}  // namespace attention
