"""Arrays that a kernel finds by addresses in device memory: right on sim, and watched in its checked build."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from gradlib import backend as backends
from gradlib.errors import KernelFault
from gradlib.kernel import CHUNK, Kernel, Table

TEXT = """
extern "C" __global__ void twice(const unsigned long long* arrays, const int* chunks, int count, long long share,
                                 int beyond) {
  for (int c = blockIdx.x; c < count; c += gridDim.x) {
    const unsigned long long* line = arrays + 3 * chunks[2 * c];
    const float* x = (const float*)line[1];
    float* y = (float*)line[2];
    long long begin = chunks[2 * c + 1] * share, end = begin + share;
    if (end > (long long)line[0]) end = line[0] + beyond;
    for (long long i = begin + threadIdx.x; i < end; i += blockDim.x) y[i] = 2 * x[i];
  }
}
"""
SIZES = (5, 0, CHUNK, 1, CHUNK + 3)

twice = Kernel.from_source("twice.cu", TEXT, "twice", "arrays chunks | count share beyond")


def rows() -> list[list[Any]]:
    backend = backends.get("sim")
    return [[backend.asarray(np.arange(n, dtype=np.float32)), backend.empty((n,), np.float32)] for n in SIZES]


def launch(table: Table, pairs: list[list[Any]], beyond: int = 0) -> None:
    table.fill(pairs)
    reached = lambda: table.reached(pairs, ("x", "y"))  # noqa: E731
    twice(table.blocks, 32, table.arrays, table.chunks, table.count, CHUNK, beyond, reached=reached)


@pytest.mark.parametrize("checked", [False, True])
def test_every_element_of_every_array(sim: str, checked: bool) -> None:
    with backends.checked(checked):
        pairs = rows()
        launch(Table(), pairs)
        for x, y in pairs:
            assert np.array_equal(y, 2 * x)


def test_the_table_is_written_again_only_where_something_moved(sim: str) -> None:
    table, pairs = Table(), rows()
    table.fill(pairs)
    arrays, chunks = table.arrays, table.chunks
    table.fill(pairs)
    assert table.arrays is arrays
    pairs[0][0] = pairs[0][0].copy()
    table.fill(pairs)
    assert table.arrays is not arrays
    assert table.chunks is chunks
    table.fill(pairs[1:])
    assert table.chunks is not chunks


def test_chunks_cover_each_array_once(sim: str) -> None:
    table = Table()
    table.fill(rows())
    wanted = [(r, c) for r, size in enumerate(SIZES) for c in range(-(-size // CHUNK))]
    assert [tuple(pair) for pair in np.asarray(table.chunks).tolist()] == wanted
    assert table.count == len(wanted) == int(table.first[-1])
    assert [int(b - a) for a, b in zip(table.first[:-1], table.first[1:], strict=True)] == [1, 0, 1, 1, 2]


def test_the_checked_build_knows_the_bounds_of_each_array(sim: str) -> None:
    with backends.checked(), pytest.raises(KernelFault, match=r"out-of-bounds.*x\[0\]") as caught:
        launch(Table(), rows(), beyond=1)
    assert caught.value.argument == "x[0]"


def test_the_checked_build_leaves_the_addresses_as_they_were(sim: str) -> None:
    with backends.checked():
        table, pairs = Table(), rows()
        launch(table, pairs)
        before = np.asarray(table.arrays).copy()
        launch(table, pairs)
        assert np.array_equal(before, np.asarray(table.arrays))


def test_a_copy_starts_empty(sim: str) -> None:
    table = Table()
    table.fill(rows())
    assert pickle.loads(pickle.dumps(table)).arrays is None
