"""Rows in groups: a batch of rows becomes more rows of each group, one of matrices more columns; scaled products."""

from __future__ import annotations

from typing import Any

from ...core import Primitive, op
from ...core.batching import one_by_one
from .images import fold, unfold
from .rule import rule


@rule("grouped_matmul")
def _grouped_matmul(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    x, w, sizes = xs
    if over[2] or (over[0] and over[1]):
        return one_by_one(prim, size, xs, over, params)
    if over[0]:
        return _unwoven(prim(_woven(x), w, op.multiply(sizes, size)), size)
    wide = op.reshape(op.moveaxis(w, 0, 2), (*w.shape[1:3], size * w.shape[3]))
    return op.moveaxis(op.reshape(prim(x, wide, sizes), (x.shape[0], size, w.shape[3])), 1, 0)


@rule("grouped_outer")
def _grouped_outer(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    x1, x2, sizes = xs
    if over[2] or (over[0] and over[1]):
        return one_by_one(prim, size, xs, over, params)
    wide = [_out_of_batch(x) if o else x for x, o in zip((x1, x2), over, strict=False)]
    y = prim(*wide, sizes)
    if over[0]:
        return op.moveaxis(op.reshape(y, (y.shape[0], size, x1.shape[2], x2.shape[1])), 1, 0)
    return op.moveaxis(op.reshape(y, (y.shape[0], x1.shape[1], size, x2.shape[2])), 2, 0)


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
    if any(over[1:]):
        return one_by_one(prim, size, xs, over, params)
    return unfold(prim(fold(xs[0]), *xs[1:], **params), size)
