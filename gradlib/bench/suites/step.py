"""A whole training step, forward, backward and Adam, of small networks on one batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from ... import nn, optim
from .. import by_hand
from ..case import Arrays, Case, Passes, Work, labels, noise
from .optimizer import jax_adam, jax_start


class Conv(NamedTuple):
    """3x3, padding 1, relu."""

    channels: int
    filters: int


class Pool(NamedTuple):
    """Maximum over 2x2."""


class Flatten(NamedTuple):
    """All but the batch becomes one axis."""


class Dense(NamedTuple):
    """Fully connected."""

    inputs: int
    outputs: int
    activation: str | None = "relu"


class Network(NamedTuple):
    name: str
    batch: int
    shape: tuple[int, ...]  # of one input
    layers: tuple[Conv | Pool | Flatten | Dense, ...]

    @property
    def weights(self) -> list[tuple[int, ...]]:
        """Shapes of weight and bias of every layer that has them."""
        found: list[tuple[int, ...]] = []
        for layer in self.layers:
            if isinstance(layer, Conv):
                found += [(3, 3, layer.channels, layer.filters), (layer.filters,)]
            elif isinstance(layer, Dense):
                found += [(layer.inputs, layer.outputs), (layer.outputs,)]
        return found

    @property
    def last_filters(self) -> int:
        """Channels of the last map."""
        return [layer.filters for layer in self.layers if isinstance(layer, Conv)][-1]

    @property
    def flattened(self) -> int | None:
        """Inputs of the layer after `Flatten`, None where there is none."""
        for before, layer in zip(self.layers, self.layers[1:], strict=False):
            if isinstance(before, Flatten) and isinstance(layer, Dense):
                return layer.inputs
        return None

    @property
    def flops(self) -> float:
        """Products of forward, weight gradients, and data gradients but the first layer's."""
        total, first, side = 0.0, True, self.shape[0]
        for layer in self.layers:
            if isinstance(layer, Pool):
                side //= 2
                continue
            if isinstance(layer, Flatten):
                continue
            if isinstance(layer, Conv):
                products = 9 * side**2 * layer.channels * layer.filters
            else:
                products = layer.inputs * layer.outputs
            total += 2.0 * self.batch * products * (2 if first else 3)
            first = False
        return total


def _cnn(batch: int, width: int) -> Network:
    layers = (Conv(1, width), Conv(width, 2 * width), Pool(), Flatten(),
              Dense(32 * width, 4 * width), Dense(4 * width, 10, None))  # fmt: skip
    return Network(f"digits CNN batch {batch}", batch, (8, 8, 1), layers)


_SMALL_MLP = Network("MLP 64-128-128-10 batch 64", 64, (64,), (Dense(64, 128), Dense(128, 128), Dense(128, 10, None)))
_MLP = Network("MLP 784-2048-2048-10 batch 256", 256, (784,),
               (Dense(784, 2048), Dense(2048, 2048), Dense(2048, 10, None)))  # fmt: skip
NETWORKS = {
    "tiny": [_cnn(2, 2)],
    "small": [_cnn(64, 32), _SMALL_MLP, _MLP],
    "medium": [_cnn(64, 32), _SMALL_MLP, _MLP],
    "full": [_cnn(64, 32), _SMALL_MLP, _MLP],
}


def cases(size: str, dtype: str) -> list[Case]:
    """Return the cases of a size."""
    return [_case(network, dtype) for network in NETWORKS[size]]


def _case(network: Network, dtype: str) -> Case:
    def inputs() -> Arrays:
        at = {"x": noise((network.batch, *network.shape), dtype), "target": labels(network.batch, 10)}
        for i, shape in enumerate(network.weights):
            fan_in = math.prod(shape[:-1]) if len(shape) > 1 else 1e6  # biases near zero
            at[f"p{i}"] = noise(shape, dtype, seed=i, scale=(2 / fan_in) ** 0.5)
        return at

    def params(lib: Any, at: Arrays) -> list[Any]:
        return [lib.array(at[f"p{i}"].copy()) for i in range(len(network.weights))]

    def gradlib(lib: Any, at: Arrays) -> Passes:
        weights = [nn.Parameter(p) for p in params(lib, at)]
        x, target = lib.array(at["x"]), lib.array(at["target"])
        adam = optim.Adam(weights, lr=1e-3)

        def step() -> Any:
            adam.zero_grad()
            loss = _gradlib(network, weights, x, target)
            loss.backward()
            adam.step()
            return loss

        return {"step": step}

    def numpy(lib: Any, at: Arrays) -> Passes:
        weights = params(lib, at)
        adam = by_hand.Adam(weights)

        def step() -> Any:
            loss, grads = _by_hand(network, weights, at["x"], at["target"])
            adam.step(grads)
            return loss

        return {"step": step}

    def torch(lib: Any, at: Arrays, fused: bool = False) -> Passes:
        x, weights = at["x"], []
        if x.ndim == 4:
            x = x.transpose(0, 3, 1, 2)
        for i in range(len(network.weights)):
            p = at[f"p{i}"]
            if (
                p.ndim == 2 and p.shape[0] == network.flattened
            ):  # its rows are height, width, channel; PyTorch flattens channels first
                p = p.reshape(-1, network.last_filters, p.shape[1]).swapaxes(0, 1).reshape(p.shape)
            p = p.transpose(3, 2, 0, 1) if p.ndim == 4 else p.T
            weights.append(lib.array(p.copy()).requires_grad_())
        x, target = lib.array(x), lib.array(at["target"])
        adam = lib.torch.optim.Adam(weights, lr=1e-3, fused=fused or None)

        def step() -> Any:
            adam.zero_grad()
            loss = _torch(lib.torch.nn.functional, network, weights, x, target)
            loss.backward()
            adam.step()
            return loss.detach()

        return {"step": step}

    def jax(lib: Any, at: Arrays) -> Passes:
        x, target = lib.array(at["x"]), lib.array(at["target"])
        state = [jax_start(lib, params(lib, at))]

        def one(state: Any, x: Any, target: Any) -> Any:
            loss, grads = lib.jax.value_and_grad(lambda p: _jax(lib.jax, network, p, x, target))(state[0])
            return loss, jax_adam(lib, state, grads)

        compiled = lib.jax.jit(one, donate_argnums=0)

        def step() -> Any:
            loss, state[0] = compiled(state[0], x, target)
            return loss, state[0]

        return {"step": step}

    entries = {
        "gradlib": gradlib,
        "numpy": numpy,
        "torch": torch,
        "torch fused": lambda lib, at: torch(lib, at, True),
        "jax": jax,
    }
    return Case("step", network.name, dtype, {"step": Work(network.flops)}, inputs, entries)


def _gradlib(network: Network, weights: Sequence[Any], h: Any, target: Any) -> Any:
    f, rest = nn.functional, iter(weights)
    for layer in network.layers:
        if isinstance(layer, Conv):
            h = f.conv2d(h, next(rest), next(rest), 1, 1, activation="relu")
        elif isinstance(layer, Pool):
            h = f.max_pool2d(h, 2, 2)
        elif isinstance(layer, Flatten):
            h = h.reshape((network.batch, -1))
        else:
            h = f.dense(h, next(rest), next(rest), activation=layer.activation)
    return f.cross_entropy(h, target)


def _torch(f: Any, network: Network, weights: Sequence[Any], h: Any, target: Any) -> Any:
    rest = iter(weights)
    for layer in network.layers:
        if isinstance(layer, Conv):
            h = f.relu(f.conv2d(h, next(rest), next(rest), padding=1))
        elif isinstance(layer, Pool):
            h = f.max_pool2d(h, 2)
        elif isinstance(layer, Flatten):
            h = h.reshape(network.batch, -1)
        else:
            h = f.linear(h, next(rest), next(rest))
            h = f.relu(h) if layer.activation else h
    return f.cross_entropy(h, target)


def _jax(jax: Any, network: Network, weights: Sequence[Any], h: Any, target: Any) -> Any:
    rest = iter(weights)
    for layer in network.layers:
        if isinstance(layer, Conv):
            names = ("NHWC", "HWIO", "NHWC")
            h = jax.lax.conv_general_dilated(h, next(rest), (1, 1), "SAME", dimension_numbers=names) + next(rest)
            h = jax.nn.relu(h)
        elif isinstance(layer, Pool):
            h = jax.lax.reduce_window(h, -float("inf"), jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        elif isinstance(layer, Flatten):
            h = h.reshape(network.batch, -1)
        else:
            h = h @ next(rest) + next(rest)
            h = jax.nn.relu(h) if layer.activation else h
    rows = jax.numpy.take_along_axis(jax.nn.log_softmax(h), target[:, None], 1)
    return -jax.numpy.mean(rows)


def _by_hand(network: Network, weights: Sequence[Any], h: Any, target: Any) -> tuple[Any, list[Any]]:
    rest, trail = iter(weights), []
    for layer in network.layers:
        if isinstance(layer, Conv):
            h, saved = by_hand.conv_forward(h, next(rest), next(rest), 1, 1, 1, "relu")
        elif isinstance(layer, Pool):
            h, saved = by_hand.max_pool_forward(h, 2, 2, 0)
        elif isinstance(layer, Flatten):
            saved, h = h.shape, h.reshape(network.batch, -1)
        else:
            h, saved = by_hand.dense_forward(h, next(rest), next(rest), layer.activation)
        trail.append((layer, saved))
    loss, saved = by_hand.cross_entropy_forward(h, target)
    (g,) = by_hand.cross_entropy_backward(saved, None)
    grads: list[Any] = []
    for i, (layer, saved) in reversed(list(enumerate(trail))):
        if isinstance(layer, Pool):
            (g,) = by_hand.max_pool_backward(saved, g)
        elif isinstance(layer, Flatten):
            g = g.reshape(saved)
        else:
            backward = by_hand.conv_backward if isinstance(layer, Conv) else by_hand.dense_backward
            g, dw, db = backward(saved, g, i > 0)
            grads = [dw, db, *grads]
    return loss, grads
