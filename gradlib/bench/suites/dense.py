"""Fully connected layers, y = act(x w + b), of networks people train."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ... import nn
from ...spec import as_dtype
from .. import by_hand
from ..case import Arrays, Case, Work, noise

Shape = tuple[int, int, int, "str | None"]  # batch, in, out, activation

_SMALL: list[Shape] = [
    (64, 64, 128, "relu"),  # digits MLP, batch 64
    (64, 128, 10, None),
    (256, 784, 2048, "relu"),  # MNIST MLP 784-2048-2048-10, batch 256
    (256, 2048, 2048, "relu"),
    (512, 768, 3072, "gelu"),  # GPT-2 block, 512 tokens
]
_GPT2: list[Shape] = [
    (2048, 768, 2304, None),  # q, k and v
    (2048, 768, 3072, "gelu"),
    (2048, 3072, 768, None),
]
SHAPES: dict[str, list[Shape]] = {
    "tiny": [(5, 7, 3, "relu"), (17, 33, 9, "gelu")],
    "small": _SMALL,
    "medium": [*_SMALL, *_GPT2, (1024, 4096, 4096, "gelu")],
    "full": [
        (8192, 768, 3072, "gelu"),  # GPT-2 124M, 8 x 1024 tokens
        (8192, 3072, 768, None),
        (8192, 768, 2304, None),
        (8192, 4096, 4096, "gelu"),
        (4096, 4096, 4096, None),
        (256, 2048, 1000, None),  # ResNet-50's last layer
        (256, 784, 2048, "relu"),
        (256, 2048, 2048, "relu"),
        (64, 64, 128, "relu"),
    ],
}


def work(m: int, k: int, n: int, activation: str | None, itemsize: int) -> dict[str, Work]:
    """Return the floors: one product forward, two backward.

    Forward reads x, w, b and writes y.  Backward reads x, w, g and, for the activation's derivative, one array like y;
    it writes dx, dw, db.
    """
    x, w, b, y = m * k, k * n, n, m * n
    slope = y if activation else 0
    return {
        "forward": Work(2.0 * m * k * n, float(itemsize * (x + w + b + y))),
        "backward": Work(4.0 * m * k * n, float(itemsize * (2 * x + 2 * w + b + y + slope))),
    }


def cases(size: str, dtype: str) -> list[Case]:
    """Return the cases of a size."""
    return [case(shape, dtype) for shape in SHAPES[size]]


def case(shape: Shape, dtype: str) -> Case:
    """Return the case of one layer."""
    m, k, n, activation = shape

    def inputs() -> Arrays:
        return {
            "x": noise((m, k), dtype),
            "w": noise((k, n), dtype, seed=1, scale=k**-0.5),
            "b": noise((n,), dtype, seed=2),
            "g": noise((m, n), dtype, seed=3),
        }

    def gradlib(lib: Any, at: Arrays) -> Any:
        x, w, b, g = map(lib.array, at.values())
        f = nn.functional.dense
        return lib.differentiate(lambda x, w, b: f(x, w, b, activation=activation), (x, w, b), g)

    def numpy(lib: Any, at: Arrays) -> Any:
        x, w, b, g = at.values()
        return lib.differentiate(
            lambda x, w, b: by_hand.dense_forward(x, w, b, activation), by_hand.dense_backward, (x, w, b), g
        )

    def torch(lib: Any, at: Arrays, compiled: bool = False) -> Any:
        x, w, b, g = (lib.array(a) for a in (at["x"], at["w"].T, at["b"], at["g"]))
        act, linear = torch_activation(activation), lib.torch.nn.functional.linear

        def layer(x: Any, w: Any, b: Any) -> Any:
            return act(linear(x, w, b))

        return lib.differentiate(lib.compiled(layer) if compiled else layer, (x, w, b), g)

    def jax(lib: Any, at: Arrays) -> Any:
        x, w, b, g = map(lib.array, at.values())
        act = jax_activation(activation)
        return lib.differentiate(lambda x, w, b: act(x @ w + b), (x, w, b), g)

    entries = {"gradlib": gradlib, "numpy": numpy, "torch": torch, "jax": jax}
    if dtype == "bfloat16" and activation:  # where there is something to fuse; compiling takes seconds
        entries["torch compile"] = lambda lib, at: torch(lib, at, True)
    if dtype == "float32":
        entries["torch tf32"] = lambda lib, at: lib.tf32(torch(lib, at))
    name = f"{m}x{k}x{n}" + (f" {activation}" if activation else "")
    return Case("dense", name, dtype, work(m, k, n, activation, as_dtype(dtype).itemsize), inputs, entries)


def torch_activation(activation: str | None) -> Callable[[Any], Any]:
    """Return PyTorch's function of that name."""
    import torch

    return getattr(torch.nn.functional, activation) if activation else _same


def jax_activation(activation: str | None) -> Callable[[Any], Any]:
    """Return JAX's function of that name, gelu being the exact one."""
    import jax

    if activation == "gelu":
        return lambda x: jax.nn.gelu(x, approximate=False)
    return getattr(jax.nn, activation) if activation else _same


def _same(x: Any) -> Any:
    return x
