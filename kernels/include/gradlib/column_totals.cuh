// What a product's epilogue adds up of each column of its result: the sum, or (MOMENTS) mean and squared deviations.
// Of fragments in which lanes 4 apart hold rows of the same column.
#pragma once

#include "gradlib/finish.cuh"
#include "gradlib/moments.cuh"

constexpr bool TOTALS = SUMS || MOMENTS;
static_assert(!(SUMS && MOMENTS), "either the sums of columns or their moments");

// One column, in one thread.  Moments are taken of the distance to a pivot, a value of the column: squares of a small
// spread around a large mean would lose it.
struct ColumnTotal {
  float pivot, sum, squares;

  // By a whole warp, of the first of its rows.
  GRADLIB_DEVICE void start(float v) {
    if constexpr (MOMENTS) pivot = __shfl_sync(0xffffffff, v, threadIdx.x % 4);
  }
  GRADLIB_DEVICE void add(float v, bool inside) {
    const float distance = inside ? v - pivot : 0.0f;
    sum += distance;
    if constexpr (MOMENTS) squares += distance * distance;
  }
  GRADLIB_DEVICE void over_lanes() {
#pragma unroll
    for (int other = 16; other >= 4; other /= 2) {
      sum += __shfl_xor_sync(0xffffffff, sum, other);
      if constexpr (MOMENTS) squares += __shfl_xor_sync(0xffffffff, squares, other);
    }
  }
};

// COLUMNS columns, of WARPS warps that hold rows of them, in shared memory.
template <int WARPS, int COLUMNS> struct ColumnTotals {
  float first[WARPS][COLUMNS];                 // sums, or means
  float second[MOMENTS ? WARPS : 1][COLUMNS];  // squared deviations
  static constexpr int BYTES = TOTALS ? (1 + MOMENTS) * WARPS * COLUMNS * 4 : 0;

  // `rows`: how many the warp has.
  GRADLIB_DEVICE void put(int warp, int column, const ColumnTotal& total, int rows) {
    if constexpr (MOMENTS) {
      const float shift = rows ? total.sum / rows : 0.0f;
      first[warp][column] = total.pivot + shift;
      second[warp][column] = larger(total.squares - total.sum * shift, 0.0f);
    } else {
      first[warp][column] = total.sum;
    }
  }
  // Write the total of a column to `to`, and its squared deviations `next` elements on.  rows(warp): how many it has.
  template <class Rows> GRADLIB_DEVICE void store(int column, float* to, long long next, const Rows& rows) const {
    if constexpr (MOMENTS) {
      Moments<float> all = {0, 0, 0};
#pragma unroll
      for (int w = 0; w < WARPS; ++w) {
        all = Merge::combine(all, Moments<float>{float(rows(w)), first[w][column], second[w][column]});
      }
      to[0] = all.mean;
      to[next] = all.m2;
    } else {
      float sum = first[0][column];
#pragma unroll
      for (int w = 1; w < WARPS; ++w) sum += first[w][column];
      to[0] = sum;
    }
  }
};
