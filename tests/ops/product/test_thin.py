"""product_thin.cu in every layout, alignment, split and epilogue against float64, and when it is chosen."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from gradlib.backend import get
from gradlib.ops.product import AFTER, BEFORE, Matrix, Outputs, Problem, Steps
from gradlib.ops.product.thin import choose, cycles, gains, product, rows_of, serves

from ...devices import device_params
from .against_float64 import BF16, F16, F32, F64, FORWARD, check

devices = pytest.mark.parametrize("device", device_params())
LAYOUTS = [(False, False), (False, True), (True, False), (True, True)]


def thin(device: str, m: int, n: int, k: int, dtype: Any = BF16, splits: int | None = None, **asked: Any) -> None:
    check(device, m, n, k, dtype, run=partial(product, splits=splits), direct=True, **asked)


@devices
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [F16, BF16, F32, F64], ids=str)
@pytest.mark.parametrize(("m", "n", "k"), [(8, 272, 336), (3, 67, 45), (130, 5, 72), (67, 8, 45), (1, 72, 600)])
def test_layouts(device, layout, dtype, m, n, k):
    """With few rows and with few columns, of rows that begin at multiples of 16 bytes and of those that do not."""
    thin(device, m, n, k, dtype, a_transposed=layout[0], b_transposed=layout[1])


@devices
@pytest.mark.parametrize(
    "case",
    [
        {"m": 1, "n": 1, "k": 1, "bias": True},
        {"m": 4, "n": 40, "k": 0, **FORWARD},
        {"m": 2, "n": 33, "k": 72, "products": 3, "residual": AFTER},
        {"m": 7, "n": 40, "k": 72, "products": 5, "one_b": True, "b_transposed": True},
        {"m": 600, "n": 4, "k": 16, "dtype": F16},  # two threads along k
        {"m": 300, "n": 3, "k": 64, "products": 2},  # eight
        {"m": 8, "n": 64, "k": 700, "splits": 3, **FORWARD},
        {"m": 5, "n": 37, "k": 700, "splits": 2, "products": 2, "b_transposed": True, "residual": BEFORE},
        {"m": 70, "n": 2, "k": 700, "dtype": F64, "splits": 4, **FORWARD},
        {"m": 8, "n": 64, "k": 700, "dtype": F64, "splits": 3, "dropout": True, "scale": True},
    ],
)
def test_shapes(device, case):
    thin(device, **case)


@devices
@pytest.mark.parametrize("sizes", [(5, 72, 72), (5, 37, 72), (72, 6, 40), (37, 5, 40)])
@pytest.mark.parametrize("dtype", [F16, F32, F64], ids=str)
@pytest.mark.parametrize(
    "steps",
    [
        FORWARD,
        {"bias": True, "scale": True, "activation": "relu", "residual": BEFORE},
        {"slope": "gelu", "residual": AFTER},
        {"bias": True, "dropout": True, "residual": AFTER},
    ],
)
def test_epilogues(device, sizes, dtype, steps):
    thin(device, *sizes, dtype=dtype, **steps)


@devices
@pytest.mark.parametrize("along", [False, True])
def test_persistent_blocks_and_chunks(device, limits, along):
    """Blocks that take several tiles, of one chunk of the small operand and of several."""
    limits(device, multiprocessors=1, shared=3 * 24 * 1024)
    assert choose(Problem(8, 256, 2000, 1, 1, 4), 4, 1, 3 * 24 * 1024, splits=1).chunk < 1000
    thin(device, 8, 256, 128, F32, splits=1, b_transposed=along)
    thin(device, 8, 256, 1000, F32, splits=1, b_transposed=along)


@devices
@pytest.mark.parametrize("along", [False, True])
@pytest.mark.parametrize("aligned", [False, True])
def test_every_k_counts_once(device, along, aligned):
    """Powers of two at one place of k each: the result says where they were met, and how often."""
    backend = get(device)
    for k, splits in ((1, 1), (63, 1), (64, 1), (257, 3), (1040, 5), (1040, 9)):
        n = 40 if aligned else 33
        at = np.arange(k)
        a = np.stack([np.ones(k), at, at**2])[None]
        b = np.repeat(np.ones((1, k, 1)), n, 2)
        left, right = (backend.asarray(np.ascontiguousarray(x)) for x in (a, b.swapaxes(1, 2) if along else b))
        y = backend.empty((1, 3, n), np.float64)
        problem = Problem(3, n, k, 1, 1, 8, False, along)
        product(problem, Matrix(left), Matrix(right, along), Outputs(y), splits)
        np.testing.assert_array_equal(backend.to_host(y)[0].T, np.tile(a[0].sum(1), (n, 1)))


def test_the_choice_follows_the_bytes():
    """Memory's floor, reached by enough blocks; splits only where columns give too few."""
    for m in (1, 2, 8):
        for item in (2, 4, 8):
            problem = Problem(m, 8192, 8192, 1, 1, item)
            config = choose(problem, item, 132)
            floor = 8192 * 8192 * item / 2400
            assert cycles(problem, config, item, 132) < 1.5 * floor + 9000
            assert gains(problem, item, 132, "sm_90a")
            assert gains(problem, item, 108, "sm_80")
    assert choose(Problem(1, 65536, 1024, 1, 1, 2), 2, 132).splits == 1
    assert choose(Problem(1, 512, 65536, 1, 1, 2), 2, 132).splits > 4
    assert gains(Problem(8, 4096, 4096), 2, 132, "sm_90a")
    assert not gains(Problem(8, 100000, 0), 2, 132, "sm_90a")
    assert not gains(Problem(3, 5, 7, 1, 1, 4), 4, 132, "sm_90a")  # a launch, whatever computes it


@pytest.mark.parametrize("count", range(1, 9))
def test_rows_are_rounded_up(count):
    assert rows_of(count) == next(rows for rows in (1, 2, 4, 8) if rows >= count)


def test_what_it_serves():
    def matrix(dtype: Any = F32, planes: int = 1) -> Matrix:
        return Matrix(np.zeros((1, 16, 16), dtype), planes=planes)

    problem = Problem(8, 16, 16)
    assert serves(problem, matrix(), matrix())
    assert serves(problem._replace(m=16, n=8), matrix(F64), matrix(F64))
    assert not serves(problem._replace(m=9), matrix(), matrix())
    assert not serves(problem._replace(passes=6), matrix(BF16, 4), matrix(BF16, 4))
    assert not serves(problem, matrix(np.dtype(np.int32)), matrix(np.dtype(np.int32)))
    assert not serves(problem._replace(steps=Steps(sums=True)), matrix(), matrix())
