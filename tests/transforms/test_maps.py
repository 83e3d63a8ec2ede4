"""linearize, jacobian, hessian, hvp: against closed forms and each other; Nodes counted."""

from __future__ import annotations

import numpy as np
import pytest

import gradlib as gl
from gradlib.core import Tensor
from gradlib.core.node import collect

RNG = np.random.default_rng(3)
A = RNG.standard_normal((4, 3))
X = RNG.standard_normal(3)


def f(x: Tensor) -> Tensor:
    return gl.sin(gl.tensor(A) @ x)


@pytest.mark.parametrize("mode", ["auto", "reverse", "forward"])
def test_jacobian_closed_form(mode: str) -> None:
    np.testing.assert_allclose(gl.jacobian(f, mode=mode)(X), np.cos(A @ X)[:, None] * A, rtol=1e-12)
    wide = gl.jacobian(lambda x: gl.sum(x * x), mode=mode)(X)
    np.testing.assert_allclose(wide, 2 * X)
    identity = gl.jacobian(lambda x: x, mode=mode)(A)
    np.testing.assert_array_equal(identity, np.eye(12).reshape(4, 3, 4, 3))
    constant = gl.jacobian(lambda x: gl.ones((2,), dtype="float64"), mode=mode)(X)
    np.testing.assert_array_equal(constant, np.zeros((2, 3)))
    assert gl.jacobian(lambda x: x[:0], mode=mode)(X).shape == (0, 3)
    assert gl.jacobian(lambda x: gl.sum(x), mode=mode)(X[:0]).shape == (0,)


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_jacobian_of_containers(mode: str) -> None:
    def g(p: dict, s: Tensor, k: Tensor) -> dict:
        return {"y": p["w"] @ p["x"] * s, "z": [gl.sum(p["x"]) * k]}

    p = {"w": gl.tensor(A), "x": gl.tensor(X)}
    j = gl.jacobian(g, argnums=(0, 1), mode=mode)(p, gl.tensor(2.0, dtype="float64"), 3.0)
    np.testing.assert_allclose(j["y"][0]["x"].numpy(), 2 * A)
    np.testing.assert_allclose(j["y"][0]["w"].numpy(), 2 * np.einsum("ij,k->ijk", np.eye(4), X))
    np.testing.assert_allclose(j["y"][1].numpy(), A @ X)
    np.testing.assert_allclose(j["z"][0][0]["x"].numpy(), [3.0] * 3)
    np.testing.assert_allclose(j["z"][0][1].numpy(), 0.0)


def test_jacobian_is_on_the_tape_where_the_argument_is() -> None:
    x = gl.tensor(X, requires_grad=True)
    for mode in ("reverse", "forward"):
        x.grad = None
        gl.sum(gl.jacobian(f, mode=mode)(x)).backward()
        np.testing.assert_allclose(x.grad.numpy(), -A.T @ (np.sin(A @ X) * A.sum(1)), rtol=1e-12)


def quartic(x: Tensor) -> Tensor:
    return gl.sum(x * x) ** 2 + gl.prod(gl.sin(x))


def test_hessian_both_ways_and_nested() -> None:
    one = gl.hessian(quartic)(X)
    for other in (
        gl.hessian(quartic, mode="reverse")(X),
        gl.jacobian(gl.jacobian(quartic, mode="forward"), mode="forward")(X),
        gl.jacobian(gl.jacobian(quartic, mode="forward"), mode="reverse")(X),
        gl.jacobian(gl.jacobian(quartic, mode="reverse"), mode="forward")(X),
    ):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-13)
    h = 1e-5
    numeric = [(gl.grad(quartic)(X + h * e) - gl.grad(quartic)(X - h * e)) / (2 * h) for e in np.eye(3)]
    np.testing.assert_allclose(one, numeric, rtol=1e-6, atol=1e-7)
    third = gl.jacobian(gl.hessian(lambda x: gl.sum(x**3)))(X)
    expected = np.zeros((3, 3, 3))
    expected[range(3), range(3), range(3)] = 6
    np.testing.assert_allclose(third, expected, atol=1e-12)


def test_hessian_in_a_batch() -> None:
    batch = RNG.standard_normal((5, 3))
    got = gl.vmap(gl.hessian(quartic))(batch)
    np.testing.assert_allclose(got, np.stack([gl.hessian(quartic)(x) for x in batch]), rtol=1e-11, atol=1e-13)


def test_hvp() -> None:
    v = RNG.standard_normal(3)
    got = gl.hvp(quartic, (X,), (v,))
    np.testing.assert_allclose(got, gl.hessian(quartic)(X) @ v, rtol=1e-11)
    a, b = gl.hvp(lambda x, y: gl.sum(x * y * y), (X, X), (v, 0 * v))
    np.testing.assert_allclose(a, 0 * v)
    np.testing.assert_allclose(b, 2 * X * v)


def test_linearize_runs_once_and_is_called_often() -> None:
    calls = []

    def g(x: Tensor) -> Tensor:
        calls.append(1)
        return gl.exp(x)

    y, push = gl.linearize(g, X)
    np.testing.assert_allclose(y, np.exp(X))
    for scale in (1.0, -2.0):
        np.testing.assert_allclose(push(scale * X), scale * X * np.exp(X))
    assert len(calls) == 1
    with pytest.raises(gl.ShapeError, match="got 2 tangents for 1 primals"):
        push(X, X)
    with pytest.raises(gl.ShapeError, match="tangent's shape differs"):
        push(X[:2])


def test_nodes_do_not_depend_on_the_size() -> None:
    def count(n: int, mode: str) -> int:
        w = gl.tensor(RNG.standard_normal((n, 3)), requires_grad=True)
        j = gl.jacobian(lambda x: gl.softmax(gl.tanh(w @ x)), mode=mode)(X)
        return len(collect([j.node]))

    for mode in ("reverse", "forward"):
        assert count(2, mode) == count(9, mode)

    def hessian_nodes(n: int) -> int:
        w = gl.tensor(np.ones(n), requires_grad=True)
        return len(collect([gl.hessian(lambda x: gl.sum(gl.sin(x) * w) ** 2)(np.ones(n)).node]))

    assert hessian_nodes(2) == hessian_nodes(7)


def test_errors() -> None:
    with pytest.raises(ValueError, match="mode is 'sideways'"):
        gl.jacobian(f, mode="sideways")
    with pytest.raises(IndexError, match="called with 1 arguments"):
        gl.jacobian(f, argnums=1)(X)
    with pytest.raises(TypeError, match=r"hvp\(quartic, primals, tangents\): primals and tangents are tuples"):
        gl.hvp(quartic, X, X)
    with pytest.raises(gl.ShapeError, match=r"hvp\(quartic, primals, tangents\): the tangent's shape differs"):
        gl.hvp(quartic, (X,), (X[:2],))
    with pytest.raises(gl.GradientError, match="returned int64"):
        gl.jacobian(lambda x: gl.argmax(x))(X)
    with pytest.raises(gl.GradientError, match="only floating and complex dtypes"):
        gl.jacobian(f)(np.arange(3))
