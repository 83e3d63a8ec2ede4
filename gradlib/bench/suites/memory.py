"""Ops that move more than they compute: elementwise, softmax cross-entropy, batch normalisation, pooling."""

from __future__ import annotations

from typing import Any

from ... import nn
from ...spec import as_dtype
from .. import by_hand
from ..case import Arrays, Case, Work, labels, noise


def elementwise(size: str, dtype: str) -> list[Case]:
    """Return one op (gelu) and a chain of four, silu(x a + b) + x, which only a compiler makes one pass of."""
    counts = {"tiny": [1000], "small": [2**20], "medium": [2**20, 2**22], "full": [2**20, 2**26]}[size]
    return [make(count, dtype) for count in counts for make in (_gelu, _chain)]


def _gelu(count: int, dtype: str) -> Case:
    def inputs() -> Arrays:
        return {"x": noise((count,), dtype), "g": noise((count,), dtype, seed=1)}

    def simple(f: Any) -> Any:
        return lambda lib, at: lib.differentiate(f(lib), (lib.array(at["x"]),), lib.array(at["g"]))

    entries = {
        "gradlib": simple(lambda lib: nn.functional.gelu),
        "numpy": lambda lib, at: lib.differentiate(by_hand.gelu_forward, by_hand.gelu_backward, (at["x"],), at["g"]),
        "torch": simple(lambda lib: lib.torch.nn.functional.gelu),
        "jax": simple(lambda lib: lambda x: lib.jax.nn.gelu(x, approximate=False)),
    }
    return Case("elementwise", f"gelu {count}", dtype, _arrays(count, 2, 3, dtype), inputs, entries)


def _chain(count: int, dtype: str) -> Case:
    def inputs() -> Arrays:
        return {name: noise((count,), dtype, seed=i) for i, name in enumerate("xabg")}

    def simple(silu: Any) -> Any:
        def entry(lib: Any, at: Arrays) -> Any:
            act = silu(lib)
            x, a, b, g = map(lib.array, at.values())
            return lib.differentiate(lambda x, a, b: act(x * a + b) + x, (x, a, b), g)

        return entry

    def numpy(lib: Any, at: Arrays) -> Any:
        x, a, b, g = at.values()
        return lib.differentiate(by_hand.chain_forward, by_hand.chain_backward, (x, a, b), g)

    entries = {
        "gradlib": simple(lambda lib: nn.functional.silu),
        "numpy": numpy,
        "torch": simple(lambda lib: lib.torch.nn.functional.silu),
        "jax": simple(lambda lib: lib.jax.nn.silu),
    }
    return Case("elementwise", f"silu(x a + b) + x {count}", dtype, _arrays(count, 4, 7, dtype), inputs, entries)


def _arrays(count: int, forward: int, backward: int, dtype: str) -> dict[str, Work]:
    """Return the floors of passes that touch so many arrays of `count` elements once each."""
    unit = float(count * as_dtype(dtype).itemsize)
    return {"forward": Work(0.0, forward * unit), "backward": Work(0.0, backward * unit)}


def cross_entropy(size: str, dtype: str) -> list[Case]:
    """Return softmax cross-entropy over (rows, classes): a classifier's, ImageNet's, a language model's."""
    shapes = {
        "tiny": [(5, 7)],
        "small": [(64, 10), (256, 1000), (512, 8192)],
        "medium": [(64, 10), (256, 1000), (1024, 16384)],
        "full": [(256, 1000), (8192, 50304)],
    }[size]
    return [_cross_entropy(rows, classes, dtype) for rows, classes in shapes]


def _cross_entropy(rows: int, classes: int, dtype: str) -> Case:
    def inputs() -> Arrays:
        return {"x": noise((rows, classes), dtype), "target": labels(rows, classes)}

    def simple(f: Any) -> Any:
        return lambda lib, at: lib.differentiate(f(lib), (lib.array(at["x"]),), constants=(lib.array(at["target"]),))

    def jax(lib: Any) -> Any:
        def loss(x: Any, target: Any) -> Any:
            np = lib.jax.numpy
            return -np.mean(np.take_along_axis(lib.jax.nn.log_softmax(x), target[:, None], 1))

        return loss

    entries = {
        "gradlib": simple(lambda lib: nn.functional.cross_entropy),
        "numpy": lambda lib, at: lib.differentiate(
            by_hand.cross_entropy_forward, by_hand.cross_entropy_backward, (at["x"],), constants=(at["target"],)
        ),
        "torch": simple(lambda lib: lib.torch.nn.functional.cross_entropy),
        "jax": simple(jax),
    }
    work = _arrays(rows * classes, 1, 2, dtype)  # the logits are read; backward reads them again and writes dx
    return Case("cross_entropy", f"{rows}x{classes}", dtype, work, inputs, entries)


EPS = 1e-5


def batch_norm(size: str, dtype: str) -> list[Case]:
    """Return batch normalisation in training, over maps of ResNet-50."""
    shapes = {
        "tiny": [(2, 3, 5)],
        "small": [(64, 8, 32), (2, 56, 64)],
        "medium": [(64, 8, 32), (8, 56, 64), (8, 14, 1024)],
        "full": [(32, 112, 64), (32, 56, 256), (32, 14, 1024)],
    }[size]
    return [_batch_norm(*shape, dtype) for shape in shapes]


def _batch_norm(batch: int, side: int, channels: int, dtype: str) -> Case:
    shape = (batch, side, side, channels)

    def inputs() -> Arrays:
        return {
            "x": noise(shape, dtype),
            "weight": noise((channels,), dtype, seed=1, scale=0.1, shift=1),
            "bias": noise((channels,), dtype, seed=2),
            "g": noise(shape, dtype, seed=3),
        }

    def gradlib(lib: Any, at: Arrays) -> Any:
        x, w, b, g = map(lib.array, at.values())
        f = nn.functional.batch_norm
        return lib.differentiate(lambda x, w, b: f(x, None, None, w, b, True, 0.1, EPS), (x, w, b), g)

    def numpy(lib: Any, at: Arrays) -> Any:
        x, w, b, g = at.values()

        def forward(x: Any, w: Any, b: Any) -> Any:
            return by_hand.batch_norm_forward(x, w, b, EPS)

        return lib.differentiate(forward, by_hand.batch_norm_backward, (x, w, b), g)

    def torch(lib: Any, at: Arrays, channels_last: bool = False) -> Any:
        x, g = (torch_map(lib, at[a], channels_last) for a in "xg")
        w, b = lib.array(at["weight"]), lib.array(at["bias"])
        f = lib.torch.nn.functional.batch_norm
        return lib.differentiate(lambda x, w, b: f(x, None, None, w, b, True, 0.1, EPS), (x, w, b), g)

    def jax(lib: Any, at: Arrays) -> Any:
        x, w, b, g = map(lib.array, at.values())
        np = lib.jax.numpy

        def norm(x: Any, w: Any, b: Any) -> Any:
            wide = x.astype(np.float32)
            mean, var = wide.mean((0, 1, 2)), wide.var((0, 1, 2))
            return ((wide - mean) * (lib.jax.lax.rsqrt(var + EPS) * w) + b).astype(x.dtype)

        return lib.differentiate(norm, (x, w, b), g)

    entries = {
        "gradlib": gradlib,
        "numpy": numpy,
        "torch": torch,
        "torch channels_last": lambda lib, at: torch(lib, at, True),
        "jax": jax,
    }
    work = _arrays(batch * side**2 * channels, 2, 3, dtype)
    return Case("batch_norm", f"{batch}x{side}x{side}x{channels}", dtype, work, inputs, entries)


def torch_map(lib: Any, host: Any, channels_last: bool) -> Any:
    """Return an NHWC array as PyTorch's NCHW tensor, in one memory order or the other."""
    order = lib.torch.channels_last if channels_last else lib.torch.contiguous_format
    return lib.array(host).permute(0, 3, 1, 2).contiguous(memory_format=order)


def pool(size: str, dtype: str) -> list[Case]:
    """Return pooling as (kind, batch, side, channels, window, stride, padding)."""
    shapes = {
        "tiny": [("max", 2, 7, 3, 3, 2, 1), ("avg", 2, 6, 3, 2, 2, 0)],
        "small": [("max", 64, 8, 64, 2, 2, 0), ("max", 2, 112, 64, 3, 2, 1), ("avg", 2, 56, 64, 2, 2, 0)],
        "medium": [("max", 64, 8, 64, 2, 2, 0), ("max", 8, 112, 64, 3, 2, 1), ("avg", 8, 56, 64, 2, 2, 0)],
        "full": [("max", 32, 112, 64, 3, 2, 1), ("avg", 32, 56, 256, 2, 2, 0), ("avg", 32, 7, 2048, 7, 7, 0)],
    }[size]
    return [_pool(*shape, dtype) for shape in shapes]


def _pool(kind: str, batch: int, side: int, channels: int, window: int, stride: int, padding: int, dtype: str) -> Case:
    out = (side + 2 * padding - window) // stride + 1

    def inputs() -> Arrays:
        x, g = noise((batch, side, side, channels), dtype), noise((batch, out, out, channels), dtype, seed=1)
        return {"x": x, "g": g}

    def gradlib(lib: Any, at: Arrays) -> Any:
        f = nn.functional.max_pool2d if kind == "max" else nn.functional.avg_pool2d
        x, g = map(lib.array, at.values())
        return lib.differentiate(lambda x: f(x, window, stride, padding), (x,), g)

    def numpy(lib: Any, at: Arrays) -> Any:
        def forward(x: Any) -> Any:
            if kind == "max":
                return by_hand.max_pool_forward(x, window, stride, padding)
            return by_hand.avg_pool_forward(x, window, stride)

        backward = by_hand.max_pool_backward if kind == "max" else by_hand.avg_pool_backward
        return lib.differentiate(forward, backward, (at["x"],), at["g"])

    def torch(lib: Any, at: Arrays, channels_last: bool = False) -> Any:
        f = getattr(lib.torch.nn.functional, f"{kind}_pool2d")
        x, g = (torch_map(lib, at[a], channels_last) for a in "xg")
        return lib.differentiate(lambda x: f(x, window, stride, padding), (x,), g)

    def jax(lib: Any, at: Arrays) -> Any:
        lax = lib.jax.lax
        start, combine, scale = (-float("inf"), lax.max, 1.0) if kind == "max" else (0.0, lax.add, 1 / window**2)
        edges = ((0, 0), (padding, padding), (padding, padding), (0, 0))

        def f(x: Any) -> Any:
            y = lax.reduce_window(x, start, combine, (1, window, window, 1), (1, stride, stride, 1), edges)
            return y if kind == "max" else y * scale

        x, g = map(lib.array, at.values())
        return lib.differentiate(f, (x,), g)

    entries = {
        "gradlib": gradlib,
        "numpy": numpy,
        "torch": torch,
        "torch channels_last": lambda lib, at: torch(lib, at, True),
        "jax": jax,
    }
    x_bytes = float(batch * side**2 * channels * as_dtype(dtype).itemsize)
    y_bytes = float(batch * out**2 * channels * as_dtype(dtype).itemsize)
    work = {
        "forward": Work(0.0, x_bytes + y_bytes),
        "backward": Work(0.0, x_bytes + y_bytes + (x_bytes if kind == "max" else 0)),  # max must see where it was
    }
    name = f"{kind} {window}x{window} s{stride} {batch}x{side}x{side}x{channels}"
    return Case("pool", name, dtype, work, inputs, entries)
