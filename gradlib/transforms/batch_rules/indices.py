"""Indices that differ from example to example: the examples' axes are joined into one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...core import Primitive, op
from ...ops.index import Cut, check_bounds
from .rule import is_followed, rule, spread, spread_all


def _joined(indices: Any, n: int) -> Any:
    """Return (batch, ...) indices into axes of n as indices into the joined axis of batch * n."""
    check_bounds(indices, n)  # one too large would be of the next example
    size = indices.shape[0]
    wrapped = op.where(op.less(indices, 0), op.add(indices, n), indices)
    first = (np.arange(size) * n).reshape(size, *(1,) * (len(indices.shape) - 1))
    return op.add(op.cast(wrapped, dtype="int64"), first)


@rule("take")
def _take(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    (x, indices), axis = xs, params["axis"]
    if not over[1]:
        return prim(x, indices, axis=axis + 1)
    if not over[0]:
        return op.moveaxis(prim(x, indices, axis=axis), axis, 0)
    x = op.moveaxis(x, axis + 1, 1)
    n, rest = x.shape[1], tuple(x.shape[2:])
    picked = prim(op.reshape(x, (size * n, *rest)), _joined(indices, n), axis=0)
    k = len(indices.shape) - 1
    return op.moveaxis(picked, tuple(range(1, k + 1)), tuple(range(axis + 1, axis + 1 + k)))


@rule("index_add")
def _index_add(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    (g, indices), axis, n = xs, params["axis"], params["size"]
    if not over[1]:
        return prim(g, indices, axis=axis + 1, size=n)
    g = spread(g, over[0], size)
    k = len(indices.shape) - 1
    g = op.moveaxis(g, tuple(range(axis + 1, axis + 1 + k)), tuple(range(1, k + 1)))
    added = prim(g, _joined(indices, n), axis=0, size=size * n)
    return op.moveaxis(op.reshape(added, (size, n, *added.shape[1:])), 1, axis + 1)


@rule("embedding")
def _embedding(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    weight, indices = xs
    own = params["padding_idx"] is not None or params["scale_grad_by_freq"]  # each example's gradient is its own
    if not over[0] and not (own and is_followed(weight)):
        return prim(weight, indices, **params)
    weight, indices = spread(weight, over[0], size), spread(indices, over[1], size)
    rows, width = weight.shape[1:]
    tables = {**params, "tables": size * params["tables"]}
    return prim(op.reshape(weight, (size * rows, width)), _joined(indices, rows), **tables)


@rule("embedding_gradient")
def _embedding_gradient(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    g, indices = spread_all(xs, over, size)
    rows = params["rows"]
    tables = {**params, "rows": size * rows, "tables": size * params["tables"]}
    added = prim(g, _joined(indices, rows), **tables)
    return op.reshape(added, (size, rows, added.shape[-1]))


@rule("slice_set")
def _slice_set(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    x, v = spread_all(xs, over, size)
    return prim(x, v, pattern=(Cut(0, size, 1), *params["pattern"]))


@rule("scatter_set", "scatter_max", "scatter_min")
def _scatter(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    x, places, v = spread_all(xs, over, size)
    flat = prim(op.reshape(x, (-1,)), op.reshape(_joined(places, x.shape[1]), (-1,)), op.reshape(v, (-1,)))
    return op.reshape(flat, x.shape)


@rule("is_last")
def _is_last(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    apart = _joined(xs[0], 2**40)  # further than any array is long
    return op.reshape(prim(op.reshape(apart, (-1,))), apart.shape)


# -- values among others: counted, where it is not one row of others for all examples


@rule("searchsorted")
def _searchsorted(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    x1, x2 = xs
    if not over[0]:
        return prim(x1, x2, **params)
    x2 = op.expand_dims(spread(x2, over[1], size), axis=-1)
    x1 = op.reshape(x1, (size, *(1,) * (len(x2.shape) - 2), x1.shape[1]))
    right = params["side"] == "right"
    before = op.logical_or((op.less_equal if right else op.less)(x1, x2), op.isnan(x2))
    if not right:  # NaN is the largest, and equal to itself
        before = op.logical_and(before, op.logical_not(op.isnan(x1)))
    return op.count_nonzero(before, axis=-1)


@rule("isin")
def _isin(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    x1, x2 = xs
    if not over[1]:
        return prim(x1, x2, **params)
    x1 = spread(x1, over[0], size)
    others = op.reshape(x2, (size, *(1,) * (len(x1.shape) - 1), math.prod(x2.shape[1:])))
    found = op.any(op.equal(op.expand_dims(x1, axis=-1), others), axis=-1)
    return op.logical_not(found) if params["invert"] else found
