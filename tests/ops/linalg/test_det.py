"""Determinants: closed forms, singular matrices to every order, logarithms."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

import gradlib as gl

RNG = np.random.default_rng(1)


def leibniz(x):  # type: ignore[no-untyped-def]
    """The determinant as its definition has it: a sum over permutations, differentiable anywhere."""
    n = x.shape[-1]
    total = 0.0
    for order in permutations(range(n)):
        sign = (-1.0) ** sum(a > b for i, a in enumerate(order) for b in order[i + 1 :])
        term = sign
        for i, j in enumerate(order):
            term = term * x[..., i, j]
        total = total + term
    return total


def derivative(f, h):  # type: ignore[no-untyped-def]
    return lambda x: gl.jvp(f, (x,), (gl.tensor(h),))[1]


def of_rank(rank: int, n: int = 4) -> np.ndarray:
    return RNG.integers(-3, 4, (n, rank)) @ RNG.integers(-3, 4, (rank, n)).astype(float)


@pytest.mark.parametrize("rank", [4, 3, 2, 1, 0])
def test_derivatives_of_every_order_at_every_rank(rank: int) -> None:
    """All derivatives up to the fourth, which is the last that is not 0, along four directions."""
    x = of_rank(rank)
    hs = RNG.standard_normal((4, 4, 4))

    def along(f, k):  # type: ignore[no-untyped-def]
        for h in hs[:k]:
            f = derivative(f, h)
        return f(gl.tensor(x)).item()

    scale = 1.0 + np.abs(x).max() ** 4
    for k in range(5):
        assert along(gl.linalg.det, k) == pytest.approx(along(leibniz, k), rel=1e-9, abs=1e-11 * scale)
    np.testing.assert_allclose(gl.grad(gl.linalg.det)(x), gl.grad(leibniz)(x), atol=1e-11 * scale)
    np.testing.assert_allclose(gl.hessian(gl.linalg.det)(x), gl.hessian(leibniz)(x), atol=1e-11 * scale)


def test_values_and_batches() -> None:
    x = RNG.standard_normal((3, 2, 5, 5))
    np.testing.assert_allclose(gl.linalg.det(x), np.linalg.det(x), rtol=1e-12)
    assert gl.linalg.det(np.zeros((2, 0, 0))).tolist() == [1.0, 1.0]
    mixed = np.stack([of_rank(4), of_rank(3)])  # one of the batch singular
    got = gl.grad(lambda x: gl.sum(gl.linalg.det(x)))(mixed)
    np.testing.assert_allclose(got, gl.grad(lambda x: gl.sum(leibniz(x)))(mixed), atol=1e-8)


def test_large_determinants() -> None:
    """The cofactors of a well-conditioned matrix are det X times X^-T."""
    x = RNG.standard_normal((30, 30)) / 3
    expected = np.linalg.det(x) * np.linalg.inv(x).T
    np.testing.assert_allclose(gl.grad(gl.linalg.det)(x), expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


def test_slogdet() -> None:
    x = RNG.standard_normal((3, 5, 5))
    sign, logabsdet = gl.linalg.slogdet(x)
    expected = np.linalg.slogdet(x)
    np.testing.assert_array_equal(sign, expected.sign)
    np.testing.assert_allclose(logabsdet, expected.logabsdet, rtol=1e-12)
    gradient = gl.grad(lambda x: gl.sum(gl.linalg.slogdet(x).logabsdet))(x)
    np.testing.assert_allclose(gradient, np.swapaxes(np.linalg.inv(x), -1, -2), rtol=1e-10)
    assert np.all(gl.grad(lambda x: gl.sum(gl.linalg.slogdet(x).sign))(x) == 0)


def test_slogdet_where_the_determinant_overflows() -> None:
    x = 10.0 * np.eye(400)
    assert gl.linalg.slogdet(x).logabsdet == pytest.approx(400 * np.log(10))
    np.testing.assert_allclose(gl.grad(lambda x: gl.linalg.slogdet(x).logabsdet)(x), 0.1 * np.eye(400))


def test_slogdet_of_a_singular_matrix() -> None:
    assert gl.linalg.slogdet(np.zeros((2, 2))).sign == 0
    assert gl.linalg.slogdet(np.zeros((2, 2))).logabsdet == -np.inf
    with pytest.raises(gl.LinAlgError, match=r"^inv\(x\): x is singular\n"):
        gl.grad(lambda x: gl.linalg.slogdet(x).logabsdet)(np.zeros((2, 2)))
