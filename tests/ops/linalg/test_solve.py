"""Inverses and systems of equations: against NumPy and SciPy, and their derivatives in closed form."""

from __future__ import annotations

import numpy as np
import pytest

import gradlib as gl

RNG = np.random.default_rng(0)


def matrix(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape) + 3 * np.eye(*shape[-2:])


def transposed(x: np.ndarray) -> np.ndarray:
    return np.swapaxes(x, -1, -2)


A, B = matrix(2, 4, 4), RNG.standard_normal((2, 4, 3))


def test_inverse() -> None:
    np.testing.assert_allclose(gl.linalg.inv(A), np.linalg.inv(A), rtol=1e-12)
    assert gl.linalg.inv(gl.tensor(A)).dtype == gl.float64
    assert gl.linalg.inv(np.zeros((3, 0, 0))).shape == (3, 0, 0)


def test_differential_of_the_inverse() -> None:
    """D(X^-1)[H] = -X^-1 H X^-1, and the second one: X^-1 H X^-1 K X^-1 + X^-1 K X^-1 H X^-1."""
    x, h, k = A[0], RNG.standard_normal((4, 4)), RNG.standard_normal((4, 4))
    y = np.linalg.inv(x)
    np.testing.assert_allclose(gl.jvp(gl.linalg.inv, (x,), (h,))[1], -y @ h @ y, rtol=1e-11)
    second = gl.jvp(lambda x: gl.jvp(gl.linalg.inv, (x,), (gl.tensor(h),))[1], (x,), (k,))[1]
    np.testing.assert_allclose(second, y @ h @ y @ k @ y + y @ k @ y @ h @ y, rtol=1e-10)
    g = RNG.standard_normal((4, 4))  # <A, B> = tr(B^T A): the representer is -Y^T G Y^T
    np.testing.assert_allclose(gl.vjp(gl.linalg.inv, x)[1](g)[0], -y.T @ g @ y.T, rtol=1e-11)


@pytest.mark.parametrize(("a", "b"), [
    ((4, 4), (4,)), ((4, 4), (4, 3)), ((2, 4, 4), (2, 4, 3)), ((2, 4, 4), (4,)), ((4, 4), (5, 4, 2)),
    ((3, 1, 4, 4), (2, 4, 1)), ((0, 4, 4), (4, 2)),
])  # fmt: skip
def test_solve(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    x, y = matrix(*a), RNG.standard_normal(b)
    got = gl.linalg.solve(x, y)
    expected = np.linalg.solve(x, y)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)


def test_gradient_of_solve() -> None:
    """The cotangent of b is A^-T G, that of A is -(A^-T G) X^T; a broadcast operand gets the sum."""
    x = np.linalg.solve(A, B[0])
    g = RNG.standard_normal(x.shape)
    got_a, got_b = gl.vjp(gl.linalg.solve, A, B[0])[1](g)
    back = np.linalg.solve(transposed(A), g)
    np.testing.assert_allclose(got_a, -back @ transposed(x), rtol=1e-11)
    np.testing.assert_allclose(got_b, back.sum(0), rtol=1e-11)
    assert gl.vjp(gl.linalg.solve, A, B[0, :, 0])[1](g[..., 0])[1].shape == (4,)


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("unit", [False, True])
def test_solve_triangular(upper: bool, left: bool, unit: bool) -> None:
    linalg = pytest.importorskip("scipy.linalg")
    b = B if left else transposed(B)
    got = gl.linalg.solve_triangular(A, b, upper=upper, left=left, unitriangular=unit)
    for i in range(2):
        if left:
            expected = linalg.solve_triangular(A[i], b[i], lower=not upper, unit_diagonal=unit)
        else:
            expected = linalg.solve_triangular(A[i].T, b[i].T, lower=upper, unit_diagonal=unit).T
        np.testing.assert_allclose(got[i], expected, rtol=1e-12)
    choice = {"upper": upper, "left": left, "unitriangular": unit}
    gl.testing.gradcheck(lambda a, b: gl.linalg.solve_triangular(a, b, **choice), A, b)
    of_a = gl.grad(lambda a: gl.sum(gl.linalg.solve_triangular(a, b, **choice)))(A)
    unread = np.tril(of_a, 0 if unit else -1) if upper else np.triu(of_a, 0 if unit else 1)
    assert np.all(unread == 0)


def test_substitution_keeps_what_elimination_would_lose() -> None:
    """A triangle with a huge condition number: componentwise, substitution is exact to rounding."""
    n = 40
    a = np.tril(-np.ones((n, n)), -1) * 0.9 + np.eye(n)
    x = RNG.uniform(1, 2, (n, 1))
    from fractions import Fraction

    b = [[float(sum(Fraction(float(p)) * Fraction(float(q)) for p, q in zip(row, x[:, 0], strict=True)))] for row in a]
    for upper, p, q in ((False, a, np.array(b)), (True, a[::-1, ::-1], np.array(b)[::-1])):
        y = gl.linalg.solve_triangular(p, q, upper=upper)
        residual = np.abs(p @ y - q) / (np.abs(p) @ np.abs(y))
        assert residual.max() < 1e-15 * n


@pytest.mark.parametrize("upper", [False, True])
def test_cholesky_solve(upper: bool) -> None:
    a = A @ transposed(A)
    factor = gl.linalg.cholesky(a, upper=upper)
    np.testing.assert_allclose(gl.linalg.cholesky_solve(B, factor, upper=upper), np.linalg.solve(a, B), rtol=1e-10)
    gl.testing.gradcheck(lambda b, f: gl.linalg.cholesky_solve(b, f, upper=upper), B, factor)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_reduced_precision_is_rounded_once(dtype: str) -> None:
    x, b = gl.tensor(A[0], dtype=dtype), gl.tensor(B[0], dtype=dtype)
    wide = x.to("float32"), b.to("float32")
    for got, expected in (
        (gl.linalg.inv(x), gl.linalg.inv(wide[0])),
        (gl.linalg.solve(x, b), gl.linalg.solve(*wide)),
    ):
        assert str(got.dtype) == dtype
        assert got.tolist() == expected.to(dtype).tolist()
    assert gl.linalg.solve(x, wide[1]).dtype == gl.float32
    leaf = gl.tensor(A[0], dtype=dtype, requires_grad=True)
    gl.linalg.inv(leaf).sum().backward()
    exact = gl.grad(lambda x: gl.linalg.inv(x).sum())(wide[0])
    np.testing.assert_allclose(leaf.grad.to("float32"), exact, rtol=0.02, atol=0.01)


def test_on_sim(sim: str) -> None:
    x = gl.tensor(A, device=sim)
    y = gl.linalg.inv(x)
    assert y.device == sim
    np.testing.assert_allclose(y.numpy(), np.linalg.inv(A), rtol=1e-12)
