"""Softmax cross-entropy: of class numbers or probabilities, weighted, smoothed, with rows to ignore."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import backend as backends
from ..core import Saved, between, fused, integers, leaf, ones_as, op, sample
from ..errors import DTypeError, ShapeError, message, operand
from ..kernel import Kernel
from ..spec import REDUCED, Spec, float32, int32, int64, is_floating
from .rows import streamed
from .softmax import log_softmax, softmax, softmax_vjp

__all__ = ["cross_entropy"]

Array = Any
_BLOCK = 1 << 14  # elements of a row block on the CPU: a block and its exponentials stay in the cache

# -- the loss of each row, and its derivative


def _row_blocks(xp: Any, rows: int, classes: int) -> Iterator[slice]:
    """Cut the rows into blocks that fit the CPU's cache; one block on a GPU."""
    step = max(1, _BLOCK // max(classes, 1)) if xp is np else max(rows, 1)
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def _checked(xp: Any, target: Array, classes: int, ignore_index: int) -> tuple[Array, Array]:
    """Return (class numbers fit for indexing, which rows count); IndexError for a number that is no class."""
    counted = target != ignore_index
    bad = counted & ((target < 0) | (target >= classes))
    if bad.any():
        value = int(target[bad][0])
        raise IndexError(
            f"cross_entropy(input, target): target has class {value}, input has {classes} classes\n"
            f"  need 0 <= target < {classes}, or target == ignore_index ({ignore_index})"
        )
    return xp.where(counted, target, 0), counted


def _infer_rows(x: Spec, target: Spec, *, ignore_index: int) -> Spec:
    return Spec(target.shape, x.dtype)


def _rows_vjp(g: Array, ans: Any, x: Array, target: Array, ignore_index: int) -> Array:
    return _rows_back(g, x, target, ignore_index=ignore_index)


def _rows_samples(*lead: tuple[int, ...]) -> list[Any]:
    ignored = lambda rng: np.array([2, -1, 0, 4])  # noqa: E731
    return [
        sample(*lead, (4, 5), ignored, ignore_index=-1),
        sample(*((2, 3) for _ in lead), (2, 3, 7), integers(0, 7, 2, 3), ignore_index=-1),
    ]


@leaf(
    "cross_entropy_rows",
    infer=_infer_rows,
    vjp=(_rows_vjp, None),
    saves=("x target", ""),
    samples=lambda: _rows_samples(),
)
def _rows(xp: Any, x: Array, target: Array, *, ignore_index: int) -> Array:
    """loss = logsumexp(x) - x[target] for each row, 0 where the target is `ignore_index`."""
    classes = x.shape[-1]
    x, flat = x.reshape(target.size, classes), target.reshape(-1)
    picks, counted = _checked(xp, flat, classes, ignore_index)
    loss = xp.empty(flat.shape, x.dtype)
    for block in _row_blocks(xp, len(flat), classes):
        top = x[block].max(1, keepdims=True)
        shifted = x[block] - top
        at = shifted[xp.arange(len(shifted)), picks[block]]
        loss[block] = xp.log(xp.exp(shifted, out=shifted).sum(1)) - at
    return xp.where(counted, loss, x.dtype.type(0)).reshape(target.shape)


def _back_vjp(t: Array, ans: Array, g: Any, x: Array, target: Array, ignore_index: int) -> Array:
    """The derivative of `_rows_back` in g, which multiplies the rows of softmax(x) - onehot."""
    unit = _rows_back(ones_as(t, shape=target.shape, dtype=t.dtype), x, target, ignore_index=ignore_index)
    return op.sum(op.multiply(t, unit), axis=(len(x.shape) - 1,), keepdims=False)


def _back_vjp_x(t: Array, ans: Array, g: Array, x: Array, target: Array, ignore_index: int) -> Array:
    """The derivative of `_rows_back` in x: that of softmax, times g."""
    counted = op.cast(op.not_equal(target, ignore_index), dtype=t.dtype)
    weight = op.reshape(op.multiply(g, counted), shape=(*x.shape[:-1], 1))
    return softmax_vjp(op.multiply(t, weight), softmax(x, axis=-1), None, len(x.shape) - 1)


@leaf(
    "cross_entropy_rows_back",
    infer=lambda g, x, target, ignore_index: Spec(x.shape, g.dtype),
    vjp=(_back_vjp, _back_vjp_x, None),
    saves=("x target", "g x target", ""),
    samples=lambda: _rows_samples((4,)),
)
def _rows_back(xp: Any, g: Array, x: Array, target: Array, *, ignore_index: int) -> Array:
    """dx = (softmax(x) - onehot(target)) g for each row, 0 where the target is `ignore_index`."""
    shape, classes = x.shape, x.shape[-1]
    x, flat = x.reshape(target.size, classes), target.reshape(-1)
    picks, counted = _checked(xp, flat, classes, ignore_index)
    weight = xp.where(counted, g.reshape(-1), g.dtype.type(0))[:, None]
    dx = xp.empty(x.shape, g.dtype)
    for block in _row_blocks(xp, len(flat), classes):
        part = dx[block]
        xp.subtract(x[block], x[block].max(1, keepdims=True), out=part)
        xp.exp(part, out=part)
        part *= weight[block] / part.sum(1, keepdims=True)
        part[xp.arange(len(part)), picks[block]] -= weight[block, 0]
    return dx.reshape(shape)


def _infer_cross_entropy(
    input: Spec, target: Spec, weight: Spec | None, *, ignore_index: int, reduction: str, label_smoothing: float
) -> Spec:
    name = "cross_entropy(input, target)"
    operands = [operand("input", input, "batch, ..., classes"), operand("target", target, "batch, ...")]
    if not is_floating(input.dtype):
        raise DTypeError(message(f"{name}: input is not floating", operands, "need a floating dtype"))
    if len(input.shape) < 1:
        raise ShapeError(message(f"{name}: input has no axis of classes", operands))
    expected = input.shape if is_floating(target.dtype) else input.shape[:-1]
    if is_floating(target.dtype) and target.shape == input.shape[:-1]:
        what, need = f"{name}: target is {target.dtype}, as probabilities are", "need class numbers: target.to('int64')"
        raise DTypeError(message(what, operands, need))
    if target.shape != expected:
        raise ShapeError(
            message(
                f"{name}: target has shape {target.shape}, input {input.shape} expects {expected}",
                operands,
                "need target.shape == input.shape[:-1] for class numbers, or input.shape for probabilities",
            )
        )
    if not is_floating(target.dtype) and target.dtype == np.bool_:
        raise DTypeError(message(f"{name}: target is boolean", operands, "need class numbers, or probabilities"))
    if is_floating(target.dtype) and target.dtype != input.dtype:
        raise DTypeError(message(f"{name}: target is not of input's dtype", operands, f"need target.to({input.dtype})"))
    if weight is not None and (weight.shape != input.shape[-1:] or not is_floating(weight.dtype)):
        raise ShapeError(
            message(f"{name}: weight has shape {weight.shape}, input has {input.shape[-1]} classes",
                    [*operands, operand("weight", weight, "classes")], "need one floating weight per class")
        )  # fmt: skip
    if reduction not in ("none", "mean", "sum"):
        raise ShapeError(f"{name}: reduction is {reduction!r}\n  need 'none', 'mean' or 'sum'")
    if not 0 <= label_smoothing <= 1:
        raise ShapeError(f"{name}: label_smoothing is {label_smoothing}\n  need 0 <= label_smoothing <= 1")
    return Spec(input.shape[:-1] if reduction == "none" else (), input.dtype)


def _cross_entropy_samples() -> list[Any]:
    common: dict[str, Any] = {"ignore_index": -100, "reduction": "mean", "label_smoothing": 0.0}
    ignored = lambda rng: np.array([2, -100, 0, 4, -100])  # noqa: E731
    probabilities = lambda rng: rng.dirichlet(np.ones(5), 4)  # noqa: E731
    return [
        sample((7, 10), integers(0, 10, 7), None, **common),
        sample((2, 3, 5), integers(0, 5, 2, 3), None, **{**common, "reduction": "none"}),
        sample((3, 601), integers(0, 601, 3, dtype="int32"), None, **{**common, "reduction": "sum"}),
        sample((3, 1201), integers(0, 1201, 3), None, **common),
        sample((5, 5), ignored, None, **common),
        sample((5, 5), ignored, None, **{**common, "reduction": "none", "label_smoothing": 0.1}),
        sample((1, 1), integers(0, 1, 1), None, **common),
        sample((0, 5), integers(0, 5, 0), None, **{**common, "reduction": "sum"}),
        sample((7, 10), integers(0, 10, 7), None, **{**common, "label_smoothing": 0.1}),
        sample((5, 5), ignored, between(0.5, 2, 5), **{**common, "label_smoothing": 0.1}),
        sample((4, 5), probabilities, None, **common),
        sample((4, 5), probabilities, between(0.5, 2, 5), **{**common, "label_smoothing": 0.1}),
    ]


@fused("cross_entropy", infer=_infer_cross_entropy, samples=_cross_entropy_samples)
def cross_entropy(
    input: Array,
    target: Array,
    weight: Array | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Array:
    """loss = -w[t] log(softmax(input)[t]), averaged with the weights w ("mean"), summed ("sum") or as it is ("none").

    With `label_smoothing` e, the target is (1 - e) onehot(t) + e / classes.  Rows with
    ``target == ignore_index`` do not count.  A floating target holds probabilities of the classes instead.

    Shapes: input (batch, ..., classes): the classes are the last axis; target input.shape[:-1], or
    input.shape for probabilities; weight (classes,).  Dtypes: input floating; target integer, or input's.
    Raises: ShapeError, DTypeError; IndexError (on ``cpu``) for a target that is no class: on ``sim``
    and ``cuda`` its loss is NaN.
    Derivative: every order.  Kernel: ``softmax.cu``; composition with `weight` or probabilities.
    """
    if weight is None and not is_floating(target.dtype) and label_smoothing == 0.0:
        rows = _rows(input, target, ignore_index=ignore_index)
        if reduction == "mean":
            counted = op.sum(op.cast(op.not_equal(target, ignore_index), dtype=input.dtype), axis=_all(target))
            return op.divide(op.sum(rows, axis=_all(rows)), counted)
        return op.sum(rows, axis=_all(rows)) if reduction == "sum" else rows
    return _general(input, target, weight, ignore_index, reduction, label_smoothing)


def _all(x: Array) -> tuple[int, ...]:
    return tuple(range(len(x.shape)))


def _general(
    input: Array, target: Array, weight: Array | None, ignore_index: int, reduction: str, smoothing: float
) -> Array:
    """Weights, probabilities and smoothing, through log_softmax."""
    last, classes = len(input.shape) - 1, input.shape[-1]
    logs = log_softmax(input, axis=last)
    if weight is not None:
        logs = op.multiply(logs, op.cast(weight, dtype=input.dtype))
    if is_floating(target.dtype):
        if smoothing:
            target = op.add(op.multiply(target, 1.0 - smoothing), smoothing / classes)
        rows = op.negative(op.sum(op.multiply(target, logs), axis=(last,)))
        divisor: Any = float(math.prod(input.shape[:-1]))
    else:
        counts = op.not_equal(target, ignore_index)
        picks = op.expand_dims(op.where(counts, target, 0), axis=last)
        rows = op.negative(op.squeeze(op.take_along_axis(logs, picks, axis=last), axis=(last,)))
        if smoothing:
            spread = op.negative(op.sum(logs, axis=(last,)))
            rows = op.add(op.multiply(rows, 1.0 - smoothing), op.multiply(spread, smoothing / classes))
        rows = op.where(counts, rows, 0.0)
        divisor = op.cast(counts, dtype=input.dtype)
        if weight is not None:
            each = op.take_along_axis(op.broadcast_to(weight, shape=input.shape), picks, axis=last)
            divisor = op.multiply(divisor, op.cast(op.squeeze(each, axis=(last,)), dtype=input.dtype))
        divisor = op.sum(divisor, axis=_all(rows))
    if reduction == "none":
        return rows
    total = op.sum(rows, axis=_all(rows))
    return op.divide(total, divisor) if reduction == "mean" else total


# -- kernels

_forward = Kernel("softmax.cu", "cross_entropy_forward", "x target loss lse | rows classes ignore_index smoothing")
_backward = Kernel(
    "softmax.cu",
    "cross_entropy_backward",
    "x target lse g count dx | rows classes ignore_index smoothing g_stride",
)


def _blocks(rows: int, classes: int, dtype: Any) -> tuple[int, tuple[int, int]]:
    block = streamed(classes, dtype.itemsize).block
    return -(-rows // block[1]), block


_partial = Kernel("softmax.cu", "cross_entropy_partial", "loss target sums counts | rows ignore_index")
_finish = Kernel("softmax.cu", "cross_entropy_finish", "sums counts y count | blocks mean")


def _macros(input: Array, target: Array) -> dict[str, Any]:
    return {"T": input.dtype} if target.dtype == int64 else {"T": input.dtype, "TARGET": target.dtype}


@cross_entropy.kernel("cuda", planned=True)
def _(
    input: Array, target: Array, weight: Array | None, *, ignore_index: int, reduction: str, label_smoothing: float
) -> Any:
    """Loss per row, then (for the mean and the sum) one number by two more launches."""
    rows, classes = target.size, input.shape[-1]
    if weight is not None or target.dtype not in (int32, int64) or classes == 0:
        return NotImplemented
    backend = backends.backend_of(input)
    wide = float32 if input.dtype in REDUCED else input.dtype
    loss, lse = backend.empty(target.shape, wide), backend.empty(target.shape, wide)
    macros = _macros(input, target)
    if rows:
        grid, block = _blocks(rows, classes, input.dtype)
        _forward(grid, block, input, target, loss, lse, rows, classes, ignore_index, label_smoothing, **macros)
    if reduction == "none":
        y = loss if wide == input.dtype else loss.astype(input.dtype)
        return Saved(y, (lse, None))
    blocks = max(1, min(256, rows // 2048))
    sums, counts = backend.empty((blocks,), wide), backend.empty((blocks,), wide)
    y, count = backend.empty((), input.dtype), backend.empty((), wide)
    _partial(blocks, 256, loss, target, sums, counts, rows, ignore_index, **macros)
    _finish(1, 256, sums, counts, y, count, blocks, int(reduction == "mean"), **macros)
    return Saved(y, (lse, count))


@cross_entropy.backward.kernel("cuda", planned=True)
def _(
    input: Array, target: Array, weight: Array | None, g: Array, *residuals: Any, ignore_index: int, reduction: str,
    label_smoothing: float, needs: tuple[bool, ...],
) -> Any:  # fmt: skip
    if not residuals:
        return NotImplemented
    lse, count = residuals
    dx = backends.backend_of(input).empty(input.shape, input.dtype)
    if dx.size:
        rows, classes = target.size, input.shape[-1]
        grid, block = _blocks(rows, classes, input.dtype)
        _backward(
            grid, block, input, target, lse, g, count, dx, rows, classes, ignore_index, label_smoothing,
            int(reduction == "none"), **_macros(input, target),
        )  # fmt: skip
    return dx, None, None


op.register(cross_entropy=cross_entropy)
