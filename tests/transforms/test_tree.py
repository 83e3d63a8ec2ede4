"""Containers of arrays as arguments of every transform: dataclasses, networks, objects that say how."""

from __future__ import annotations

import dataclasses
from collections import namedtuple

import numpy as np
import pytest

import gradlib as gl
from gradlib import nn
from gradlib.core import Tensor
from gradlib.transforms.tree import flatten

RNG = np.random.default_rng(4)


@dataclasses.dataclass(frozen=True)
class Layer:
    w: Tensor
    b: Tensor
    activation: str = "tanh"
    scale: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        return getattr(gl, self.activation)(x @ self.w + self.b)


class Pair:
    """Says itself what it holds."""

    def __init__(self, first: object, second: object) -> None:
        self.first, self.second = first, second

    def tree_flatten(self) -> tuple[list, object]:
        return [self.first, self.second], lambda new: Pair(*new)


Point = namedtuple("Point", "x y")
X, W, B = RNG.standard_normal((5, 3)), RNG.standard_normal((3, 2)), RNG.standard_normal(2)


def loss(layer: Layer, x: object) -> Tensor:
    return gl.sum(layer(x) ** 2)


def test_round_trip() -> None:
    tree = {"a": [1, Point(2, (3,))], "b": Pair(4, Layer(5, 6)), "c": None}
    leaves, rebuild = flatten(tree)
    assert leaves == [1, 2, 3, 4, 5, 6, None]
    new = rebuild([10 * v if v else v for v in leaves])
    assert new["a"] == [10, Point(20, (30,))]
    assert (new["b"].first, new["b"].second) == (40, Layer(50, 60))
    assert flatten(new)[0] == [10, 20, 30, 40, 50, 60, None]
    with pytest.raises(ValueError, match="1 leaves for a tree of 7"):
        rebuild([1])


def test_transforms_of_dataclasses() -> None:
    layer = Layer(gl.tensor(W), gl.tensor(B))
    y = np.tanh(X @ W + B)
    g = gl.grad(loss)(layer, X)
    assert isinstance(g, Layer)
    assert g.activation == "tanh"
    np.testing.assert_allclose(g.w.numpy(), X.T @ (2 * y * (1 - y**2)), rtol=1e-12)
    _, t = gl.jvp(lambda layer: loss(layer, X), (layer,), (g,))
    norm = sum(float(np.sum(p.numpy() ** 2)) for p in (g.w, g.b))
    assert t.item() == pytest.approx(norm)
    h = gl.hvp(lambda layer: loss(layer, X), (layer,), (g,))
    numeric = [gl.grad(loss)(Layer(layer.w + e * g.w, layer.b + e * g.b), X).b.numpy() for e in (1e-6, -1e-6)]
    np.testing.assert_allclose(h.b.numpy(), (numeric[0] - numeric[1]) / 2e-6, rtol=1e-4)
    each = gl.vmap(gl.grad(loss), (None, 0))(layer, X)
    np.testing.assert_allclose(each.w.numpy().sum(0), g.w.numpy(), rtol=1e-11)
    pair = gl.grad(lambda p: gl.sum(p.first * p.second))(Pair(gl.tensor(B), gl.tensor(2 * B)))
    np.testing.assert_allclose(pair.first.numpy(), 2 * B)


def network() -> nn.Module:
    gl.manual_seed(0)
    return nn.Sequential(nn.Dense(3, 4, activation="tanh"), nn.Dense(4, 2)).to(gl.float64)


def test_transforms_of_networks() -> None:
    net = network()
    x = gl.tensor(X)

    def loss(net: nn.Module) -> Tensor:
        return gl.sum(net(x) ** 2)

    value, g = gl.value_and_grad(loss)(net)
    loss(net).backward()
    assert value.item() == loss(net).item()
    assert all(isinstance(p, nn.Parameter) for p in net.parameters())  # left as it was
    assert g[0].weight.shape == (3, 4)
    for mine, p in zip(flatten(g)[0], net.parameters(), strict=True):
        np.testing.assert_allclose(mine.numpy(), p.grad.numpy(), rtol=1e-12)
    y, pullback = gl.vjp(lambda net: net(x), net)
    (back,) = pullback(2.0 * y)
    np.testing.assert_allclose(back[1].bias.numpy(), g[1].bias.numpy(), rtol=1e-12)
    h = gl.hvp(loss, (net,), (g,))
    start = [p.numpy().copy() for p in net.parameters()]
    ends = []
    for e in (1e-6, -1e-6):
        for p, s, d in zip(net.parameters(), start, flatten(g)[0], strict=True):
            p.assign(s + e * d.numpy())
        ends.append(flatten(gl.grad(loss)(net))[0])
    for a, b, c in zip(*ends, flatten(h)[0], strict=True):
        np.testing.assert_allclose(c.numpy(), (a.numpy() - b.numpy()) / 2e-6, rtol=1e-4, atol=1e-5)


def test_an_ensemble_of_networks() -> None:
    """vmap over the parameters: many networks at once."""
    nets = [network() for _ in range(3)]
    for k, net in enumerate(nets):
        for p in net.parameters():
            p.assign(p.numpy() * (k + 1))
    leaves, rebuild = flatten(nets[0])
    stacked = rebuild([gl.stack(ps) for ps in zip(*(flatten(net)[0] for net in nets), strict=True)])
    assert len(leaves) == 4
    y = gl.vmap(lambda net, x: net(x), in_axes=(0, None))(stacked, gl.tensor(X))
    np.testing.assert_allclose(y.numpy(), np.stack([net(gl.tensor(X)).numpy() for net in nets]), rtol=1e-12)


def test_a_shared_parameter_is_one_leaf() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            self.a = nn.Dense(3, 3, bias=False)
            self.b = [self.a]

        def forward(self, x: Tensor) -> Tensor:
            return self.a(self.a(x))

    tied = Tied().to(gl.float64)
    g = gl.grad(lambda net: gl.sum(net(gl.tensor(X))))(tied)
    assert len(flatten(g)[0]) == 1
    gl.sum(tied(gl.tensor(X))).backward()
    np.testing.assert_allclose(g.a.weight.numpy(), tied.a.weight.grad.numpy(), rtol=1e-12)
