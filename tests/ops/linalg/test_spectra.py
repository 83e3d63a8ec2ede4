"""Eigenvalues and singular values: values, gradients, and what happens where they are equal."""

from __future__ import annotations

import numpy as np
import pytest

import gradlib as gl

RNG = np.random.default_rng(3)


def symmetric(*shape: int) -> np.ndarray:
    x = RNG.standard_normal(shape)
    return x + np.swapaxes(x, -1, -2)


S = symmetric(2, 5, 5)


def test_eigh() -> None:
    w, v = gl.linalg.eigh(gl.tensor(S))
    np.testing.assert_allclose(w.numpy(), np.linalg.eigvalsh(S), rtol=1e-12)
    np.testing.assert_allclose((v * w[..., None, :] @ v.mT).numpy(), S, atol=1e-12)
    np.testing.assert_allclose(gl.linalg.eigvalsh(S), np.linalg.eigvalsh(S), rtol=1e-12)
    gl.testing.gradcheck(gl.linalg.eigh, S)
    gl.testing.gradcheck(gl.linalg.eigvalsh, S)


def test_only_the_symmetric_part_counts() -> None:
    x = RNG.standard_normal((4, 4))
    np.testing.assert_allclose(gl.linalg.eigvalsh(x), np.linalg.eigvalsh((x + x.T) / 2), rtol=1e-12)
    g = gl.grad(lambda x: gl.linalg.eigh(x).eigenvectors[0, 0])(x)
    np.testing.assert_allclose(g, g.T, rtol=1e-12)


def test_functions_of_a_symmetric_matrix() -> None:
    """V exp(w) V^T is expm, whose derivatives come another way."""
    x, h = S[0] / 4, symmetric(5, 5)

    def by_eigh(x):  # type: ignore[no-untyped-def]
        w, v = gl.linalg.eigh(x)
        return v * gl.exp(w) @ v.mT

    np.testing.assert_allclose(by_eigh(gl.tensor(x)).numpy(), gl.linalg.expm(x), rtol=1e-11)
    for f in (by_eigh, gl.linalg.expm):
        gl.testing.gradcheck(lambda x, f=f: f((x + x.mT) / 2), x)
    first = [gl.jvp(f, (x,), (h,))[1] for f in (by_eigh, gl.linalg.expm)]
    np.testing.assert_allclose(*first, rtol=1e-9, atol=1e-10)
    second = [
        gl.jvp(lambda x, f=f: gl.jvp(f, (x,), (gl.tensor(h),))[1], (x,), (h,))[1] for f in (by_eigh, gl.linalg.expm)
    ]
    np.testing.assert_allclose(*second, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("x", [np.eye(3), np.diag([1.0, 2.0, 2.0]), np.zeros((3, 3))])
def test_equal_eigenvalues(x: np.ndarray) -> None:
    """What treats equal eigenvalues alike has its right gradient: sum w^2 = ||X||^2, trace exp."""
    for eigenvalues in (gl.linalg.eigvalsh, lambda x: gl.linalg.eigh(x).eigenvalues):
        np.testing.assert_allclose(gl.grad(lambda x, e=eigenvalues: gl.sum(e(x) ** 2))(x), 2 * x, atol=1e-14)
        np.testing.assert_allclose(
            gl.grad(lambda x, e=eigenvalues: gl.sum(gl.exp(e(x))))(x), gl.linalg.expm(x), rtol=1e-12, atol=1e-14
        )
        tangent = gl.jvp(lambda x, e=eigenvalues: gl.sum(e(x) ** 2), (x,), (S[0, :3, :3],))[1]
        assert tangent == pytest.approx(np.sum(2 * x * S[0, :3, :3]))


def test_eigenvectors_of_equal_eigenvalues_have_no_derivative() -> None:
    """Not a finite number that is wrong: also where the two terms of a difference cancel."""
    assert np.isnan(gl.grad(lambda x: gl.linalg.eigh(x).eigenvectors[0, 1])(np.eye(2))).any()
    assert np.isnan(gl.jvp(lambda x: gl.linalg.eigh(x).eigenvectors, (np.eye(2),), (S[0, :2, :2],))[1]).any()
    hessian = gl.hessian(lambda x: gl.sum(gl.linalg.eigvalsh(x) ** 2))(np.eye(2))
    assert np.isnan(hessian[0, 1]).any()
    assert np.isnan(gl.grad(lambda x: gl.linalg.svd(x).U[0, 1])(np.eye(2))).any()


@pytest.mark.parametrize("x", [np.diag([3.0, 1.0, 1.0, 0.0, 0.0]), np.diag([1.0, 1.0, 2.0])])
def test_the_other_eigenvectors_keep_theirs(x: np.ndarray) -> None:
    """That of the largest eigenvalue, of which there is one: D(v v^T)[H] by the resolvent."""
    n = len(x)
    h = symmetric(n, n)
    top = x.max()
    v = np.linalg.eigh(x)[1][:, -1:]
    r = np.linalg.pinv(top * np.eye(n) - x)  # the reduced resolvent
    p = v @ v.T
    first = r @ h @ p + p @ h @ r

    def projection(x):  # type: ignore[no-untyped-def]
        v = gl.linalg.eigh(x).eigenvectors[:, -1:]
        return v @ v.mT

    def by_svd(x):  # type: ignore[no-untyped-def]
        u = gl.linalg.svd(x).U[:, :1]
        return u @ u.mT

    for f in (projection, by_svd):
        np.testing.assert_allclose(gl.jvp(f, (x,), (h,))[1], first, atol=1e-13)
        g = gl.vjp(f, x)[1](h)[0]
        np.testing.assert_allclose((g + g.T) / 2, first, atol=1e-13)  # it is its own transpose
        assert np.isnan(gl.hvp(lambda x, f=f: gl.sum(f(x) * h), (x,), (h,))).any()  # the second needs all gaps


SHAPES = [(4, 4), (2, 5, 3), (2, 3, 5), (1, 4), (4, 1), (1, 1), (2, 0, 3), (3, 0), (0, 2, 2)]


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_svd(shape: tuple[int, ...], full: bool) -> None:
    x = RNG.standard_normal(shape)
    u, s, vh = gl.linalg.svd(gl.tensor(x), full_matrices=full)
    expected = np.linalg.svd(x, full_matrices=full)
    assert (u.shape, s.shape, vh.shape) == tuple(e.shape for e in expected)
    k = s.shape[-1]
    np.testing.assert_allclose((u[..., :k] * s[..., None, :] @ vh[..., :k, :]).numpy(), x, atol=1e-13)
    np.testing.assert_allclose(s.numpy(), expected.S, atol=1e-13)
    np.testing.assert_allclose(gl.linalg.svdvals(x), expected.S, atol=1e-13)


@pytest.mark.parametrize("shape", [s for s in SHAPES if 0 not in s])
def test_gradients_of_svd(shape: tuple[int, ...]) -> None:
    x = RNG.standard_normal(shape)
    gl.testing.gradcheck(lambda x: gl.linalg.svd(x, full_matrices=False), x)
    gl.testing.gradcheck(gl.linalg.svdvals, x)
    for part in range(3):
        gl.testing.gradcheck(lambda x, part=part: gl.linalg.svd(x, full_matrices=False)[part], x)


@pytest.mark.parametrize("shape", [(5, 2), (2, 5)])
def test_projections_on_null_spaces_by_svd(shape: tuple[int, int]) -> None:
    """1 - X X^+ and 1 - X^+ X, from the vectors beyond the second."""

    def projection(x):  # type: ignore[no-untyped-def]
        u, _, vh = gl.linalg.svd(x)
        beyond = u[:, 2:] if shape[0] > 2 else vh[2:].mT
        return beyond @ beyond.mT

    def by_pinv(x):  # type: ignore[no-untyped-def]
        y = gl.linalg.pinv(x)
        return gl.eye(5, dtype="float64") - (x @ y if shape[0] > 2 else y @ x)

    x, g, h = RNG.standard_normal(shape), RNG.standard_normal((5, 5)), RNG.standard_normal(shape)
    np.testing.assert_allclose(projection(gl.tensor(x)).numpy(), by_pinv(gl.tensor(x)).numpy(), atol=1e-13)
    gradients = [gl.vjp(f, x)[1](g)[0] for f in (projection, by_pinv)]
    np.testing.assert_allclose(*gradients, atol=1e-12)
    curvatures = [gl.hvp(lambda x, f=f: gl.sum(f(x) * g), (x,), (h,)) for f in (projection, by_pinv)]
    np.testing.assert_allclose(*curvatures, atol=1e-11)


def test_the_polar_factor() -> None:
    """U V^T = X (X^T X)^(-1/2), by eigh; also where singular values are close."""
    x = RNG.standard_normal((4, 4))

    def by_svd(x):  # type: ignore[no-untyped-def]
        u, _, vh = gl.linalg.svd(x)
        return u @ vh

    def by_eigh(x):  # type: ignore[no-untyped-def]
        w, v = gl.linalg.eigh(x.mT @ x)
        return x @ (v / gl.sqrt(w) @ v.mT)

    g = RNG.standard_normal((4, 4))
    np.testing.assert_allclose(*[gl.vjp(f, x)[1](g)[0] for f in (by_svd, by_eigh)], rtol=1e-8, atol=1e-8)


def test_a_zero_singular_value_of_a_square_matrix() -> None:
    """s and the vectors of the others keep their derivatives."""
    x = np.diag([3.0, 2.0, 0.0])
    w = np.arange(6).reshape(3, 2)
    assert np.isfinite(gl.grad(lambda x: gl.sum(gl.linalg.svd(x).U[:, :2] ** 2 * w))(x)).all()
    np.testing.assert_allclose(gl.grad(lambda x: gl.sum(gl.linalg.svdvals(x)[:2]))(x), np.diag([1.0, 1.0, 0.0]))


@pytest.mark.parametrize("x", [np.eye(3), np.ones((3, 3)), np.zeros((2, 3)), RNG.standard_normal((3, 2))])
def test_equal_singular_values(x: np.ndarray) -> None:
    """sum s^2 = ||X||^2."""
    for values in (gl.linalg.svdvals, lambda x: gl.linalg.svd(x).S):
        np.testing.assert_allclose(gl.grad(lambda x, v=values: gl.sum(v(x) ** 2))(x), 2 * x, atol=1e-14)


@pytest.mark.parametrize("shape", [(4, 4), (2, 5, 3), (2, 3, 5), (3, 0), (2, 0, 3)])
def test_pinv(shape: tuple[int, ...]) -> None:
    x = RNG.standard_normal(shape)
    got = gl.linalg.pinv(x)
    np.testing.assert_allclose(got, np.linalg.pinv(x) if x.size else got, atol=1e-12)
    assert got.shape == (*shape[:-2], shape[-1], shape[-2])
    if x.size:
        gl.testing.gradcheck(gl.linalg.pinv, x)


def test_pinv_of_lower_rank() -> None:
    """Along matrices of one rank, X = A B, the derivative is that of B^+ A^+."""
    a, b = RNG.standard_normal((5, 2)), RNG.standard_normal((2, 4))

    def whole(a, b):  # type: ignore[no-untyped-def]
        return gl.linalg.pinv(a @ b)

    def parts(a, b):  # type: ignore[no-untyped-def]
        return b.mT @ gl.linalg.inv(b @ b.mT) @ gl.linalg.inv(a.mT @ a) @ a.mT

    g = RNG.standard_normal((4, 5))
    for p, q in zip(gl.vjp(whole, a, b)[1](g), gl.vjp(parts, a, b)[1](g), strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-9, atol=1e-10)


def test_tolerances() -> None:
    x = np.diag([1.0, 1e-3, 1e-9])
    assert gl.linalg.matrix_rank(x) == 3
    assert gl.linalg.matrix_rank(x, rtol=1e-6) == 2
    both = np.stack([x, x])
    assert gl.linalg.matrix_rank(both, rtol=np.array([1e-6, 1e-2])).tolist() == [2, 1]
    assert gl.linalg.pinv(both, rtol=gl.tensor([1e-6, 1e-2]))[:, 1, 1].tolist() == pytest.approx([1e3, 0.0])
    assert gl.linalg.matrix_rank(np.zeros((4, 3))) == 0
    assert gl.linalg.matrix_rank(np.zeros((2, 0, 3))).tolist() == [0, 0]
    assert gl.linalg.matrix_rank(gl.tensor(np.float32(x))).dtype == gl.int64


def test_lstsq() -> None:
    x, b = RNG.standard_normal((6, 3)), RNG.standard_normal((6, 2))
    got = gl.linalg.lstsq(x, b)
    solution, residuals, rank, s = np.linalg.lstsq(x, b)
    np.testing.assert_allclose(got.solution, solution, rtol=1e-10)
    np.testing.assert_allclose(got.residuals, residuals, rtol=1e-10)
    np.testing.assert_allclose(got.singular_values, s, rtol=1e-12)
    assert got.rank == rank
    wide = gl.linalg.lstsq(x.T, b[:3])
    np.testing.assert_allclose(wide.solution, np.linalg.lstsq(x.T, b[:3])[0], rtol=1e-10)
    np.testing.assert_allclose(wide.residuals, 0, atol=1e-25)
    assert gl.linalg.lstsq(np.stack([x, 2 * x]), b[:, 0]).solution.shape == (2, 3)
    gl.testing.gradcheck(lambda x, b: gl.linalg.lstsq(x, b).solution, x, b)
    gl.testing.gradcheck(lambda x, b: gl.linalg.lstsq(x, b).residuals, x, b[:, 0])


def test_gradient_of_the_least_residual() -> None:
    """min ||A x - b||^2 = b^T (1 - A A^+) b: at the minimum the derivative in b is 2 (b - A x)."""
    x, b = RNG.standard_normal((6, 3)), RNG.standard_normal(6)
    left = b - x @ np.linalg.lstsq(x, b)[0]
    np.testing.assert_allclose(gl.grad(lambda b: gl.linalg.lstsq(x, b).residuals)(b), 2 * left, rtol=1e-10)
