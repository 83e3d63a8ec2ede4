"""Reductions against NumPy in float64: values, the digits of float32 sums, ties, zeros, nothing to reduce."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib.core import PRIMITIVES
from gradlib.ops.total import total
from gradlib.spec import FLOATING, INTEGER, bool_
from gradlib.testing import assert_close

RNG = np.random.default_rng(0)
X = RNG.standard_normal((4, 1, 5, 3))
AXES: list[Any] = [None, 0, -1, (0, 2), (1, 2), (3, 0), (), 1]


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("name", ["sum", "mean", "prod", "max", "min", "any", "all", "var", "std"])
def test_values_are_numpys(name: str, axis: Any) -> None:
    for keepdims in (False, True):
        expected = getattr(np, name)(X, axis=axis, keepdims=keepdims)
        assert_close(getattr(gl, name)(X, axis=axis, keepdims=keepdims), np.asarray(expected))
        method = getattr(gl.tensor(X), name)(axis=axis, keepdims=keepdims)
        assert_close(method, np.asarray(expected))


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_places_are_numpys(name: str) -> None:
    tied = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, np.nan]])
    for axis in (None, 0, 1, -1):
        for keepdims in (False, True):
            expected = getattr(np, name)(tied, axis=axis, keepdims=keepdims)
            result = getattr(gl, name)(tied, axis=axis, keepdims=keepdims)
            assert result.dtype == np.int64
            assert np.array_equal(result, expected)


def test_correction() -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor(X, requires_grad=True)
    for c in (0, 1, 1.5):
        y = torch.var(x, (0, 2), correction=c).sqrt()
        (grad,) = torch.autograd.grad(y.sum(), x)
        t = gl.tensor(X, requires_grad=True)
        ours = gl.std(t, axis=(0, 2), correction=c)
        assert_close(ours, y.detach().numpy())
        ours.sum().backward()
        assert_close(t.grad, grad.numpy())
    assert math.isnan(float(gl.var(gl.tensor([1.0]), correction=1)))


def test_integers_are_added_in_64_bits() -> None:
    for dtype in (*INTEGER, bool_):
        x = np.full((3, 100), 1, dtype)
        wide = np.uint64 if np.dtype(dtype).kind == "u" else np.int64
        assert gl.sum(x, axis=1).dtype == gl.prod(x, axis=1).dtype == gl.cumsum(x, axis=1).dtype == wide
        assert gl.sum(x).tolist() == 300
        assert gl.mean(x).dtype == np.float32
        assert gl.max(x).dtype == dtype
    assert gl.sum(gl.tensor([100, 100], dtype="int8")).item() == 200
    assert gl.sum(gl.tensor([1, 2]), dtype=gl.float32).dtype == "float32"


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "max", "min", "any", "all", "argmax", "argmin", "cumsum"])
def test_infer_agrees_for_every_dtype(name: str) -> None:
    op = PRIMITIVES[name]
    for sample in op.samples():  # type: ignore[misc]
        for dtype in (*FLOATING, *INTEGER, bool_):
            shape = sample.args[0] if isinstance(sample.args[0], tuple) else sample.args[0](RNG).shape
            x = np.ones(shape, np.float32 if name == "mean" and dtype not in FLOATING else dtype)
            if dtype in FLOATING and dtype.itemsize == 2:
                x = x.astype(dtype)
            spec = op.spec([x], sample.params)
            y = op(x, **sample.params)
            assert (y.shape, y.dtype) == spec


# -- digits

LAYOUTS: dict[str, tuple[Any, Any]] = {
    "rows": (lambda x: x, 0),
    "rows of a transpose": (lambda x: x.T, 1),
    "leading axes": (lambda x: x.reshape(100, 1000, 5), (0, 1)),
    "axes apart": (lambda x: x.reshape(1000, 5, 100), (0, 2)),
    "middle": (lambda x: x.reshape(5, 100_000).T.reshape(1, 100_000, 5), 1),
    "every second row": (lambda x: np.repeat(x, 2, 0)[::2], 0),
    "last axis": (lambda x: np.ascontiguousarray(x.T), 1),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_float32_sums_keep_their_digits(layout: str) -> None:
    """A row-by-row sum of this is wrong in the fourth digit; ours is within 2e-6, in every layout."""
    x = np.tile(np.array([0.1, 0.3, 0.7, 1.1, 1.3], np.float32), (100_000, 1))
    arrange, axis = LAYOUTS[layout]
    y = arrange(x)
    exact = y.astype(np.float64).sum(axis)
    assert (np.abs(gl.sum(y, axis=axis) - exact) / exact).max() < 2e-6
    mean = gl.mean(y, axis=axis)
    assert mean.dtype == np.float32
    assert (np.abs(mean - exact / (x.size / exact.size)) / mean).max() < 2e-6


def test_plain_sums_would_not() -> None:
    """The test above tests something: NumPy's own sum fails it."""
    x = np.tile(np.array([0.1, 0.3, 0.7, 1.1, 1.3], np.float32), (100_000, 1))
    exact = x.astype(np.float64).sum(0)
    assert (np.abs(x.sum(0) - exact) / exact).max() > 1e-4


@pytest.mark.parametrize("shape", [(64,), (65, 3), (129, 1), (1, 300), (0, 4), (300, 0), (4097, 2)])
def test_runs_of_any_length(shape: tuple[int, ...]) -> None:
    x = RNG.standard_normal(shape).astype(np.float32)
    for axis in range(x.ndim):
        for keepdims in (False, True):
            result = total(np, x, (axis,), keepdims)
            assert result.shape == x.sum(axis, keepdims=keepdims).shape
            assert_close(result, x.astype(np.float64).sum(axis, keepdims=keepdims))


# -- derivatives where they go wrong


def test_equal_extremes_share() -> None:
    for f in (gl.max, gl.min):
        x = gl.tensor([[2.0, 2.0, 2.0], [1.0, 1.0, 5.0]], requires_grad=True)
        f(x, axis=1).backward(gl.tensor([3.0, 2.0]))
        last = [0, 0, 2] if f is gl.max else [1, 1, 0]
        assert x.grad.tolist() == [[1, 1, 1], last]


def test_nan_is_the_extreme() -> None:
    x = gl.tensor([1.0, math.nan, 3.0], requires_grad=True)
    y = gl.max(x)
    assert math.isnan(float(y))
    y.backward()
    assert x.grad.tolist() == [0, 0, 0]


def test_product_with_zeros() -> None:
    for values, expected in (([2.0, 0.0, 3.0], [0, 6, 0]), ([0.0, 0.0, 3.0], [0, 0, 0]), ([2.0, 3.0, 4.0], [12, 8, 6])):
        x = gl.tensor(values, requires_grad=True)
        gl.prod(x).backward()
        assert x.grad.tolist() == expected
    hessian = [gl.grad(lambda v, i=i: gl.grad(gl.prod)(v)[i])(gl.tensor([0.0, 2.0, 3.0])).tolist() for i in range(3)]
    assert hessian == [[0, 3, 2], [3, 0, 0], [2, 0, 0]]


def test_half_precision_is_added_in_float32() -> None:
    x = gl.ones(10_000, dtype="float16") * 3
    assert float(gl.mean(x)) == 3  # its float16 sum would be near 8192, or infinite
    assert float(gl.sum(gl.ones(3000, dtype="bfloat16"))) == 3008  # 3000, rounded once


def test_cumsum() -> None:
    assert np.allclose(gl.cumsum(X, axis=2), np.cumsum(X, 2))
    assert np.allclose(gl.cumsum(X), np.cumsum(X))
    x = gl.tensor([1.0, 2.0, 3.0], requires_grad=True)
    gl.cumsum(x, axis=0).backward(gl.tensor([1.0, 10.0, 100.0]))
    assert x.grad.tolist() == [111, 110, 100]


# -- nothing to reduce, and errors


def test_nothing() -> None:
    empty = gl.zeros((0, 3))
    assert gl.sum(empty, axis=0).tolist() == [0, 0, 0]
    assert gl.prod(empty, axis=0).tolist() == [1, 1, 1]
    assert gl.all(empty).item() is True
    assert gl.any(empty).item() is False
    assert np.isnan(gl.mean(empty, axis=0).numpy()).all()
    assert gl.max(empty, axis=1).shape == (0,)
    with pytest.raises(gl.ShapeError) as caught:
        gl.max(empty, axis=0)
    assert str(caught.value) == "max(x, axis): no elements along axis (0,)\n  x: float32[0, 3]"
    with pytest.raises(gl.ShapeError, match="argmin"):
        gl.argmin(empty, axis=0)
    x = gl.tensor(np.zeros((0, 3)), requires_grad=True)
    gl.prod(x, axis=0).sum().backward()
    assert x.grad.shape == (0, 3)


def test_axes_that_are_not_there() -> None:
    with pytest.raises(gl.ShapeError, match=r"sum\(x, axis\): axis 4 is out of range for 4 dimensions"):
        gl.sum(X, axis=4)
    with pytest.raises(gl.ShapeError, match=r"mean\(x, axis\): axis \(0, -4\) names an axis twice"):
        gl.mean(X, axis=(0, -4))
    with pytest.raises(gl.ShapeError, match=r"argmax\(x, axis\): axis 2 is out of range"):
        gl.argmax(gl.zeros((2, 2)), axis=2)
