"""Softmax, log-softmax and logsumexp."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import backend as backends
from ..core import Primitive, Saved, between, fused, leaf, op, sample
from ..errors import DTypeError, message, operand
from ..kernel import Kernel
from ..spec import Spec, is_floating, normalize_axes, normalize_axis
from .operands import of_arrays
from .rows import held

__all__ = ["log_softmax", "logsumexp", "softmax"]

Array = Any

# -- softmax and log-softmax.  Leaves hold the derivative; fused ops around them carry the kernels.


def _infer_softmax(name: str) -> Callable[..., Spec]:
    def infer(x: Spec, *, axis: int) -> Spec:
        if not is_floating(x.dtype):
            raise DTypeError(message(f"{name}(x, axis): x is not floating", [operand("x", x)], "need a floating dtype"))
        normalize_axis(f"{name}(x, axis)", axis, len(x.shape))
        return x

    return infer


def softmax_vjp(g: Array, ans: Array, x: Any, axis: int) -> Array:
    inner = op.sum(op.multiply(g, ans), axis=(axis,), keepdims=True)
    return op.multiply(ans, op.subtract(g, inner))


def _log_softmax_vjp(g: Array, ans: Array, x: Any, axis: int) -> Array:
    return op.subtract(g, op.multiply(op.exp(ans), op.sum(g, axis=(axis,), keepdims=True)))


@leaf(
    "softmax_definition",
    infer=_infer_softmax("softmax"),
    vjp=(softmax_vjp,),
    saves=("ans",),
    samples=lambda: _softmax_samples(),
)
def _softmax(xp: Any, x: Array, *, axis: int) -> Array:
    """y = exp(x - max) / sum(exp(x - max))."""
    if x.size == 0:
        return xp.empty_like(x)
    y = xp.subtract(x, x.max(axis, keepdims=True))
    xp.exp(y, out=y)
    y /= y.sum(axis, keepdims=True)
    return y


@leaf(
    "log_softmax_definition",
    infer=_infer_softmax("log_softmax"),
    vjp=(_log_softmax_vjp,),
    saves=("ans",),
    samples=lambda: _softmax_samples(),
)
def _log_softmax(xp: Any, x: Array, *, axis: int) -> Array:
    """y = x - max - log(sum(exp(x - max)))."""
    if x.size == 0:
        return xp.empty_like(x)
    y = xp.subtract(x, x.max(axis, keepdims=True))
    y -= xp.log(xp.exp(y).sum(axis, keepdims=True))
    return y


def _softmax_samples() -> list[Any]:
    return [
        sample((5, 7), axis=-1),
        sample((2, 3, 37), axis=2),
        sample(between(-50, 50, 3, 600), axis=-1),
        sample((2, 1), axis=1),
        sample((0, 5), axis=-1),
        sample((4, 3, 2), axis=0),
        sample((4, 3, 2), axis=1),
    ]


@fused("softmax", infer=_infer_softmax("softmax"), samples=_softmax_samples)
def softmax(x: Array, *, axis: int = -1) -> Array:
    """y = exp(x) / sum(exp(x)) along `axis`, computed without overflow.

    Shapes: any.  Dtypes: floating.  Derivative: every order.
    Kernel: ``softmax.cu`` along the last axis, composition along another.
    """
    return _softmax(x, axis=axis)


@fused("log_softmax", infer=_infer_softmax("log_softmax"), samples=_softmax_samples)
def log_softmax(x: Array, *, axis: int = -1) -> Array:
    """y = x - log(sum(exp(x))) along `axis`, computed without overflow.

    Shapes: any.  Dtypes: floating.  Derivative: every order.
    Kernel: ``softmax.cu`` along the last axis, composition along another.
    """
    return _log_softmax(x, axis=axis)


# -- logsumexp


def _infer_logsumexp(x: Spec, *, axis: tuple[int, ...], keepdims: bool) -> Spec:
    axes = normalize_axes("logsumexp(x, axis)", axis, len(x.shape))
    if not is_floating(x.dtype):
        raise DTypeError(message("logsumexp(x, axis): x is not floating", [operand("x", x)], "need a floating dtype"))
    if keepdims:
        return Spec(tuple(1 if i in axes else n for i, n in enumerate(x.shape)), x.dtype)
    return Spec(tuple(n for i, n in enumerate(x.shape) if i not in axes), x.dtype)


def _logsumexp_vjp(g: Array, ans: Any, x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    kept = tuple(1 if i in axis else n for i, n in enumerate(x.shape))
    top = _logsumexp(x, axis=axis, keepdims=True)  # again: in reduced precision the answer is too coarse
    # where everything is -infinity the sum is 0 and its logarithm has no slope worth the name: shift by 0
    weights = op.exp(op.subtract(x, op.where(op.isfinite(top), top, 0.0)))
    return op.multiply(op.reshape(g, shape=kept), weights)


@leaf(
    "logsumexp",
    infer=_infer_logsumexp,
    vjp=(_logsumexp_vjp,),
    saves=("x",),
    samples=lambda: [
        sample((5, 7), axis=(1,), keepdims=False),
        sample((3, 4, 5), axis=(0, 2), keepdims=True),
        sample(between(-50, 50, 3, 11), axis=(0, 1), keepdims=False),
        sample((4, 1), axis=(1,), keepdims=False),
        sample((0, 5), axis=(1,), keepdims=False),
    ],
)
def _logsumexp(xp: Any, x: Array, *, axis: tuple[int, ...], keepdims: bool) -> Array:
    """y = log(sum(exp(x))) along the axes, computed without overflow."""
    if x.size == 0:
        return xp.full(_infer_logsumexp(Spec(x.shape, x.dtype), axis=axis, keepdims=keepdims).shape, -np.inf, x.dtype)
    top = x.max(axis, keepdims=True)
    top = xp.where(xp.isfinite(top), top, x.dtype.type(0))
    total = xp.exp(x - top).sum(axis, keepdims=True)
    with np.errstate(divide="ignore"):  # the logarithm of an empty or vanishing sum is -infinity
        y = xp.log(total) + top
    return y if keepdims else y.reshape(_infer_logsumexp(Spec(x.shape, x.dtype), axis=axis, keepdims=False).shape)


@of_arrays
def logsumexp(x: Any, *, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Any:
    """y = log(sum(exp(x))) along `axis` (all axes if None), computed without overflow.

    Shapes: as `sum`.  Dtypes: floating.  Derivative: every order.  Kernel: composition.
    """
    return _logsumexp(x, axis=normalize_axes("logsumexp(x, axis)", axis, x.ndim), keepdims=keepdims)


# -- kernels

_softmax_forward = Kernel("softmax.cu", "softmax_forward", "x y | rows columns")
_softmax_backward = Kernel("softmax.cu", "softmax_backward", "y g dx | rows columns")


def _launch(kernel: Kernel, x: Array, *arrays: Array, log: int) -> None:
    rows, columns = x.size // x.shape[-1], x.shape[-1]
    split = held(columns, x.dtype.itemsize, 512, 256)
    block = split.block
    macros: dict[str, Any] = {"PACKS": split.packs} if split.packs else {}
    if log:
        macros["LOG"] = 1
    kernel(-(-rows // block[1]), block, *arrays, rows, columns, T=x.dtype, **macros)


def _softmax_kernels(fused_op: Primitive, log: int) -> None:
    """Attach the forward and backward launchers; the output itself is what the backward pass reads."""

    @fused_op.kernel("cuda", planned=True)
    def _(x: Array, *, axis: int) -> Any:
        if axis % x.ndim != x.ndim - 1:
            return NotImplemented
        y = backends.backend_of(x).empty(x.shape, x.dtype)
        if x.size:
            _launch(_softmax_forward, x, x, y, log=log)
        return Saved(y, (y,))

    @fused_op.backward.kernel("cuda", planned=True)
    def _(x: Array, g: Array, *residuals: Array, axis: int, needs: tuple[bool, ...]) -> Any:
        if not residuals:
            return NotImplemented
        dx = backends.backend_of(x).empty(x.shape, x.dtype)
        if x.size:
            _launch(_softmax_backward, x, residuals[0], g, dx, log=log)
        return (dx,)


_softmax_kernels(softmax, 0)
_softmax_kernels(log_softmax, 1)


op.register(
    softmax=softmax,
    log_softmax=log_softmax,
    logsumexp=logsumexp,
)
