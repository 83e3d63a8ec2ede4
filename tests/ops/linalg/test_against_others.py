"""Derivatives against JAX and PyTorch, where installed, of real and of complex matrices.

JAX has gradlib's convention for complex derivatives: a cotangent g pairs with a tangent t as Re(sum(g t)).  PyTorch's
gradients are the conjugates.  Both are held to functions that do not depend on what a decomposition leaves open.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import gradlib as gl

RNG = np.random.default_rng(7)
DTYPES = ["float64"]


def namespace(name: str) -> Any:
    """Return what the functions below use of a library, under one set of names."""
    if name == "gradlib":
        return SimpleNamespace(linalg=gl.linalg, conj=(lambda x: x), real=(lambda x: x), exp=gl.exp, sum=gl.sum, expm=gl.linalg.expm,
                               norm=gl.linalg.norm, diagonal=gl.linalg.diagonal, einsum=gl.einsum)  # fmt: skip
    if name == "jax":
        jax = pytest.importorskip("jax")
        jax.config.update("jax_enable_x64", True)
        import jax.numpy as jnp
        import jax.scipy.linalg

        return SimpleNamespace(linalg=jnp.linalg, conj=jnp.conj, real=jnp.real, exp=jnp.exp, sum=jnp.sum, einsum=jnp.einsum,
                               expm=jax.scipy.linalg.expm, norm=jnp.linalg.norm, diagonal=jnp.diagonal)  # fmt: skip
    torch = pytest.importorskip("torch")
    return SimpleNamespace(linalg=torch.linalg, conj=torch.conj_physical, real=torch.real, exp=torch.exp, sum=torch.sum,
                           expm=torch.linalg.matrix_exp, norm=torch.linalg.norm, diagonal=torch.diagonal,
                           einsum=torch.einsum)  # fmt: skip


def adjoint(m: Any, x: Any) -> Any:
    return m.conj(x).mT


def eigh(m: Any, x: Any) -> Any:
    w, v = m.linalg.eigh(x + adjoint(m, x))
    return v * m.exp(w / 5) @ adjoint(m, v)


def null_space(m: Any, x: Any) -> Any:
    q = m.linalg.qr(x[:, :2], mode="complete")[0][:, 2:]
    return q @ adjoint(m, q)


def polar(m: Any, x: Any) -> Any:
    u, _, vh = m.linalg.svd(x, full_matrices=False)
    return u @ vh


def svd(m: Any, x: Any) -> Any:
    u, s, vh = m.linalg.svd(x[:, :3], full_matrices=False)
    return u * s**2 @ vh


def eig(m: Any, x: Any) -> Any:
    w, v = m.linalg.eig(x)
    return v * w**2 @ m.linalg.inv(v)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "inv": lambda m, x: m.linalg.inv(x),
    "solve": lambda m, x: m.linalg.solve(x, x.mT @ x),
    "det": lambda m, x: m.linalg.det(x),
    "sign": lambda m, x: m.linalg.slogdet(x)[0],
    "logabsdet": lambda m, x: m.linalg.slogdet(x)[1],
    "cholesky": lambda m, x: m.linalg.cholesky(x @ adjoint(m, x)),
    "eigh": eigh,
    "eigvalsh": lambda m, x: m.linalg.eigvalsh(x + adjoint(m, x)),
    "q": lambda m, x: m.linalg.qr(x)[0],
    "r": lambda m, x: m.linalg.qr(x[:, :3])[1],
    "wide r": lambda m, x: m.linalg.qr(x[:3])[1],
    "null space": null_space,
    "svd": svd,
    "polar": polar,
    "svdvals": lambda m, x: m.linalg.svdvals(x),
    "pinv": lambda m, x: m.linalg.pinv(x[:, :3]),
    "wide pinv": lambda m, x: m.linalg.pinv(x[:2]),
    "eig": eig,
    "eigvals": lambda m, x: m.sum(m.linalg.eigvals(x) ** 3),
    "expm": lambda m, x: m.expm(x / 2),
    "matrix_power": lambda m, x: m.linalg.matrix_power(x, 5),
    "inverse power": lambda m, x: m.linalg.matrix_power(x, -2),
    "vector norm": lambda m, x: m.linalg.vector_norm(x, axis=0),
    "vector norm 3": lambda m, x: m.linalg.vector_norm(x, ord=3, axis=1),
    "vector norm 1": lambda m, x: m.linalg.vector_norm(x, ord=1, axis=1),
    "vector norm inf": lambda m, x: m.linalg.vector_norm(x, ord=float("inf"), axis=1),
    **{f"norm {p}": lambda m, x, p=p: m.norm(x, ord=p) for p in ("fro", "nuc", 1, -1, 2, -2, float("inf"))},
    "einsum": lambda m, x: m.einsum("ij,jk,ki->j", x, m.conj(x), x),
}
# What a library has no derivative for, or another value of.
MISSING = {
    "jax": {"null space", "eig"},  # "not implemented"
    "torch": {"null space", "wide r"},  # "not differentiable"
}


def draw(dtype: str) -> Any:
    x = RNG.standard_normal((4, 4))
    return x + 1j * RNG.standard_normal((4, 4)) if dtype == "complex128" else x


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("other", ["jax", "torch"])
def test_vjp_and_jvp(other: str, name: str, dtype: str) -> None:
    if name in MISSING[other]:
        pytest.skip(f"{other} has no derivative of {name}")
    theirs, f = namespace(other), FUNCTIONS[name]
    ours = namespace("gradlib")
    x, t = draw(dtype), draw(dtype)
    y, pullback = gl.vjp(lambda x: f(ours, x), x)
    y = np.asarray(y)
    g = np.asarray(RNG.standard_normal(y.shape))
    if np.iscomplexobj(y):
        g = g + 1j * RNG.standard_normal(y.shape)
    if other == "jax":
        import jax

        expected_y, their_pullback = jax.vjp(lambda x: f(theirs, x), x)
        (expected,) = their_pullback(g)
    else:
        import torch

        leaf = torch.tensor(x, requires_grad=True)
        expected_y = f(theirs, leaf)
        (expected,) = torch.autograd.grad(expected_y, leaf, torch.tensor(g).conj(), materialize_grads=True)
        expected, expected_y = expected.conj().resolve_conj(), expected_y.detach().resolve_conj()
    np.testing.assert_allclose(y, np.asarray(expected_y), rtol=1e-9, atol=1e-9)
    scale = np.abs(np.asarray(expected)).max() or 1.0
    np.testing.assert_allclose(np.asarray(pullback(g)[0]) / scale, np.asarray(expected) / scale, atol=1e-9)
    along = np.asarray(gl.jvp(lambda x: f(ours, x), (x,), (t,))[1])
    assert np.sum(g * along).real == pytest.approx(np.sum(np.asarray(expected) * t).real, rel=1e-8, abs=1e-9)
