"""The index maths of the product kernels: every tile, every part of a sum, every place and every byte once."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradlib.ops.product.geometry import Window, classes
from gradlib.testing import run_kernel

few = settings(max_examples=25, deadline=None)

TILES = r"""
#include "gradlib/sm90/shape.cuh"
extern "C" __global__ void tiles(int* seen, int m, int n, int k, int products, int splits, int group, int steps) {
  const sm90::Shape shape{m, n, k, products * splits, splits, group};
  for (int number = threadIdx.x; number < shape.tiles(); number += 32) {
    for (int rank = 0; rank < CLUSTER; ++rank) {
      const sm90::Tile tile(shape, number, rank);
      if (tile.n0 >= n || tile.split != tile.z % splits) seen[0] = -1000000;
      if (tile.m0 >= m) continue;  // the other block of a cluster at the ragged edge
      const int at = (tile.z * ceil_div(m, BM) + tile.m0 / BM) * shape.columns() + tile.n0 / BN;
      for (int i = tile.k.begin; i < tile.k.end; ++i) seen[at * steps + i] += 1;
    }
  }
}
"""


@few
@given(
    st.integers(1, 3000),
    st.integers(1, 1500),
    st.integers(1, 3000),
    st.integers(1, 3),
    st.integers(1, 9),
    st.integers(1, 12),
    st.sampled_from([1, 2]),
)
def test_every_tile_comes_once_and_every_step_of_k_once(m, n, k, products, splits, group, cluster):
    bm, bn, steps = 128, 128, -(-k // 64)
    shape = (products, splits, -(-m // bm), -(-n // bn), steps)
    seen = np.zeros(shape, np.int32)
    macros = {"BM": bm, "BN": bn, "CLUSTER": cluster}
    run_kernel(TILES, "tiles", 1, 32, [seen, m, n, k, products, splits, group, steps], macros=macros, check=False)
    assert (seen.sum(1) == 1).all()  # over the splits: each step belongs to one
    used = seen.any((0, 2, 3))  # (splits, steps)
    assert all((np.diff(np.flatnonzero(row)) == 1).all() for row in used)  # neighbours


RAGGED = r"""
#include "gradlib/ragged.cuh"
extern "C" __global__ void ragged_rows(const int* offsets, int* seen, int* parts, int rows, int groups, int splits) {
  const ragged::Slots<64> slots{offsets, rows, groups};
  for (int slot = 0; slot < slots.count(); ++slot) {
    const auto at = slots.at(slot);
    for (int row = at.row; row < smaller(at.row + 64, at.end); ++row) seen[row] += 1 + at.group;
  }
  for (int group = 0; group < groups; ++group) {
    for (int index = 0; index < splits; ++index) {
      const schedule::Part part = ragged::part<32>(offsets, group, splits, index);
      for (int row = part.begin; row < part.end; ++row) parts[row] += 1 + group;
    }
  }
}
"""


@few
@given(st.lists(st.integers(0, 200), min_size=1, max_size=40), st.integers(0, 100), st.integers(1, 5))
def test_every_row_of_every_group_comes_once(sizes, behind, splits):
    """In the slots of tiles, and in the parts of a sum; and those behind the groups not at all."""
    offsets = np.cumsum([0, *sizes]).astype(np.int32)
    rows = int(offsets[-1]) + behind
    seen, parts = np.zeros(rows + 1, np.int32), np.zeros(rows + 1, np.int32)
    run_kernel(RAGGED, "ragged_rows", 1, 1, [offsets, seen, parts, rows, len(sizes), splits])
    group = np.repeat(np.arange(len(sizes)), sizes) + 1
    for found in (seen, parts):
        np.testing.assert_array_equal(found, np.pad(group, (0, behind + 1)))


CELLS = r"""
#include "gradlib/schedule.cuh"
extern "C" __global__ void cells(int* seen, int rows, int columns, int band) {
  const int number = blockIdx.x;
  const schedule::Cell cell = schedule::in_bands(number, rows, columns, band);
  seen[cell.row * columns + cell.column] += 1 + number;
}
"""


@few
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 50))
def test_bands_are_a_permutation(rows, columns, band):
    seen = np.zeros((rows, columns), np.int32)
    run_kernel(CELLS, "cells", rows * columns, 1, [seen, rows, columns, band])
    assert sorted(seen.ravel()) == list(range(1, rows * columns + 1))
    first = np.argsort(seen, axis=None)[: min(band, rows) * columns]  # a band is done before the next begins
    assert set(first // columns) == set(range(min(band, rows)))


SLOTS = r"""
#include "gradlib/sm90/output.cuh"
extern "C" __global__ void places(int* seen) {
  const sm90::Shape shape{64, 64, 64, 1, 1, 1};
  const sm90::Tile tile(shape, 0, 0);
  const sm90::Fragment at(shape, tile, 0);
  unsigned char* slot = nullptr;
  for (int i = 0; i < sm90::M64; ++i) {
    for (int j = 0; j < 8; j += 2) {
      const int byte = (int)(sm90::place(slot, at, i, j) - slot);
      // What stmatrix puts there: a row of 8 columns.
      const int row = 64 * i + 16 * at.warp + at.lane % 16, column = 8 * (j + at.lane / 16);
      seen[byte / 16] += 1 + row * 64 + column;
    }
  }
}
"""


def test_staged_results_lie_as_the_copy_engine_takes_them():
    """A bijection, and the 128-byte swizzle of the PTX manual: bits 4 to 6 of the address XOR bits 7 to 9."""
    seen = np.zeros(64 * 8, np.int32)
    run_kernel(SLOTS, "places", 1, 128, [seen], macros={"BM": 64, "PINGPONG": 1, "T": "__nv_bfloat16"})
    assert sorted(seen) == sorted(1 + row * 64 + 8 * c for row in range(64) for c in range(8))
    for chunk, value in enumerate(seen):
        row, column = divmod(value - 1, 64)
        linear = row * 128 + column * 2
        assert chunk * 16 == linear ^ (linear >> 3 & 0x70)


@st.composite
def windows(draw):
    dims = draw(st.integers(1, 2))

    def each(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(dims))

    window = Window(each(1, 5), each(1, 4), each(0, 4), each(1, 4), 1)
    return window, each(1, 12), each(0, 3)


@settings(max_examples=300, deadline=None)
@given(windows())
def test_classes_cover_every_place_once_and_every_tap_of_it(case):
    """Against the definition: x at h is reached from dz at p by tap r where h = p s + r d - before."""
    window, size, behind = case
    axes = list(zip(size, window.kernel, window.stride, window.before, behind, window.dilation, strict=True))
    out = tuple((n + a + b - d * (k - 1) - 1) // s + 1 for n, k, s, a, b, d in axes)
    if min(out) < 1:
        return
    wanted = set()
    for p in itertools.product(*map(range, out)):
        for r in itertools.product(*map(range, window.kernel)):
            h = tuple(pi * s + ri * d - a for pi, ri, (_, _, s, a, _, d) in zip(p, r, axes, strict=True))
            if all(0 <= hi < n for hi, n in zip(h, size, strict=True)):
                wanted.add((h, p, r))
    found, places = [], []
    for c in classes(window, size, out):
        for at in itertools.product(*map(range, c.walk.count)):
            h = tuple(o + a * s for o, a, s in zip(c.origin, at, window.stride, strict=True))
            places.append(h)
            for tap in itertools.product(*map(range, c.walk.taps)):
                p = tuple(
                    low + a * step + t * offset
                    for low, a, step, t, offset in zip(c.walk.low, at, c.walk.step, tap, c.walk.offset, strict=True)
                )
                r = tuple(first + t * step for first, t, step in zip(c.first, tap, c.next, strict=True))
                if all(0 <= pi < n for pi, n in zip(p, out, strict=True)):
                    found.append((h, p, r))
    assert sorted(places) == list(itertools.product(*map(range, size)))
    assert len(found) == len(set(found))
    assert set(found) == wanted


@few
@given(st.integers(1, 2**31 - 1), st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=50))
def test_division_by_multiplication(divisor, numbers):
    source = r"""
    #include "gradlib/fastdiv.cuh"
    extern "C" __global__ void divide(const int* n, int* q, int divisor) {
      q[threadIdx.x] = FastDiv(divisor).quotient(n[threadIdx.x]);
    }"""
    n = np.array(numbers, np.int32)
    q = np.zeros_like(n)
    run_kernel(source, "divide", 1, len(n), [n, q, divisor], check=False)
    np.testing.assert_array_equal(q, n // divisor)


@pytest.mark.parametrize("passes", [3, 6])
def test_passes_cover_every_product_of_planes_that_counts(passes):
    """Of three planes each, those products whose shifts of 8 bits add up to at most 2 (6 passes) or 1 (3 passes)."""
    source = r"""
    #include "gradlib/sm90/operand.cuh"
    extern "C" __global__ void planes(int* found) {
      for (int i = 0; i < PASSES; ++i) found[2 * i] = sm90::plane_of_a(i), found[2 * i + 1] = sm90::plane_of_b(i);
    }"""
    found = np.zeros((passes, 2), np.int32)
    run_kernel(source, "planes", 1, 1, [found], macros={"PASSES": passes})
    most = {6: 2, 3: 1}[passes]
    shifts = np.where(found == 3, 0, found)  # 3: plane 0 with its infinities taken out
    assert {tuple(row) for row in shifts.tolist()} == {(i, j) for i in range(3) for j in range(3) if i + j <= most}
    assert len({tuple(row) for row in shifts.tolist()}) == passes
    assert (np.diff(shifts.sum(1)) <= 0).all()  # the smallest first
    assert (found[:, 0] == 0).sum() == (found[:, 1] == 0).sum() == 1  # infinities meet each other once
