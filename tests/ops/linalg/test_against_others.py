"""Derivatives against JAX and PyTorch, where installed, of real and of complex matrices.

JAX has gradlib's convention for complex derivatives: a cotangent g pairs with a tangent t as Re(sum(g t)).  PyTorch's
gradients are the conjugates.  Both are held to functions that do not depend on what a decomposition leaves open.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import gradlib as gl

from .functions import FUNCTIONS, GRADLIB, draw

RNG = np.random.default_rng(7)


def namespace(name: str) -> Any:
    """Return what the functions below use of a library, under one set of names."""
    if name == "jax":
        jax = pytest.importorskip("jax")
        jax.config.update("jax_enable_x64", True)
        import jax.numpy as jnp
        import jax.scipy.linalg

        return SimpleNamespace(linalg=jnp.linalg, conj=jnp.conj, real=jnp.real, exp=jnp.exp, sum=jnp.sum,
                               einsum=jnp.einsum, expm=jax.scipy.linalg.expm, norm=jnp.linalg.norm)  # fmt: skip
    torch = pytest.importorskip("torch")
    return SimpleNamespace(linalg=torch.linalg, conj=torch.conj_physical, real=torch.real, exp=torch.exp, sum=torch.sum,
                           expm=torch.linalg.matrix_exp, norm=torch.linalg.norm,
                           einsum=torch.einsum)  # fmt: skip


# What the others have no derivative for.
MISSING = {"jax": {"null space", "eig"}, "torch": {"null space", "wide r"}}
CASES = [
    pytest.param(other, name, dtype, id=f"{other}-{name}-{dtype}")
    for other in MISSING
    for name in FUNCTIONS
    for dtype in ("float64", "complex128")
    if name not in MISSING[other]
    and (other, dtype) != ("jax", "float64")  # the real ones PyTorch holds, and is quicker
]


@pytest.mark.parametrize(("other", "name", "dtype"), CASES)
def test_vjp_and_jvp(other: str, name: str, dtype: str) -> None:
    theirs, f = namespace(other), FUNCTIONS[name]
    x, t = draw(RNG, dtype), draw(RNG, dtype)
    y, pullback = gl.vjp(lambda x: f(GRADLIB, x), x)
    y = np.asarray(y)
    g = np.asarray(RNG.standard_normal(y.shape) + (1j * RNG.standard_normal(y.shape) if np.iscomplexobj(y) else 0.0))
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
    along = np.asarray(gl.jvp(lambda x: f(GRADLIB, x), (x,), (t,))[1])
    assert np.sum(g * along).real == pytest.approx(np.sum(np.asarray(expected) * t).real, rel=1e-8, abs=1e-9)
