"""stop_gradient and custom_vjp."""

from __future__ import annotations

import numpy as np
import pytest

import gradlib as gl
from gradlib.core import Tensor

RNG = np.random.default_rng(7)
X = RNG.standard_normal(4)


def test_stop_gradient_at_every_level() -> None:
    f = lambda x: gl.sum(x * gl.stop_gradient(gl.sin(x)))  # noqa: E731
    np.testing.assert_allclose(gl.grad(f)(X), np.sin(X))
    np.testing.assert_allclose(gl.jvp(f, (X,), (X,))[1], X @ np.sin(X))
    np.testing.assert_allclose(gl.hessian(f)(X), np.zeros((4, 4)))
    through = gl.grad(lambda x: gl.sum(gl.vmap(lambda t: t * gl.stop_gradient({"k": gl.sin(t)})["k"])(x)))(X)
    np.testing.assert_allclose(through, np.sin(X))


def scaled() -> gl.custom_vjp:
    """y = sin(x) w, with a derivative of three times the true one, to tell it apart."""

    @gl.custom_vjp
    def f(x: Tensor, w: Tensor) -> Tensor:
        return gl.sin(x) * w

    f.defvjp(
        lambda x, w: (gl.sin(x) * w, (x, w)),
        lambda kept, g: (3.0 * g * gl.cos(kept[0]) * kept[1], 3.0 * gl.sum(g * gl.sin(kept[0]))),
    )
    return f


W = np.asarray(0.7)


def test_first_order_and_containers() -> None:
    f = scaled()
    gx, gw = gl.grad(lambda x, w: gl.sum(f(x, w)), argnums=(0, 1))(X, W)
    np.testing.assert_allclose(gx, 3 * np.cos(X) * 0.7)
    np.testing.assert_allclose(gw, 3 * np.sin(X).sum())

    @gl.custom_vjp
    def g(p: dict) -> list:
        return [p["a"] * 2, p["b"]]

    g.defvjp(lambda p: ([p["a"] * 2, p["b"]], None), lambda _, g: ({"a": g[0] * 10, "b": None},))
    out = gl.grad(lambda p: gl.sum(g(p)[0]) + gl.sum(g(p)[1]))({"a": gl.tensor(X), "b": gl.tensor(X)})
    assert out["a"].tolist() == [10.0] * 4
    assert out["b"].tolist() == [0.0] * 4


def test_higher_orders_differentiate_forward_and_backward() -> None:
    f = scaled()
    second = gl.grad(lambda x: gl.sum(gl.grad(lambda x: gl.sum(f(x, gl.tensor(W))))(x)))(X)
    np.testing.assert_allclose(second, -3 * np.sin(X) * 0.7)
    np.testing.assert_allclose(gl.hvp(lambda x: gl.sum(f(x, gl.tensor(W))), (X,), (np.ones(4),)), -3 * np.sin(X) * 0.7)
    np.testing.assert_allclose(gl.jvp(lambda x: f(x, gl.tensor(W)), (X,), (X,))[1], 3 * X * np.cos(X) * 0.7)


def test_vmap_outside_and_inside() -> None:
    f = scaled()
    each = gl.vmap(gl.grad(lambda x: f(x, gl.tensor(W))))(X)
    np.testing.assert_allclose(each, 3 * np.cos(X) * 0.7)
    gx, gw = gl.grad(lambda x, w: gl.sum(gl.vmap(f, (0, None))(x, w)), argnums=(0, 1))(X, W)
    np.testing.assert_allclose(gx, 3 * np.cos(X) * 0.7)
    np.testing.assert_allclose(gw, 3 * np.sin(X).sum())
    twice = gl.grad(lambda x: gl.sum(gl.vmap(gl.grad(lambda x: f(x, gl.tensor(W))))(x)))(X)
    np.testing.assert_allclose(twice, -3 * np.sin(X) * 0.7)
    np.testing.assert_allclose(gl.jacobian(lambda x: f(x, gl.tensor(W)))(X), np.diag(3 * np.cos(X) * 0.7))


def test_nondiff_argnums() -> None:
    def power(n: int, x: Tensor) -> Tensor:
        return x**n

    f = gl.custom_vjp(power, nondiff_argnums=(0,))
    f.defvjp(lambda n, x: (x**n, x), lambda n, x, g: (g * n * x ** (n - 1),))
    np.testing.assert_allclose(gl.grad(lambda x: gl.sum(f(3, x)))(X), 3 * X**2)


def test_errors() -> None:
    f = gl.custom_vjp(lambda x: x)
    with pytest.raises(gl.GradientError, match="no derivative is set"):
        f(X)
    f.defvjp(lambda x: (x, None), lambda _, g: (g, g))
    with pytest.raises(gl.ShapeError, match="returned 2 cotangents for 1 arguments"):
        gl.grad(lambda x: gl.sum(f(x)))(X)
    f.defvjp(lambda x: (x, None), lambda _, g: (g[:2],))
    with pytest.raises(gl.ShapeError, match="another shape"):
        gl.grad(lambda x: gl.sum(f(x)))(X)
