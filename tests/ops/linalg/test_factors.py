"""Cholesky, QR and LU factors: that they are factors, and their derivatives."""

from __future__ import annotations

import numpy as np
import pytest

import gradlib as gl

RNG = np.random.default_rng(2)
SHAPES = [(4, 4), (2, 5, 3), (2, 3, 5), (1, 4), (4, 1), (1, 1), (2, 0, 3), (3, 0), (0, 2, 2)]


def definite(*shape: int) -> np.ndarray:
    x = RNG.standard_normal(shape)
    return x @ np.swapaxes(x, -1, -2) + np.eye(shape[-1])


@pytest.mark.parametrize("upper", [False, True])
def test_cholesky(upper: bool) -> None:
    a = definite(2, 4, 4)
    factor = gl.linalg.cholesky(a, upper=upper)
    expected = np.linalg.cholesky(a)
    np.testing.assert_allclose(factor, np.swapaxes(expected, -1, -2) if upper else expected, rtol=1e-12)
    gl.testing.gradcheck(lambda x: gl.linalg.cholesky(x, upper=upper), a)


def test_gradient_through_cholesky_is_that_of_the_function() -> None:
    """log det A = 2 sum log diag L, whose gradient is A^-1, and whose second derivative is -tr(A^-1 H A^-1 H)."""
    a, h = definite(4, 4), RNG.standard_normal((4, 4))
    h = h + h.T

    def logdet(x):  # type: ignore[no-untyped-def]
        return 2.0 * gl.sum(gl.log(gl.linalg.diagonal(gl.linalg.cholesky(x))))

    y = np.linalg.inv(a)
    np.testing.assert_allclose(gl.grad(logdet)(a), y, rtol=1e-10)
    np.testing.assert_allclose(gl.hvp(logdet, (a,), (h,)), -y @ h @ y, rtol=1e-9)


@pytest.mark.parametrize("mode", ["reduced", "complete"])
@pytest.mark.parametrize("shape", SHAPES)
def test_qr(shape: tuple[int, ...], mode: str) -> None:
    x = RNG.standard_normal(shape)
    q, r = gl.linalg.qr(gl.tensor(x), mode=mode)
    expected = np.linalg.qr(x, mode=mode)  # type: ignore[call-overload]
    assert (q.shape, r.shape) == (expected.Q.shape, expected.R.shape)
    np.testing.assert_allclose((q @ r).numpy(), x, atol=1e-13)
    np.testing.assert_allclose((q.mT @ q).numpy(), np.broadcast_to(np.eye(q.shape[-1]), (q.mT @ q).shape), atol=1e-13)
    assert np.all(np.tril(r.numpy(), -1) == 0)


@pytest.mark.parametrize("which", ["Q", "R"])
@pytest.mark.parametrize("shape", [s for s in SHAPES if 0 not in s])
def test_gradients_of_qr(shape: tuple[int, ...], which: str) -> None:
    x = RNG.standard_normal(shape) + 2 * np.eye(*shape[-2:])
    gl.testing.gradcheck(lambda x: getattr(gl.linalg.qr(x), which), x)
    if which == "R" or shape[-2] - shape[-1] < 2:  # with more vectors than one beyond, which ones is left open
        gl.testing.gradcheck(lambda x: getattr(gl.linalg.qr(x, mode="complete"), which), x)


def test_projection_on_the_null_space_by_qr() -> None:
    """Q_2 Q_2^T = 1 - X X^+ does not depend on which Q_2 it is."""
    x, h = RNG.standard_normal((5, 2)), RNG.standard_normal((5, 2))

    def projection(x):  # type: ignore[no-untyped-def]
        q = gl.linalg.qr(x, mode="complete").Q[:, 2:]
        return q @ q.mT

    y = np.linalg.pinv(x)
    p = np.eye(5) - x @ y
    expected = -p @ h @ y
    np.testing.assert_allclose(gl.jvp(projection, (x,), (h,))[1], expected + expected.T, atol=1e-13)
    gl.testing.gradcheck(projection, x)


@pytest.mark.parametrize("shape", [*SHAPES, (3, 20, 20), (33, 17), (17, 33)])
def test_lu(shape: tuple[int, ...]) -> None:
    x = RNG.standard_normal(shape)
    p, lower, upper = gl.linalg.lu(x)
    np.testing.assert_allclose(p @ lower @ upper, x, atol=1e-13)
    k = min(shape[-2:])
    assert (lower.shape[-1], upper.shape[-2]) == (k, k)
    assert np.all(np.triu(lower, 1) == 0)
    assert np.all(np.diagonal(lower, 0, -2, -1) == 1)
    assert np.all(np.tril(upper, -1) == 0)
    assert np.abs(lower).max(initial=0) <= 1
    linalg = pytest.importorskip("scipy.linalg")
    if x.size:
        for got, expected in zip((p, lower, upper), linalg.lu(x), strict=True):
            np.testing.assert_allclose(got, expected, atol=1e-12)


def test_lu_of_singular_matrices() -> None:
    for x in (np.zeros((3, 3)), np.ones((3, 3)), np.array([[0.0, 1.0], [0.0, 2.0]])):
        p, lower, upper = gl.linalg.lu(x)
        np.testing.assert_allclose(p @ lower @ upper, x, atol=1e-15)


@pytest.mark.parametrize("which", ["L", "U"])
@pytest.mark.parametrize("shape", [s for s in SHAPES if 0 not in s])
def test_gradients_of_lu(shape: tuple[int, ...], which: str) -> None:
    x = RNG.standard_normal(shape)
    gl.testing.gradcheck(lambda x: getattr(gl.linalg.lu(x), which), x)
    assert np.all(gl.grad(lambda x: gl.sum(gl.linalg.lu(x).P))(x) == 0)


def test_the_factors_together() -> None:
    """Every function of x through its factors has the gradient it has directly: sum(sin(x) w)."""
    x, w = RNG.standard_normal((2, 4, 4)), RNG.standard_normal((2, 4, 4))
    for factors in (gl.linalg.lu, gl.linalg.qr, lambda x: gl.linalg.qr(x, mode="complete"),
                    lambda x: ((s := gl.linalg.svd(x)).U * s.S[..., None, :], s.Vh)):  # fmt: skip

        def through(x, factors=factors):  # type: ignore[no-untyped-def]
            product = None
            for factor in factors(x):
                product = factor if product is None else product @ factor
            return gl.sum(gl.sin(product) * w)

        np.testing.assert_allclose(gl.grad(through)(x), np.cos(x) * w, atol=1e-12)
        h = RNG.standard_normal(x.shape)
        np.testing.assert_allclose(gl.hvp(through, (x,), (h,)), -np.sin(x) * w * h, atol=1e-10)
