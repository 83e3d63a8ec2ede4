"""checkpoint: the same values and gradients at every order, less memory (measured), the same random numbers."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest

import gradlib as gl
from gradlib import nn
from gradlib.core import Tensor
from gradlib.core.node import collect

RNG = np.random.default_rng(5)
W = RNG.standard_normal((4, 4))
X = RNG.standard_normal((3, 4))


def block(x: Tensor, w: Tensor) -> Tensor:
    return gl.tanh(gl.sin(x @ w) * gl.exp(x))


def loss(wrap):  # type: ignore[no-untyped-def]
    f = wrap(block)
    return lambda x, w: gl.sum(f(f(x, w), w) ** 2)


def same(f: object) -> object:
    return f


def test_value_and_every_derivative() -> None:
    plain, saved = loss(same), loss(gl.checkpoint)
    v = RNG.standard_normal(X.shape)
    for d in (
        lambda f: gl.value_and_grad(f, argnums=(0, 1))(X, W),
        lambda f: gl.jvp(f, (X, W), (v, W)),
        lambda f: gl.hvp(f, (X, W), (v, W)),
        lambda f: gl.hessian(f)(X, W),
        lambda f: gl.hessian(f, mode="reverse")(X, W),
        lambda f: gl.jacobian(lambda x: gl.checkpoint(block)(x, gl.tensor(W)) if f is saved else block(x, W))(X),
        lambda f: gl.vmap(gl.grad(f), (0, None))(X[:, None], W),
        lambda f: gl.grad(lambda w: gl.sum(gl.vmap(f, (0, None))(X[:, None], w)))(W),
        lambda f: gl.grad(lambda w: gl.sum(gl.sin(gl.vmap(gl.grad(f), (0, None))(X[:, None], w))))(W),
    ):
        expected, got = (gl.transforms.tree.flatten(d(f))[0] for f in (plain, saved))
        for e, g in zip(expected, got, strict=True):
            np.testing.assert_allclose(g, e, rtol=1e-10, atol=1e-12)


def test_one_node_and_parameters_get_their_gradients() -> None:
    net = nn.Sequential(nn.Dense(4, 8, activation="tanh"), nn.Dense(8, 4))
    x = gl.tensor(X, dtype="float32", requires_grad=True)
    y = gl.checkpoint(net)(x)
    assert len(collect([y.node])) == 1
    gl.sum(y * y).backward()
    got = [x.grad.numpy(), *(p.grad.numpy() for p in net.parameters())]
    x.grad = None
    net.zero_grad()
    gl.sum(net(x) ** 2).backward()
    for a, b in zip(got, [x.grad, *(p.grad for p in net.parameters())], strict=True):
        np.testing.assert_array_equal(a, b.numpy())


def test_closing_over_what_is_on_the_tape() -> None:
    def f(wrap, w: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        z = gl.sin(w)  # made outside, used inside
        return gl.sum(wrap(lambda x: x * z + gl.tensor(X[0]) * w)(gl.cos(w)))

    w = X[1]
    for d in (gl.grad, gl.hessian, gl.jacobian):
        np.testing.assert_allclose(d(lambda w: f(gl.checkpoint, w))(w), d(lambda w: f(same, w))(w), rtol=1e-12)


def test_containers_and_several_outputs() -> None:
    @gl.checkpoint
    def f(p: dict, *, scale: float) -> dict:
        return {"a": p["x"] * scale, "b": (gl.sum(p["x"] * p["y"]), gl.argmax(p["x"]))}

    def total(p: dict) -> Tensor:
        out = f(p, scale=3.0)
        return gl.sum(out["a"]) + out["b"][0]

    g = gl.grad(total)({"x": gl.tensor(X), "y": gl.tensor(2 * X)})
    np.testing.assert_allclose(g["x"].numpy(), 3 + 2 * X)
    np.testing.assert_allclose(g["y"].numpy(), X)


def test_random_state() -> None:
    own = gl.Generator(9)

    @gl.checkpoint
    def noisy(x: Tensor) -> Tensor:
        y = nn.functional.dropout(x, 0.5) * gl.uniform(x.shape)
        inner = gl.checkpoint(lambda t: t * gl.normal(t.shape, generator=own) + nn.functional.dropout(t, 0.3))
        return inner(inner(y))

    gl.manual_seed(3)
    x = gl.ones((40,), requires_grad=True)
    y = noisy(x)
    after = gl.uniform((2,)).numpy()
    gl.sum(y).backward()
    np.testing.assert_allclose(x.grad.numpy(), y.numpy(), rtol=1e-5)  # linear in x, and x is ones
    gl.manual_seed(3)
    noisy(gl.ones((40,), requires_grad=True))
    np.testing.assert_array_equal(gl.uniform((2,)).numpy(), after)  # backward drew nothing


def peak_of_backward(length: int, mode: str, width: int = 60_000) -> float:
    """Peak of live bytes of a chain of blocks, forward and backward, in arrays of the chain's width."""

    def step(x: Tensor) -> Tensor:
        return gl.sin(gl.cos(gl.sin(gl.cos(gl.sin(gl.cos(x))))))  # keeps six arrays

    def run(blocks: int, x: Tensor) -> Tensor:
        for _ in range(blocks):
            x = gl.checkpoint(step)(x)
        return x

    x = gl.ones((width,), dtype="float64", requires_grad=True)
    gc.collect()
    tracemalloc.start()
    y = x
    if mode == "plain":
        for _ in range(length):
            y = step(y)
    elif mode == "checkpoint":
        y = run(length, y)
    else:
        side = round(length**0.5)
        for _ in range(side):
            y = gl.checkpoint(lambda t: run(side, t))(y)
    gl.sum(y).backward()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / (8 * width)


def test_peak_memory() -> None:
    inside = 6 + 6  # one block's inside, and what a backward step has in its hands
    for length in (16, 36, 64):
        assert peak_of_backward(length, "plain") > 6 * length
        assert length - 1 <= peak_of_backward(length, "checkpoint") <= length + inside
        assert peak_of_backward(length, "nested") <= 2 * length**0.5 + inside


def test_refuses_a_parameter_changed_in_place() -> None:
    w = gl.tensor(W, requires_grad=True)
    y = gl.checkpoint(lambda x: x @ w)(gl.tensor(X))
    w.assign(2 * W)
    with pytest.raises(gl.GradientError, match="changed in place"):
        gl.sum(y).backward()


def test_without_gradients_it_is_the_function() -> None:
    assert not gl.checkpoint(gl.sin)(gl.tensor(X)).requires_grad
    with gl.no_grad():
        assert not gl.checkpoint(gl.sin)(gl.tensor(X, requires_grad=True)).requires_grad


def test_hooks_run_once_on_whole_gradients() -> None:
    w, seen = gl.tensor(W, requires_grad=True), []
    w.register_hook(lambda g: seen.append(g.numpy()))

    def f(x: Tensor) -> Tensor:
        y = x @ w
        y.register_hook(lambda g: 2.0 * g)
        return y

    gl.sum(gl.checkpoint(f)(gl.checkpoint(f)(gl.tensor(X)))).backward()
    assert len(seen) == 1
    w2 = gl.tensor(W, requires_grad=True)
    gl.sum(gl.tensor(X) @ w2 @ w2.detach() * 4.0 + gl.tensor(X) @ w2.detach() @ w2 * 2.0).backward()
    np.testing.assert_allclose(seen[0], w2.grad.numpy(), rtol=1e-12)


def test_shown_and_debugged_as_one_op() -> None:
    with gl.debug():
        y = gl.checkpoint(lambda x: gl.sin(x))(gl.tensor(X, requires_grad=True))
    assert "checkpoint(leaf 0)" in gl.viz.graph(y)
