"""The matrix exponential: against SciPy, in closed form, and its derivatives."""

from __future__ import annotations

import numpy as np
import pytest

import gradlib as gl

RNG = np.random.default_rng(6)


@pytest.mark.parametrize("size", [1e-8, 0.1, 1.0, 10.0, 100.0])
def test_against_scipy(size: float) -> None:
    linalg = pytest.importorskip("scipy.linalg")
    x = size * RNG.standard_normal((3, 5, 5))
    expected = linalg.expm(x)
    scale = np.abs(expected).max(axis=(-2, -1), keepdims=True)
    np.testing.assert_allclose(gl.linalg.expm(x) / scale, expected / scale, atol=1e-13 * max(1.0, size))
    got = gl.linalg.expm(np.float32(x / 10))
    assert got.dtype == np.float32
    expected = linalg.expm(np.float32(x / 10).astype("f8"))
    scale = np.abs(expected).max(axis=(-2, -1), keepdims=True)
    np.testing.assert_allclose(got / scale, expected / scale, atol=3e-6 * max(1.0, size))


def test_closed_forms() -> None:
    t = 0.7
    rotation = gl.linalg.expm(t * np.array([[0.0, -1.0], [1.0, 0.0]]))
    np.testing.assert_allclose(rotation, [[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]], atol=1e-15)
    np.testing.assert_allclose(gl.linalg.expm(np.diag([1.0, 2.0, 800.0 - 795.0])), np.diag(np.exp([1.0, 2.0, 5.0])))
    np.testing.assert_array_equal(gl.linalg.expm(np.zeros((2, 3, 3))), np.broadcast_to(np.eye(3), (2, 3, 3)))
    assert gl.linalg.expm(np.zeros((2, 0, 0))).shape == (2, 0, 0)


def test_each_matrix_is_scaled_by_itself() -> None:
    """One large matrix in the batch does not cost the others their digits."""
    x = RNG.standard_normal((4, 4)) * 1e-3
    batch = np.stack([x, 300 * np.diag([1.0, -1.0, 0.5, 0.0])])
    np.testing.assert_array_equal(gl.linalg.expm(batch)[0], gl.linalg.expm(x))


def test_frechet_derivative_against_scipy() -> None:
    linalg = pytest.importorskip("scipy.linalg")
    for size in (0.01, 1.0, 20.0):
        x, h = size * RNG.standard_normal((4, 4)) / 2, RNG.standard_normal((4, 4))
        expected = linalg.expm_frechet(x, h, compute_expm=False)
        scale = np.abs(expected).max()
        for factor in (1.0, 1e6):  # the size of the cotangent does not count
            got = gl.jvp(gl.linalg.expm, (x,), (factor * h,))[1] / factor
            np.testing.assert_allclose(got / scale, expected / scale, atol=1e-12)
            back = gl.vjp(gl.linalg.expm, x)[1](factor * h)[0] / factor
            expected_back = linalg.expm_frechet(x.T, h, compute_expm=False)
            np.testing.assert_allclose(
                back / scale, expected_back / scale, atol=1e-12 * np.abs(expected_back).max() / scale
            )


def test_second_derivative_of_commuting_matrices() -> None:
    """Where everything commutes, D^2 exp(X)[H, H] = H^2 exp(X)."""
    x = np.array([[1.0, 2.0], [2.0, -1.0]]) / 3
    h = 0.3 * x + 0.7 * np.eye(2)
    second = gl.jvp(lambda x: gl.jvp(gl.linalg.expm, (x,), (gl.tensor(h),))[1], (x,), (h,))[1]
    np.testing.assert_allclose(second, h @ h @ gl.linalg.expm(x), rtol=1e-12)


def test_the_derivative_of_its_trace() -> None:
    """D(tr exp)(X)[H] = tr(exp(X) H)."""
    x = RNG.standard_normal((4, 4))
    gradient = gl.grad(lambda x: gl.linalg.trace(gl.linalg.expm(x)))(x)
    np.testing.assert_allclose(gradient, gl.linalg.expm(x).T, rtol=1e-11, atol=1e-12)
    assert np.all(gl.grad(lambda x: gl.sum(gl.linalg.expm(x)) * 0.0)(x) == 0)
