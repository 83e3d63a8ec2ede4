"""One Adam step over all parameters of a network, gradients given."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import nn, optim
from ...spec import as_dtype
from .. import by_hand
from ..case import Arrays, Case, Passes, Work, noise

Shapes = list[tuple[int, ...]]

_MLP: Shapes = [(784, 2048), (2048,), (2048, 2048), (2048,), (2048, 10), (10,)]


def _gpt2(width: int = 768, layers: int = 12) -> Shapes:
    """Return the 148 parameters of GPT-2 124M."""
    block: Shapes = [(width,), (width,), (width, 3 * width), (3 * width,), (width, width), (width,)]
    block += [(width,), (width,), (width, 4 * width), (4 * width,), (4 * width, width), (width,)]
    return [(50257, width), (1024, width), *(shape for _ in range(layers) for shape in block), (width,), (width,)]


NETWORKS: dict[str, dict[str, Shapes]] = {
    "tiny": {"tiny": [(5, 3), (3,)]},
    "small": {"MLP 784-2048-2048-10": _MLP},
    "medium": {"MLP 784-2048-2048-10": _MLP},
    "full": {"GPT-2 124M": _gpt2(), "MLP 784-2048-2048-10": _MLP},
}


def cases(size: str, dtype: str) -> list[Case]:
    """Return the cases of a size."""
    return [_case(name, shapes, dtype) for name, shapes in NETWORKS[size].items()]


def _case(name: str, shapes: Shapes, dtype: str) -> Case:
    count = sum(map(math.prod, shapes))

    def inputs() -> Arrays:
        params = {f"p{i}": noise(shape, dtype, seed=i) for i, shape in enumerate(shapes)}
        return params | {f"g{i}": noise(shape, dtype, seed=i + 1) for i, shape in enumerate(shapes)}

    def both(lib: Any, at: Arrays) -> tuple[list[Any], list[Any]]:
        """Return parameters, each library its own copy, and gradients."""
        each = range(len(shapes))
        return [lib.array(at[f"p{i}"].copy()) for i in each], [lib.array(at[f"g{i}"]) for i in each]

    def gradlib(lib: Any, at: Arrays) -> Passes:
        values, grads = both(lib, at)
        params = [nn.Parameter(p) for p in values]
        for p, g in zip(params, grads, strict=True):
            p.grad = g
        return {"step": optim.Adam(params, lr=1e-3).step}

    def numpy(lib: Any, at: Arrays) -> Passes:
        params, grads = both(lib, at)
        adam = by_hand.Adam(params)
        return {"step": lambda: adam.step(grads)}

    def torch(lib: Any, at: Arrays, fused: bool = False) -> Passes:
        values, grads = both(lib, at)
        params = [p.requires_grad_() for p in values]
        for p, g in zip(params, grads, strict=True):
            p.grad = g
        return {"step": lib.torch.optim.Adam(params, lr=1e-3, fused=fused or None).step}

    def jax(lib: Any, at: Arrays) -> Passes:
        params, grads = both(lib, at)
        state = [jax_start(lib, params)]
        step = lib.jax.jit(lambda state, grads: jax_adam(lib, state, grads), donate_argnums=0)

        def run() -> Any:
            state[0] = step(state[0], grads)
            return state[0]

        return {"step": run}

    entries = {
        "gradlib": gradlib,
        "numpy": numpy,
        "torch": torch,
        "torch fused": lambda lib, at: torch(lib, at, True),
        "jax": jax,
    }
    # p, m and v are read and written, g is read
    work = {"step": Work(0.0, 7.0 * count * as_dtype(dtype).itemsize)}
    return Case("adam", name, dtype, work, inputs, entries)


def jax_start(lib: Any, params: Any) -> Any:
    """Return the state `jax_adam` steps: parameters, first and second moments, count."""
    zeros = lib.jax.numpy.zeros_like
    return params, [zeros(p) for p in params], [zeros(p) for p in params], lib.array(np.zeros((), np.int32))


def jax_adam(lib: Any, state: Any, grads: Any, lr: float = 1e-3) -> Any:
    """Return the state after one step of Adam."""
    params, means, squares, count = state
    count = count + 1
    c1, c2 = 1 - 0.9**count, 1 - 0.999**count
    means = [0.9 * m + 0.1 * g for m, g in zip(means, grads, strict=True)]
    squares = [0.999 * v + 0.001 * g * g for v, g in zip(squares, grads, strict=True)]
    params = [
        (p - lr / c1 * m / (lib.jax.numpy.sqrt(v / c2) + 1e-8)).astype(p.dtype)
        for p, m, v in zip(params, means, squares, strict=True)
    ]
    return params, means, squares, count
