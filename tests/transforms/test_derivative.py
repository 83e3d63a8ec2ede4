"""grad, value_and_grad, vjp, jvp: against closed forms, composed, on containers, with their errors."""

from __future__ import annotations

import numpy as np
import pytest

import gradlib as gl
from gradlib.core import Tensor


def polynomial(x: Tensor) -> Tensor:
    return x[0] * x[0] * (x[1] * x[2] - 2.0 * x[0] * x[0])


def test_gradient_of_the_notes() -> None:
    g = gl.grad(polynomial)(gl.tensor([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(g.numpy(), [4.0, 3.0, 2.0], rtol=1e-6)


def test_gradient_descent_of_the_notes() -> None:
    slope = gl.grad(lambda x: 2.0 * x * x)
    for rate, expected in ((1.0, [1, -3, 9, -27]), (0.1, [1, 0.6, 0.36, 0.216])):
        x, path = gl.tensor(1.0, dtype="float64"), []
        for _ in expected:
            path.append(x.item())
            x = x - rate * slope(x)
        np.testing.assert_allclose(path, expected)


def test_every_order() -> None:
    f = gl.exp
    x = gl.tensor(0.3, dtype="float64")
    for _ in range(5):
        f = gl.grad(lambda t, f=f: f(t) * t)
    # D applied to t -> t f(t), five times, starting at exp: checked against a polynomial recursion
    coefficients = np.array([1.0])  # f = p(t) exp(t)
    for _ in range(5):
        p = np.append(0.0, coefficients)  # t p(t)
        derivative = np.append(p[1:] * np.arange(1, len(p)), 0.0)
        coefficients = p + derivative
    np.testing.assert_allclose(f(x).item(), np.polyval(coefficients[::-1], 0.3) * np.exp(0.3), rtol=1e-12)


def test_mixed_orders_agree() -> None:
    rng = np.random.default_rng(0)
    a, v = rng.standard_normal((2, 5))

    def f(x: Tensor) -> Tensor:
        return gl.sum(gl.sin(x) * gl.exp(x[::-1]))

    hvp_forward = gl.jvp(gl.grad(f), (a,), (v,))[1]
    hvp_reverse = gl.grad(lambda x: gl.sum(gl.grad(f)(x) * v))(a)
    hvp_outer = gl.grad(lambda x: gl.jvp(f, (x,), (gl.tensor(v),))[1])(a)
    np.testing.assert_allclose(hvp_forward, hvp_reverse, rtol=1e-12)
    np.testing.assert_allclose(hvp_forward, hvp_outer, rtol=1e-12)
    h = 1e-6
    numeric = (gl.grad(f)(a + h * v) - gl.grad(f)(a - h * v)) / (2 * h)
    np.testing.assert_allclose(hvp_forward, numeric, rtol=1e-6, atol=1e-8)


def test_no_perturbation_confusion() -> None:
    # d/dx (x * d/dy (x + y)) = 1, not 2
    for inner in (lambda x: gl.grad(lambda y: x + y)(1.0), lambda x: gl.jvp(lambda y: x + y, (1.0,), (1.0,))[1]):
        assert gl.grad(lambda x, inner=inner: x * inner(x))(1.0).item() == 1.0
        assert gl.jvp(lambda x, inner=inner: x * inner(x), (1.0,), (1.0,))[1].item() == 1.0


def test_closure_over_a_tracked_tensor() -> None:
    w = gl.tensor(3.0, requires_grad=True)
    g = gl.grad(lambda x: w * x * x)(2.0)
    assert g.item() == 12.0
    g.backward()
    assert w.grad.item() == 4.0


def test_argnums_aux_and_containers() -> None:
    def f(params: dict, x: Tensor) -> tuple:
        y = gl.sum(params["w"] * x) + params["bias"][0]
        return y, {"shape": x.shape}

    params = {"w": gl.tensor([1.0, 2.0]), "bias": [gl.tensor(5.0)]}
    (value, aux), g = gl.value_and_grad(f, has_aux=True)(params, gl.tensor([3.0, 4.0]))
    assert value.item() == 16.0
    assert aux == {"shape": (2,)}
    assert g["w"].tolist() == [3.0, 4.0]
    assert g["bias"][0].item() == 1.0
    network = gl.nn.Dense(2, 1)
    aux = gl.grad(lambda x: (gl.sum(x * x), {"y": gl.sin(x), "k": network, "n": "text"}), has_aux=True)
    _, found = aux(np.array([1.0, 2.0]))
    assert type(found["y"]) is np.ndarray  # as the arguments are
    _, found = aux(gl.tensor([1.0, 2.0]))
    assert not found["y"].requires_grad  # nothing holds the tape of a derivative that is done
    assert found["n"] == "text"
    assert gl.grad(lambda x: (x * x, network), has_aux=True)(1.0)[1] is network
    second = gl.grad(lambda x: gl.sum(gl.grad(lambda t: (gl.sum(t * t * t), gl.sin(t)), has_aux=True)(x)[1]))
    np.testing.assert_allclose(second(np.array([1.0, 2.0])), np.cos([1.0, 2.0]))  # that around it goes through them
    gx, gw = gl.grad(lambda w, x: gl.sum(w * x), argnums=(1, 0))(gl.tensor([1.0, 2.0]), gl.tensor([3.0, 4.0]))
    assert (gx.tolist(), gw.tolist()) == ([1.0, 2.0], [3.0, 4.0])


def test_plain_arrays_in_plain_arrays_out() -> None:
    a = np.array([1.0, 2.0])
    g = gl.grad(lambda x: gl.sum(x * x))(a)
    assert type(g) is np.ndarray
    assert g.dtype == np.float64
    y, pullback = gl.vjp(lambda x: x * x, a)
    assert type(y) is np.ndarray
    (first,) = pullback(np.ones(2))
    (again,) = pullback(np.ones(2))
    np.testing.assert_array_equal(first, again)


def test_result_is_not_on_a_tape_unless_an_argument_is() -> None:
    value, g = gl.value_and_grad(lambda x: x * x)(gl.tensor(3.0))
    assert not value.requires_grad
    assert not g.requires_grad
    value, g = gl.value_and_grad(lambda x: x * x)(gl.tensor(3.0, requires_grad=True))
    assert value.requires_grad
    assert g.requires_grad


def test_an_argument_the_function_ignores_has_zero_gradient() -> None:
    g = gl.grad(lambda x, y: gl.sum(y), argnums=0)(gl.tensor([1.0, 2.0]), gl.tensor(1.0))
    assert g.tolist() == [0.0, 0.0]


def test_grad_inside_no_grad_still_differentiates() -> None:
    with gl.no_grad():
        assert gl.grad(lambda x: x * x)(3.0).item() == 6.0


def test_errors_name_the_function() -> None:
    def vector(x: Tensor) -> Tensor:
        return x * x

    with pytest.raises(gl.ShapeError, match=r"grad\(vector\): the function returned 2 elements"):
        gl.grad(vector)(gl.tensor([1.0, 2.0]))
    with pytest.raises(gl.ShapeError, match="tangent's shape differs"):
        gl.jvp(vector, (gl.tensor([1.0, 2.0]),), (gl.tensor([1.0]),))
    with pytest.raises(gl.DTypeError, match="tangent's dtype differs"):
        gl.jvp(vector, (gl.tensor([1.0]),), (gl.tensor([1.0], dtype="float64"),))
    with pytest.raises(IndexError, match="called with 1 arguments"):
        gl.grad(vector, argnums=1)(1.0)
    with pytest.raises(gl.ShapeError, match="got 2 cotangents for 1 outputs"):
        gl.vjp(vector, gl.tensor([1.0]))[1]((gl.tensor([1.0]), gl.tensor([1.0])))
