"""Pooling against PyTorch's stored values, a plain loop, and what PyTorch does with ties, NaN and bad arguments."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradlib import ShapeError
from gradlib import backend as backends
from gradlib.core import Tensor, vjp
from gradlib.errors import DTypeError
from gradlib.ops.pool import avg_pool1d, avg_pool2d, avg_pool3d, max_pool1d, max_pool2d, max_pool3d
from gradlib.testing import assert_close

REFERENCE = np.load(Path(__file__).parents[1] / "reference" / "pool.npz")
CASES = json.loads(str(REFERENCE["cases"]))


@pytest.fixture(params=["cpu", "sim"])
def device(request: pytest.FixtureRequest) -> str:
    return "cpu" if request.param == "cpu" else str(request.getfixturevalue("sim"))


def run(f: Any, x: np.ndarray, g: np.ndarray, device: str) -> tuple[Tensor, Tensor]:
    move = backends.get(device).asarray
    t = Tensor(move(x), requires_grad=True)
    y = f(t)
    y.backward(Tensor(move(g)))
    assert t.grad is not None
    return y, t.grad


@pytest.mark.parametrize("n", range(len(CASES)))
@pytest.mark.parametrize("kind", ["max", "avg"])
def test_equals_pytorch(kind: str, n: int, device: str) -> None:
    _, kernel, stride, padding, dilation, ceil_mode, include_pad = CASES[n]

    def f(x: Tensor) -> Tensor:
        if kind == "max":
            return max_pool2d(x, kernel, stride, padding, dilation, ceil_mode)
        return avg_pool2d(x, kernel, stride, padding, ceil_mode, include_pad)

    y, dx = run(f, REFERENCE[f"{kind}{n}_x"], REFERENCE[f"{kind}{n}_g"], device)
    assert_close(y, REFERENCE[f"{kind}{n}_y"])
    assert_close(dx, REFERENCE[f"{kind}{n}_dx"])


def test_the_first_of_equals_gets_the_gradient(device: str) -> None:
    x = np.zeros((1, 3, 3, 1))
    _, dx = run(lambda t: max_pool2d(t, 2, stride=1), x, np.ones((1, 2, 2, 1)), device)
    assert np.array_equal(dx.numpy()[0, :, :, 0], [[1, 1, 0], [1, 1, 0], [0, 0, 0]])


def test_nothing_but_minus_infinity_in_a_window(device: str) -> None:
    x = np.full((1, 2, 2, 1), -np.inf)
    y, dx = run(lambda t: max_pool2d(t, 3, stride=2, padding=1), x, np.ones((1, 1, 1, 1)), device)
    assert y.numpy().item() == -np.inf
    assert np.array_equal(dx.numpy()[0, :, :, 0], [[1, 0], [0, 0]])


def test_nan_is_the_maximum(device: str) -> None:
    x = np.arange(16.0).reshape(1, 4, 4, 1)
    x[0, 0, 1, 0] = np.nan
    y = max_pool2d(backends.get(device).asarray(x), 2)
    assert np.array_equal(np.asarray(y)[0, :, :, 0], [[np.nan, 7], [13, 15]], equal_nan=True)


def test_the_gradient_goes_to_the_first_nan(device: str) -> None:
    x = np.array([[1.0, np.nan, 5.0, 2.0], [np.nan, 3.0, 4.0, 6.0]]).reshape(1, 2, 4, 1)
    _, dx = run(lambda t: max_pool2d(t, 2), x, np.ones((1, 1, 2, 1)), device)
    assert dx.numpy().reshape(2, 4).tolist() == [[0, 1, 0, 0], [0, 0, 0, 1]]


def test_an_infinite_gradient_stays_where_it_belongs(device: str) -> None:
    x = np.array([1.0, 2, 3, 4]).reshape(1, 2, 2, 1)
    _, dx = run(lambda t: max_pool2d(t, 2), x, np.full((1, 1, 1, 1), np.inf), device)
    assert np.array_equal(dx.numpy().ravel(), [0, 0, 0, np.inf])


@pytest.mark.parametrize("pool", [(max_pool1d, max_pool2d), (avg_pool1d, avg_pool2d)])
def test_one_dimension_is_two_of_height_one(pool: Any, device: str) -> None:
    x = np.random.default_rng(0).standard_normal((2, 11, 3))
    one, two = pool
    got = run(lambda t: one(t, 3, 2, 1), x, np.ones((2, 6, 3)), device)
    expected = run(lambda t: two(t, (1, 3), (1, 2), (0, 1)), x[:, None], np.ones((2, 1, 6, 3)), "cpu")
    for a, e in zip(got, expected, strict=True):
        assert_close(a, e.numpy()[:, 0])


def largest_of(values: np.ndarray, axis: Any) -> np.ndarray:
    """Dilation may step over the image: then a window holds nothing, and PyTorch gives -infinity."""
    return np.max(values, axis, initial=-np.inf)


def brute_force(x: np.ndarray, k: Any, s: Any, p: Any, d: Any, counts: Any, reduce: Any) -> np.ndarray:
    y = np.empty((x.shape[0], *counts, x.shape[-1]))
    for window in itertools.product(*map(range, counts)):
        at = [[o * si - pi + a * di for a in range(ki)] for o, ki, si, pi, di in zip(window, k, s, p, d, strict=True)]
        inside = [[i for i in axis if 0 <= i < n] for axis, n in zip(at, x.shape[1:-1], strict=True)]
        y[(slice(None), *window)] = reduce(x[np.ix_(range(x.shape[0]), *inside)], axis=tuple(range(1, x.ndim - 1)))
    return y


@settings(max_examples=60, deadline=None)
@given(data=st.data(), ndim=st.integers(1, 3))
def test_any_geometry_equals_a_loop(data: Any, ndim: int) -> None:
    def ints(low: int, high: int) -> tuple[int, ...]:
        return tuple(data.draw(st.tuples(*[st.integers(low, high)] * ndim)))

    k, s, d = ints(1, 3), ints(1, 3), ints(1, 2)
    p = tuple(data.draw(st.integers(0, ((ki - 1) * di + 1) // 2)) for ki, di in zip(k, d, strict=True))
    sizes = tuple(
        max(1, (ki - 1) * di + 1 - 2 * pi) + data.draw(st.integers(0, 4)) for ki, di, pi in zip(k, d, p, strict=True)
    )
    x = np.random.default_rng(0).standard_normal((2, *sizes, 3))
    largest = (max_pool1d, max_pool2d, max_pool3d)[ndim - 1](x, k, s, p, d)
    counts = tuple(
        (n + 2 * pi - (ki - 1) * di - 1) // si + 1 for n, ki, si, pi, di in zip(sizes, k, s, p, d, strict=True)
    )
    assert np.array_equal(largest, brute_force(x, k, s, p, d, counts, largest_of))
    if max(d) == 1:
        mean = (avg_pool1d, avg_pool2d, avg_pool3d)[ndim - 1](x, k, s, p, count_include_pad=False)
        assert_close(mean, brute_force(x, k, s, p, d, counts, np.mean))


def test_second_order_passes_through_the_selection(device: str) -> None:
    move = backends.get(device).asarray
    x = move(np.random.default_rng(0).permutation(2 * 5 * 5 * 2).reshape(2, 5, 5, 2) * 0.1)
    g = move(np.random.default_rng(1).standard_normal((2, 2, 2, 2)))

    def gradient(cotangent: Any) -> Any:
        _, pullback = vjp(lambda t: max_pool2d(t, 3, 2), [x], [True])
        return pullback([cotangent])[0]

    _, second = vjp(gradient, [g], [True])
    t = np.random.default_rng(2).standard_normal(x.shape)
    picked = np.asarray(second([move(t)])[0])  # the elements of t where the maxima are
    y = np.asarray(max_pool2d(x, 3, 2))
    where = {float(v): i for i, v in np.ndenumerate(np.asarray(x))}
    assert_close(picked, np.array([t[where[float(v)]] for v in y.ravel()]).reshape(y.shape))


def test_errors_name_the_axis_and_the_sizes() -> None:
    x = np.zeros((1, 2, 9, 3))
    with pytest.raises(ShapeError, match=r"max_pool2d\(input, kernel_size\): axis 1 has size 2, a window needs 3"):
        max_pool2d(x, 3)
    with pytest.raises(ShapeError, match="input has 3 dimensions, expected 4"):
        avg_pool2d(x[0], 2)
    with pytest.raises(ShapeError, match="padding 2 is more than half of the window's extent 3"):
        max_pool2d(x, 3, padding=2)
    with pytest.raises(ShapeError, match="stride 0"):
        max_pool2d(x, 2, stride=0)
    with pytest.raises(ShapeError, match="kernel_size is"):
        max_pool2d(x, (2, 2, 2))
    with pytest.raises(DTypeError, match="input is not floating"):
        max_pool2d(x.astype(int), 2)
