"""Norms against NumPy, and their derivatives also where there is none."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import gradlib as gl

RNG = np.random.default_rng(4)
X = RNG.standard_normal((2, 4, 3))
ORDERS = [2, 1, 3, 2.5, 0.5, 0, -1, -2.5, math.inf, -math.inf]


@pytest.mark.parametrize("ord", ORDERS)
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_vector_norm(ord: float, axis: Any, keepdims: bool) -> None:
    got = gl.linalg.vector_norm(X, axis=axis, keepdims=keepdims, ord=ord)
    expected = np.linalg.vector_norm(X, axis=axis, keepdims=keepdims, ord=ord)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-13)
    if ord:
        gl.testing.gradcheck(lambda x: gl.linalg.vector_norm(x, axis=axis, keepdims=keepdims, ord=ord), X)


@pytest.mark.parametrize("ord", ["fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf])
@pytest.mark.parametrize("keepdims", [False, True])
def test_matrix_norm(ord: Any, keepdims: bool) -> None:
    got = gl.linalg.matrix_norm(X, keepdims=keepdims, ord=ord)
    expected = np.linalg.matrix_norm(X, keepdims=keepdims, ord=ord)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-13)
    gl.testing.gradcheck(lambda x: gl.linalg.matrix_norm(x, keepdims=keepdims, ord=ord), X)


@pytest.mark.parametrize(("shape", "kwargs"), [
    ((5,), {}), ((2, 3), {}), ((2, 3, 4), {}), ((5,), {"ord": 1}), ((3, 4), {"ord": 2}), ((3, 4), {"ord": "nuc"}),
    ((2, 3, 4), {"axis": 1}), ((2, 3, 4), {"axis": (0, 2), "ord": 1}), ((2, 3, 4), {"axis": (2, 0), "ord": 1}),
    ((2, 3, 4), {"axis": (2, -3), "ord": -2, "keepdims": True}), ((2, 3), {"axis": -1, "ord": 3, "keepdims": True}),
    ((2, 3, 4), {"keepdims": True}),
])  # fmt: skip
def test_norm(shape: tuple[int, ...], kwargs: dict[str, Any]) -> None:
    x = RNG.standard_normal(shape)
    expected = np.asarray(np.linalg.norm(x, **kwargs))
    got = np.asarray(gl.linalg.norm(x, **kwargs))
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-13)


@pytest.mark.parametrize("ord", [p for p in ORDERS if p > 0])
def test_the_zero_vector_has_a_subgradient_of_zero(ord: float) -> None:
    g = gl.grad(lambda x: gl.linalg.vector_norm(x, ord=ord))(np.zeros(3))
    np.testing.assert_array_equal(g, 0)
    if ord != math.inf:
        np.testing.assert_array_equal(gl.hessian(lambda x: gl.linalg.vector_norm(x, ord=ord))(np.zeros(3)), 0)
    assert np.all(gl.grad(gl.linalg.matrix_norm)(np.zeros((2, 2))) == 0)


@pytest.mark.parametrize("ord", [1, 2, 3, 0.5])
def test_elements_that_are_zero(ord: float) -> None:
    x = np.array([3.0, 0.0, -4.0])
    g = gl.grad(lambda x: gl.linalg.vector_norm(x, ord=ord))(x)
    assert g[1] == 0
    size = np.linalg.vector_norm(x, ord=ord)
    np.testing.assert_allclose(g[::2], np.sign(x[::2]) * (np.abs(x[::2]) / size) ** (ord - 1))


def test_equal_extremes_share() -> None:
    g = gl.grad(lambda x: gl.linalg.vector_norm(x, ord=math.inf))(np.array([2.0, -2.0, 1.0]))
    np.testing.assert_array_equal(g, [0.5, -0.5, 0.0])


def test_a_count_is_constant() -> None:
    x = gl.tensor([1.0, 0.0, 2.0], requires_grad=True)
    y = gl.linalg.vector_norm(x, ord=0)
    assert (y.item(), y.dtype) == (2.0, gl.float32)
    assert np.all(gl.grad(lambda x: gl.linalg.vector_norm(x, ord=0))(x).numpy() == 0)


def test_second_derivative_of_the_length() -> None:
    """D^2 ||x|| = (1 - x x^T / ||x||^2) / ||x||."""
    x = RNG.standard_normal(4)
    n = np.linalg.norm(x)
    expected = (np.eye(4) - np.outer(x, x) / n**2) / n
    np.testing.assert_allclose(gl.hessian(gl.linalg.vector_norm)(x), expected, atol=1e-14)


def test_subgradient_of_the_nuclear_norm_is_one() -> None:
    """||Y|| >= ||X|| + <G, Y - X> for every Y, also of a matrix of rank 1."""
    x = np.outer([1.0, 2.0, 2.0], [1.0, -1.0, 0.0])
    g = gl.grad(lambda x: gl.linalg.matrix_norm(x, ord="nuc"))(x)
    for y in RNG.standard_normal((50, 3, 3)):
        assert np.linalg.norm(y, "nuc") >= np.linalg.norm(x, "nuc") + np.sum(g * (y - x)) - 1e-12


@pytest.mark.parametrize("p", [None, 2, -2, "fro", 1, -1, math.inf, -math.inf, "nuc"])
def test_cond(p: Any) -> None:
    x = RNG.standard_normal((2, 3, 3))
    np.testing.assert_allclose(gl.linalg.cond(x, p), np.linalg.cond(x, p), rtol=1e-11)
    gl.testing.gradcheck(lambda x: gl.linalg.cond(x, p), x)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_reduced_precision_is_rounded_once(dtype: str) -> None:
    x = gl.tensor(X, dtype=dtype)
    for f in (gl.linalg.vector_norm, gl.linalg.matrix_norm, lambda x: gl.linalg.matrix_norm(x, ord="nuc")):
        got = f(x)
        assert str(got.dtype) == dtype
        assert got.tolist() == f(x.to("float32")).to(dtype).tolist()
