"""Second derivatives, of real and of complex matrices: the gradient against its own differences, both ways."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib.testing.gradcheck import directional, inner

from .functions import FUNCTIONS, GRADLIB, draw

DTYPES = ["float64", "complex128"]
LIMIT = 2e-6  # central differences with step 1e-5, relative to the size of the derivative


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradient_and_its_derivative(name: str, dtype: str) -> None:
    rng = np.random.default_rng(8)
    x, t, u = (draw(rng, dtype) for _ in range(3))
    if name.startswith("vector norm"):
        x = x + np.sign(x.real)  # away from 0, where the higher norms bend

    def f(x: Any) -> Any:
        return FUNCTIONS[name](GRADLIB, x)

    y = np.asarray(f(gl.tensor(x)).numpy())
    g = np.asarray(rng.standard_normal(y.shape) + (1j * rng.standard_normal(y.shape) if np.iscomplexobj(y) else 0.0))

    def gradient(x: Any) -> Any:
        return gl.vjp(f, x)[1](gl.tensor(g))[0]

    def pushed(x: Any) -> Any:
        return gl.jvp(f, (x,), (gl.tensor(t),))[1]

    numeric = directional(f, [x], [t])[0]
    tangent = pushed(gl.tensor(x)).numpy()
    size = np.abs(numeric).max() + 1e-3
    np.testing.assert_allclose(tangent / size, numeric / size, atol=LIMIT)
    of_x = gradient(gl.tensor(x)).numpy()
    assert inner([of_x], [t]) == pytest.approx(inner([g], [tangent]), rel=1e-9, abs=1e-10 * size)

    numeric = directional(gradient, [x], [t])[0]
    size = np.abs(numeric).max() + 1e-3
    second = gl.jvp(gradient, (gl.tensor(x),), (gl.tensor(t),))[1].numpy()
    np.testing.assert_allclose(second / size, numeric / size, atol=10 * LIMIT)
    back = gl.vjp(pushed, gl.tensor(x))[1](gl.tensor(g))[0].numpy()  # grad of jvp
    np.testing.assert_allclose(back / size, second / size, atol=1e-9)
    twice = gl.vjp(gradient, gl.tensor(x))[1](gl.tensor(u))[0].numpy()  # grad of grad: the Hessian is symmetric
    assert inner([twice], [t]) == pytest.approx(inner([u], [second]), rel=1e-8, abs=1e-9 * size)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_vmap_of_complex_matrices(name: str) -> None:
    """Of the value and of the gradient, against a loop; the registry suite does the same for real ones."""
    rng = np.random.default_rng(9)
    x = np.stack([draw(rng, "complex128") for _ in range(3)])

    def f(x: Any) -> Any:
        return FUNCTIONS[name](GRADLIB, x)

    def loss(x: Any) -> Any:
        return gl.sum(gl.abs(gl.sin(f(x))))

    for g in (f, gl.grad(loss)):
        expected = np.stack([np.asarray(g(gl.tensor(each)).numpy()) for each in x])
        np.testing.assert_allclose(gl.vmap(g)(gl.tensor(x)).numpy(), expected, rtol=1e-8, atol=1e-9)
