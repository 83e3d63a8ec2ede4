"""The index maths of the product kernels: every tile, every part of a sum, every place and every byte once."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradlib.ops.product.geometry import Window, classes, tap_strides, whd
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
def windows(draw, most=2):
    """Draw a window, the size of an image that it fits into, and the zeros behind the image."""
    dims = draw(st.integers(1, most))
    large = dims < 3

    def each(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(dims))

    kernel, stride, before = each(1, 5 if large else 2), each(1, 4 if large else 3), each(0, 4 if large else 1)
    dilation, behind, more = each(1, 4 if large else 2), each(0, 3 if large else 1), each(1, 8 if large else 4)
    needed = (d * (k - 1) - a - b for d, k, a, b in zip(dilation, kernel, before, behind, strict=True))
    size = tuple(max(n, 0) + extra for n, extra in zip(needed, more, strict=True))
    return Window(kernel, stride, before, dilation, 1), size, behind


@settings(max_examples=300, deadline=None)
@given(windows())
def test_classes_cover_every_place_once_and_every_tap_of_it(case):
    """Against the definition: x at h is reached from dz at p by tap r where h = p s + r d - before."""
    window, size, behind = case
    axes = list(zip(size, window.kernel, window.stride, window.before, behind, window.dilation, strict=True))
    out = tuple((n + a + b - d * (k - 1) - 1) // s + 1 for n, k, s, a, b, d in axes)
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


WALKED = r"""
#include "gradlib/walk.cuh"
using walk::Axes;
// c: of a class: count, step, low, taps, offset, origin; first tap and the steps to the next; stride; size, kernel.
GRADLIB_DEVICE Axes axes(const int* c, int i) { return {c[3 * i], c[3 * i + 1], c[3 * i + 2]}; }
extern "C" __global__ void walked(const int* c, int* places, int* reached, int batch, int blocks, int channels) {
  const Axes count = axes(c, 0), size = axes(c, 9), out = axes(c, 10);
  const walk::Walk base(count, axes(c, 1), axes(c, 2));
  const walk::Taps taps(axes(c, 3), axes(c, 4), c[18], axes(c, 7), blocks, channels);
  const int m = batch * count.w * count.h * count.d, of_taps = c[9] * c[10] * c[11];
  const walk::MapRows rows{base, size, axes(c, 5), axes(c, 8), m, 1, 0, 1};
  for (int row = threadIdx.x; row < m + 3; row += 32) {
    const long long at = rows.offset(0, row);
    if (row >= m) {
      if (at != -1) places[0] = -1000000;
      continue;
    }
    places[at] += 1;
    Axes on;
    const int image = base.place(row, on);
    for (int i = 0; i < of_taps * blocks; ++i) {
      const walk::Taps::At tap = taps.at(i);
      const int w = base.low.w + on.w * base.step.w + tap.offset.w, h = base.low.h + on.h * base.step.h + tap.offset.h,
                d = base.low.d + on.d * base.step.d + tap.offset.d;
      if (w < 0 || h < 0 || d < 0 || w >= out.w || h >= out.h || d >= out.d) continue;
      const long long from = ((image * out.d + d) * out.h + h) * out.w + w;
      reached[(at * c[33] + tap.matrix) * blocks + tap.channel / channels] += 1 + (int)from;
    }
  }
}
"""


@few
@given(windows(3), st.integers(1, 2), st.integers(1, 2))
def test_the_rows_of_all_classes_are_every_place_once_and_their_taps_those_of_the_definition(case, batch, blocks):
    """As the kernels count them: x at h gets dz at p by tap r, each block of channels, where h = p s + r d - before."""
    window, size, behind = case
    axes = list(zip(size, window.kernel, window.stride, window.before, behind, window.dilation, strict=True))
    out = tuple((n + a + b - d * (k - 1) - 1) // s + 1 for n, k, s, a, b, d in axes)
    taps = int(np.prod(window.kernel))
    places = np.zeros((batch, *size), np.int32)
    reached = np.zeros((batch, *size, taps, blocks), np.int32)
    matrices = tap_strides(window.kernel, 1)
    found = [c for c in classes(window, size, out) if c is not None]
    for c in found:
        first = sum(t * s for t, s in zip(c.first, matrices, strict=True))
        steps = tuple(t * s for t, s in zip(c.next, matrices, strict=True))
        numbers = [*c.walk.numbers, *whd(c.origin, 0), first, 0, 0, *whd(steps, 0), *whd(window.stride, 1),
                   *whd(size, 1), *whd(out, 1), taps]  # fmt: skip
        macros = {"DIMS": len(size)}
        arguments = [np.array(numbers, np.int32), places, reached, batch, blocks, 64]
        run_kernel(WALKED, "walked", 1, 32, arguments, macros=macros, check=False)
    covered = np.zeros(size, np.int32)
    for c in found:
        covered[tuple(slice(o, None, s) for o, s in zip(c.origin, window.stride, strict=True))] += 1
    assert covered.max(initial=0) <= 1
    np.testing.assert_array_equal(places, np.broadcast_to(covered, places.shape))
    wanted = np.zeros_like(reached)
    for image, p in itertools.product(range(batch), itertools.product(*map(range, out))):
        for number, r in enumerate(itertools.product(*map(range, window.kernel))):
            h = tuple(pi * s + ri * d - a for pi, ri, (_, _, s, a, _, d) in zip(p, r, axes, strict=True))
            if all(0 <= hi < n for hi, n in zip(h, size, strict=True)):
                wanted[(image, *h, number)] += 1 + int(np.ravel_multi_index((image, *p), (batch, *out)))
    np.testing.assert_array_equal(reached, wanted)


FILTERS = r"""
#include "gradlib/walk.cuh"
extern "C" __global__ void filters(int* seen, int width, int taps, int channels, int features, int groups, int splits) {
  const int blocks = ceil_div(channels, width), rows = taps * blocks * width;
  const walk::FilterRows f{FastDiv(blocks), width, taps, channels, features * groups, features, splits};
  for (int z = 0; z < groups * splits; ++z) {
    for (int row = 0; row < rows + width; ++row) {
      const long long at = f.offset(z, row);
      for (int i = 0; at >= 0 && i < features; ++i) seen[at + i] += 1;
    }
  }
}
"""


@few
@given(
    st.sampled_from([8, 64]), st.integers(1, 9), st.integers(1, 150), st.integers(1, 3), st.integers(1, 3),
    st.integers(1, 3),
)  # fmt: skip
def test_every_weight_of_every_part_is_stored_once(width, taps, channels, features, groups, splits):
    seen = np.zeros((splits, taps, channels, groups * features), np.int32)
    run_kernel(FILTERS, "filters", 1, 1, [seen, width, taps, channels, features, groups, splits], check=False)
    assert (seen == 1).all()


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
