"""Rows in groups: a batch of rows becomes more rows of each group, one of matrices more columns; scaled products."""

from __future__ import annotations

from typing import Any

from ...core import Primitive, ones_as, op, zeros_as
from ...core.batching import one_by_one
from ...ops import concat
from ...spec import float32, float64
from .images import fold, unfold
from .rule import rule, spread


@rule("grouped_matmul")
def _grouped_matmul(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    x, w, sizes = xs
    if over[2] or (over[0] and over[1]):
        x, w = spread(x, over[0], size), spread(w, over[1], size)
        nothing = zeros_as(w, shape=(size, 1, *w.shape[2:]), dtype=w.dtype)
        matrices = fold(concat([w, nothing], axis=1))
        return unfold(prim(fold(x), matrices, _one_after_the_other(sizes, over[2], size, x.shape[1])), size)
    if over[0]:
        return _unwoven(prim(_woven(x), w, op.multiply(sizes, size)), size)
    wide = op.reshape(op.moveaxis(w, 0, 2), (*w.shape[1:3], size * w.shape[3]))
    return op.moveaxis(op.reshape(prim(x, wide, sizes), (x.shape[0], size, w.shape[3])), 1, 0)


@rule("grouped_outer")
def _grouped_outer(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    x1, x2, sizes = xs
    if over[2] or (over[0] and over[1]):
        x1, x2 = spread(x1, over[0], size), spread(x2, over[1], size)
        y = prim(fold(x1), fold(x2), _one_after_the_other(sizes, over[2], size, x1.shape[1]))
        return op.getitem(unfold(y, size), (slice(None), slice(0, sizes.shape[-1])))
    wide = [_out_of_batch(x) if o else x for x, o in zip((x1, x2), over, strict=False)]
    y = prim(*wide, sizes)
    if over[0]:
        return op.moveaxis(op.reshape(y, (y.shape[0], size, x1.shape[2], x2.shape[1])), 1, 0)
    return op.moveaxis(op.reshape(y, (y.shape[0], x1.shape[1], size, x2.shape[2])), 2, 0)


def _one_after_the_other(sizes: Any, over: bool, size: int, rows: int) -> Any:
    """Return the sizes of every example's groups, each followed by that of a group of the rows that are in none."""
    sizes = spread(sizes, over, size)
    rest = op.subtract(rows, op.sum(sizes, axis=1, keepdims=True))
    return op.reshape(concat([sizes, op.cast(rest, dtype=sizes.dtype)], axis=1), (-1,))


def _woven(x: Any) -> Any:
    """Return (size, rows, n) as (rows * size, n): what stood in one row stands together."""
    size, rows, n = x.shape
    return op.reshape(op.moveaxis(x, 0, 1), (rows * size, n))


def _unwoven(y: Any, size: int) -> Any:
    return op.moveaxis(op.reshape(y, (y.shape[0] // size, size, y.shape[1])), 1, 0)


def _out_of_batch(x: Any) -> Any:
    """Return (size, rows, n) as (rows, size * n)."""
    size, rows, n = x.shape
    return op.reshape(op.moveaxis(x, 0, 1), (rows, size * n))


@rule("scaled_mm")
def _scaled_mm(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    a, b, *scales, bias = xs
    if not any(over[1:]):
        return unfold(prim(fold(a), b, *scales, bias, **params), size)
    # 8-bit floats are on no tape, so that a loop over them makes no Nodes; scales and bias are applied to all at once.
    wide = float64 if params["out_dtype"] == float64 else float32
    one = ones_as(scales[0], shape=(), dtype=wide)
    if over[1]:
        y = one_by_one(prim, size, (a, b, one, one, None), (*over[:2], False, False, False), {"out_dtype": wide})
    else:
        y = prim(fold(a) if over[0] else a, b, one, one, None, out_dtype=wide)
        y = unfold(y, size) if over[0] else y
    factors = [
        op.reshape(op.cast(s, dtype=wide), (size, 1, 1) if o else (1, 1))
        for s, o in zip(scales, over[2:4], strict=True)
    ]
    y = op.multiply(y, op.multiply(*factors))
    if bias is not None:
        y = op.add(y, op.expand_dims(op.cast(bias, dtype=wide), axis=-2))
    return op.cast(y, dtype=params["out_dtype"])
