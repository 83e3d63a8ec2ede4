"""The reduction kernels where the samples do not reach: many segments, integers, NaN, axes apart, exactness."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib import backend as backends
from gradlib.ops.reduce_launch import _view
from gradlib.testing import assert_close, launches

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(20011,), (3, 9001), (9001, 3), (2, 40009, 2), (1, 8192, 1)])
@pytest.mark.parametrize("name", ["sum", "mean", "max", "min"])
def test_long_lines_go_through_partial_results(name: str, shape: tuple[int, ...], sim: str) -> None:
    x = RNG.standard_normal(shape).astype(np.float32)
    axis = int(np.argmax(shape))
    with launches() as log:
        y = getattr(gl, name)(backends.get(sim).asarray(x), axis=axis)
    assert len(log) == (1 if max(shape) == 8192 else 2)
    assert_close(y, getattr(np, name)(x.astype(np.float64), axis))


def test_float32_sums_keep_their_digits(sim: str) -> None:
    # 1e5 equal terms: added one after the other they would be off by 1e-3
    x = np.full((100_000, 2), 0.1, np.float32)
    y = np.asarray(gl.sum(backends.get(sim).asarray(x), axis=0))
    assert np.abs(y / (1e5 * np.float64(np.float32(0.1))) - 1).max() < 3e-7


def test_a_mean_of_halves_does_not_overflow_on_the_way(sim: str) -> None:
    x = backends.get(sim).asarray(np.full((30_000,), 1000.0, np.float16))
    assert float(np.asarray(gl.mean(x))) == 1000.0
    assert np.isinf(np.asarray(gl.sum(x)))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64", "bool"])
def test_integers(dtype: str, sim: str) -> None:
    x = RNG.integers(0, 2 if dtype == "bool" else 100, (7, 33, 3)).astype(dtype)
    on_sim = backends.get(sim).asarray(x)
    for axis in ((0, 1, 2), (1,), (0, 2), (2,)):
        for name in ("sum", "prod", "max", "min", "any", "all"):
            got = np.asarray(getattr(gl, name)(on_sim, axis=axis))
            expected = getattr(np, name)(x, axis)
            assert np.array_equal(got, expected), (name, axis)
            assert got.dtype == expected.dtype, (name, axis)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_nan_and_ties_as_in_numpy(dtype: Any, sim: str) -> None:
    x = RNG.integers(0, 4, (40, 9000)).astype(dtype)
    x[3, 17] = x[3, 400] = x[5, 0] = np.nan
    x[7] = -np.inf
    on_sim = backends.get(sim).asarray(x)
    for axis in (0, 1):
        for name in ("max", "min", "argmax", "argmin"):
            got = np.asarray(getattr(gl, name)(on_sim, axis=axis))
            assert np.array_equal(got, getattr(np, name)(x, axis), equal_nan=True), (name, axis)


def test_nothing_to_add(sim: str) -> None:
    empty = backends.get(sim).asarray(np.zeros((0, 3), np.float32))
    assert np.array_equal(np.asarray(gl.sum(empty, axis=0)), np.zeros(3))
    assert np.array_equal(np.asarray(gl.prod(empty, axis=0)), np.ones(3))
    assert np.asarray(gl.sum(empty, axis=1)).shape == (0,)
    assert not np.asarray(gl.any(empty, axis=0)).any()
    assert np.asarray(gl.all(empty, axis=0)).all()


def test_axes_that_are_neighbours_are_one() -> None:
    assert _view((2, 3, 4), (1,)) == (2, 3, 4)
    assert _view((2, 3, 4), (0, 1)) == (1, 6, 4)
    assert _view((2, 3, 1, 4), (1, 3)) == (2, 12, 1)  # an axis of size 1 between them does not matter
    assert _view((2, 1, 4), (1,)) == (8, 1, 1)
    assert _view((2, 3, 4), (0, 2)) is None
