"""Fully connected layers that share passes in a backward walk: when they do, when they must not, and what comes out."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import gradlib as gl
from gradlib.core import reverse
from gradlib.kernel import without_plans
from gradlib.nn import functional as F
from gradlib.ops import dense_launch

from ..devices import device_params

BF16 = np.dtype(ml_dtypes.bfloat16)
SIZES = (24, 40, 16, 8)  # of the layers, in order


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Collect the activations whose slope a pass of its own multiplied by."""
    seen: list[Any] = []
    plain = dense_launch.gradient

    def counted(g: Any, s: Any, activation: Any, planes: int) -> Any:
        seen.append(activation)
        return plain(g, s, activation, planes)

    monkeypatch.setattr(dense_launch, "gradient", counted)
    with without_plans():
        yield seen


class Network:
    """Three layers on a device, and their gradients in float64 by the definition."""

    def __init__(self, device: str, activations: Any = ("gelu", "relu", "tanh"), dtype: Any = BF16, bias: bool = True):
        rng = np.random.default_rng(0)
        self.activations = activations
        shapes = list(pairwise(SIZES))
        values = [rng.standard_normal((13, SIZES[0]))]
        values += [rng.standard_normal(s) / np.sqrt(s[0]) for s in shapes]
        values += [rng.standard_normal(n) for _, n in shapes] if bias else []
        rounded = [v.astype(dtype) for v in values]
        self.tensors = [gl.tensor(v, device=device, requires_grad=True) for v in rounded]
        self.exact = [gl.tensor(v.astype(np.float64), requires_grad=True) for v in rounded]

    def layers(self, tensors: list[Any]) -> list[Any]:
        x, weights, biases = tensors[0], tensors[1:4], tensors[4:] or [None] * 3
        found = []
        for w, b, activation in zip(weights, biases, self.activations, strict=True):
            x = F.dense(x, w, b, activation=activation)
            found.append(x)
        return found

    def agree(self, of: Any = None, tolerance: float = 0.03) -> None:
        """Hold every gradient to that of float64; `of` makes the loss from the layers' outputs."""
        of = of or (lambda layers: (layers[-1] * layers[-1]).sum())
        for tensors in (self.tensors, self.exact):
            for t in tensors:
                t.grad = None
            of(self.layers(tensors)).backward()
        self.equal(tolerance=tolerance)

    def equal(self, times: float = 1.0, tolerance: float = 0.03) -> None:
        for ours, exact in zip(self.tensors, self.exact, strict=True):
            expected = times * exact.grad.numpy()
            off = abs(ours.grad.numpy().astype(np.float64) - expected).max()
            assert off <= tolerance * abs(expected).max(), (ours.shape, off, abs(expected).max())


device = pytest.mark.parametrize("device", device_params())


@device
@pytest.mark.parametrize("activations", [("gelu", "relu", "tanh"), ("silu", "sigmoid", None), (None, "mish", "gelu")])
def test_the_slope_travels_with_the_gradient(device, activations, passes):
    network = Network(device, activations)
    network.agree()
    assert passes == ([activations[-1]] if activations[-1] else [])


@device
def test_float16_and_no_bias(device, passes):
    Network(device, dtype=np.float16).agree(tolerance=0.004)
    Network(device, (None, None, None), bias=False).agree()
    Network(device, ("relu", None, None), bias=False).agree()
    assert passes == ["tanh"]


@device
def test_leading_axes(device, passes):
    network = Network(device)
    x = network.tensors[0].numpy()
    for tensors in (network.tensors, network.exact):
        both = np.stack([x, x[::-1]]).astype(tensors[0].dtype)
        tensors[0] = gl.tensor(both, device=tensors[0].device, requires_grad=True)
    network.agree()
    assert passes == ["tanh"]


@device
def test_float32_makes_its_own_planes(device, passes):
    Network(device, dtype=np.float32).agree(tolerance=1e-5)
    assert passes in ([], ["tanh", "relu", "gelu"])  # as the sizes are worth tensor cores or not


@device
def test_a_value_used_twice_is_left_alone(device, passes):
    Network(device).agree(lambda layers: (layers[-1] * layers[-1]).sum() + layers[0].sum())
    assert passes == ["tanh", "gelu"]


@device
def test_a_residual_around_a_layer(device, passes):
    def of(layers: list[Any]) -> Any:
        return (layers[-1] * layers[-1]).sum() + (layers[1] * layers[1]).sum()

    Network(device).agree(of)
    assert passes == ["tanh", "relu"]


@device
def test_a_hook_sees_the_gradient_of_the_output(device, passes):
    network, seen = Network(device), []

    def of(layers: list[Any]) -> Any:
        layers[1].register_hook(lambda g: seen.append(g.numpy().astype(np.float64)))
        return (layers[-1] * layers[-1]).sum()

    network.agree(of)
    ours, exact = seen
    assert abs(ours - exact).max() <= 0.03 * abs(exact).max()
    assert passes == ["tanh", "relu"]


@device
def test_a_gradient_that_is_asked_for(device, passes):
    """Of a value in the middle: there the walk ends, and before it nothing is multiplied."""
    network = Network(device)
    found = []
    for tensors in (network.tensors, network.exact):
        w, v, b = (tensors[i].detach() for i in (2, 3, 5))
        h = network.layers(tensors)[0].detach()

        def rest(h: Any, w: Any = w, v: Any = v, b: Any = b) -> Any:
            return F.dense(F.dense(h, w, b, activation="relu"), v, activation="tanh").sum()

        _, pullback = gl.vjp(rest, h)
        found.append(pullback(gl.ones_like(rest(h)))[0].numpy().astype(np.float64))
    assert abs(found[0] - found[1]).max() <= 0.03 * abs(found[1]).max()
    assert passes == ["tanh"]


@device
def test_nothing_is_shared_where_it_is_recorded_or_looked_at(device, passes):
    network = Network(device)
    with gl.debug(nans=True):
        network.agree()
    assert passes == ["tanh", "relu", "gelu"]

    def f(x: Any) -> Any:
        return network.layers([x, *network.tensors[1:]])[-1].sum()

    passes.clear()
    x = network.tensors[0]
    second = gl.hvp(f, (x,), (gl.ones_like(x),)).numpy().astype(np.float64)

    def g(x: Any) -> Any:
        return network.layers([x, *network.exact[1:]])[-1].sum()

    x = network.exact[0]
    expected = gl.hvp(g, (x,), (gl.ones_like(x),)).numpy()
    assert abs(second - expected).max() <= 0.06 * abs(expected).max()


@device
def test_frozen_layers(device, passes):
    network = Network(device)
    for tensors in (network.tensors, network.exact):
        tensors[2].requires_grad = tensors[4].requires_grad = False
    of = network.layers
    for tensors in (network.tensors, network.exact):
        (of(tensors)[-1] ** 2).sum().backward()
    for i in (0, 1, 3, 5, 6):
        expected = network.exact[i].grad.numpy()
        off = abs(network.tensors[i].grad.numpy().astype(np.float64) - expected).max()
        assert off <= 0.03 * abs(expected).max()
    assert network.tensors[2].grad is None
    assert network.tensors[4].grad is None
    assert passes == ["tanh"]


@device
def test_the_walk_without_sharing_agrees(device, monkeypatch):
    """The two walks round in different places, and nowhere else."""
    grads = []
    for chaining in (True, False):
        monkeypatch.setattr(reverse, "chaining", chaining)
        network = Network(device)
        (network.layers(network.tensors)[-1] ** 2).sum().backward()
        grads.append([t.grad.numpy().astype(np.float64) for t in network.tensors])
    for one, other in zip(*grads, strict=True):
        assert abs(one - other).max() <= 2.0**-7 * abs(other).max()


# -- gradients that are added to


@device
@pytest.mark.parametrize("dtype", [BF16, np.dtype(np.float32)])
def test_gradients_are_added_as_they_leave(device, dtype, monkeypatch):
    network, added = Network(device, dtype=dtype), []
    network.agree()
    plain = dense_launch.products

    def watched(*args: Any, **options: Any) -> Any:
        added.append(options.get("before") is not None)
        return plain(*args, **options)

    monkeypatch.setattr("gradlib.ops.dense_chain.products", watched)
    first = [t.grad for t in network.tensors]
    values = [g.numpy().copy() for g in first]
    (network.layers(network.tensors)[-1] ** 2).sum().backward()
    network.equal(times=2)
    for g, value in zip(first, values, strict=True):  # what was handed out before has not changed
        np.testing.assert_array_equal(g.numpy(), value)
    if dtype == BF16:
        assert added == [True, True, True]


@device
def test_a_hook_on_a_weight_sees_the_new_part_alone(device):
    network, seen = Network(device), []
    network.agree()
    before = network.tensors[1].grad.numpy().astype(np.float64)
    network.tensors[1].register_hook(lambda g: seen.append(g.numpy().astype(np.float64)))
    (network.layers(network.tensors)[-1] ** 2).sum().backward()
    assert abs(seen[0] - before).max() <= 2.0**-7 * abs(before).max()
    network.equal(times=2)


@device
def test_a_weight_used_twice(device):
    rng = np.random.default_rng(3)
    x, w = rng.standard_normal((9, 16)).astype(BF16), (rng.standard_normal((16, 16)) / 4).astype(BF16)
    grads = []
    for where, dtype in ((device, BF16), ("cpu", np.float64)):
        tensor = gl.tensor(w.astype(dtype), device=where, requires_grad=True)
        y = gl.tensor(x.astype(dtype), device=where)
        for _ in range(3):
            y = F.dense(y, tensor, activation="silu")
        y.sum().backward()
        grads.append(tensor.grad.numpy().astype(np.float64))
    assert abs(grads[0] - grads[1]).max() <= 0.03 * abs(grads[1]).max()


def test_what_is_not_reached_keeps_its_gradient():
    w = gl.tensor([1.0, 2.0], requires_grad=True)
    (w * w).sum().backward()
    kept = w.grad
    mask = gl.tensor([1.0, 1.0], requires_grad=True)
    (mask * 2.0).sum().backward()
    assert w.grad is kept
