// Which tile of a result comes when, and which part of a sum is whose.
#pragma once

#include "gradlib/core.cuh"

namespace schedule {

struct Cell {
  int row, column;
};

// Cell `number` of rows x columns: down `band` rows, then to the next column, so that those computed at one time share
// what they read in the L2 cache.
GRADLIB_DEVICE Cell in_bands(int number, int rows, int columns, int band) {
  const int above = number / (band * columns) * band, height = smaller(band, rows - above);
  const int at = number - above * columns, column = at / height;
  return {above + at - column * height, column};
}

struct Part {
  int begin, end;
  GRADLIB_DEVICE int size() const { return larger(end - begin, 0); }
};

// Part `index` of `count` of 0, 1, ..., whole - 1; all but the last are equal.
GRADLIB_DEVICE Part part(int whole, int count, int index) {
  const int each = ceil_div(whole, count), begin = index * each;
  return {begin, smaller(begin + each, whole)};
}

}  // namespace schedule
