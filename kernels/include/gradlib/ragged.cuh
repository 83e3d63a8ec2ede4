// Rows that belong to groups, one group after the other, of sizes that the device alone knows.
// Group g has rows offsets[g] to offsets[g + 1]; those behind the last group belong to none.
#pragma once

#include "gradlib/schedule.cuh"
#include "gradlib/walk.cuh"

namespace ragged {

// Tiles of HEIGHT rows have slots, those of group g from offsets[g] / HEIGHT + g on: as many as it can need, and found
// without counting the tiles of the groups before.  Some stay empty.
template <int HEIGHT> struct Slots {
  const int* offsets;
  int rows, groups;

  GRADLIB_DEVICE int count() const { return rows / HEIGHT + groups; }
  GRADLIB_DEVICE int first(int group) const { return offsets[group] / HEIGHT + group; }

  struct Place {
    int group, row, end;  // the tile's first row, and the group's last but one: an empty slot has row >= end
    GRADLIB_DEVICE bool empty() const { return row >= end; }
  };
  GRADLIB_DEVICE Place at(int slot) const {
    int low = 0, high = groups - 1;
    while (low < high) {
      const int middle = (low + high + 1) / 2;
      if (first(middle) <= slot) low = middle;
      else high = middle - 1;
    }
    return {low, offsets[low] + (slot - first(low)) * HEIGHT, offsets[low + 1]};
  }
};

// Part `index` of `count` of a group's rows, all but the last of them equal multiples of STEP.
template <int STEP> GRADLIB_DEVICE schedule::Part part(const int* offsets, int group, int count, int index) {
  const int begin = offsets[group], end = offsets[group + 1];
  const schedule::Part steps = schedule::part(ceil_div(end - begin, STEP), count, index);
  return {smaller(begin + steps.begin * STEP, end), smaller(begin + steps.end * STEP, end)};
}

// Where such rows lie in y, (rows, n), and the columns of the group's own bias and scale, (groups, n).
struct Rows {
  int n;
  GRADLIB_DEVICE int columns_before(int group) const { return group * n; }
  GRADLIB_DEVICE long long offset(int, int row) const { return (long long)row * n; }
};

}  // namespace ragged
