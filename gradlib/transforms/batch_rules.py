"""The rules of `vmap` for leaf ops, and for those fused ops that take a batch as it is.

A rule gets the inputs with the batch along axis 0 where `over` says so, and gives the result with it there.
Elementwise ops need none.  `LOOPS` names the ops of the library that have none yet.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core import PRIMITIVES, Primitive, op
from ..core.batching import one_by_one
from ..ops.index import Cut

Rule = Callable[[Primitive, int, Sequence[Any], Sequence[bool], dict[str, Any]], Any]


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Attach a rule to the ops called so."""

    def attach(function: Rule) -> Rule:
        for name in names:
            PRIMITIVES[name].batch = function
        return function

    return attach


def spread(x: Any, over: bool, size: int) -> Any:
    """Return x with the batch along axis 0."""
    return x if over else op.broadcast_to(x, (size, *x.shape))


def _spread_all(xs: Sequence[Any], over: Sequence[bool], size: int) -> list[Any]:
    return [x if x is None else spread(x, o, size) for x, o in zip(xs, over, strict=True)]


def _behind(axis: Any) -> Any:
    """Return the place of an axis of the example in the batch."""
    if isinstance(axis, tuple):
        return tuple(_behind(a) for a in axis)
    return axis + 1 if axis >= 0 else axis


# -- one axis further on


@rule(
    "sum", "mean", "prod", "max", "min", "argmax", "argmin", "any", "all", "cumsum", "cumprod", "var", "flip", "roll",
    "argsort", "softmax", "log_softmax", "softmax_definition", "log_softmax_definition", "logsumexp", "concat", "stack",
    "take_along_axis", "put_along_axis", "length",
)  # fmt: skip
def _along_axis(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    return prim(*_spread_all(xs, over, size), **{**params, "axis": _behind(params["axis"])})


# Linear algebra takes leading axes for the batch, and no op of it counts an axis from the front.
@rule(
    "diagonal", "diagonal_matrix", "inv", "det", "det_derivative", "slogdet", "cholesky", "qr", "lu", "eigh",
    "eigvalsh", "eig", "eigvals", "svd", "svdvals", "pinv", "expm", "fourier",
    "fourier_real", "fourier_half",
)  # fmt: skip
@rule("cast", "copy", "alias", "to_device", "tril", "triu", "cross_entropy_rows", "cross_entropy_rows_back")
def _as_it_is(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    return prim(*_spread_all(xs, over, size), **params)


@rule("reshape")
def _reshape(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    return prim(xs[0], shape=(size, *params["shape"]))


@rule("broadcast_to")
def _broadcast_to(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    (x,), shape = xs, params["shape"]
    ones = (1,) * (len(shape) + 1 - len(x.shape))
    return prim(op.reshape(x, (size, *ones, *x.shape[1:])), shape=(size, *shape))


@rule("permute_dims")
def _permute(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    return prim(xs[0], axes=(0, *_behind(params["axes"])))


@rule("pad")
def _pad(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    return prim(xs[0], pad_width=((0, 0), *params["pad_width"]), value=params["value"])


@rule("slice")
def _slice(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    return prim(xs[0], pattern=(Cut(0, size, 1), *params["pattern"]))


@rule("unslice")
def _unslice(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    return prim(xs[0], pattern=(Cut(0, size, 1), *params["pattern"]), shape=(size, *params["shape"]))


# -- indices that differ from example to example: the examples' axes are joined into one


def _joined(indices: Any, n: int) -> Any:
    """Return (batch, ...) indices into axes of n as indices into the joined axis of batch * n."""
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
    special = params["padding_idx"] is not None or params["scale_grad_by_freq"]
    if special:  # the gradient is the example's own
        return one_by_one(prim, size, _spread_all(xs, over, size), (True, True), params)
    if not over[0]:
        return prim(weight, indices, **params)
    rows, width = weight.shape[1:]
    joined = _joined(spread(indices, over[1], size), rows)
    return prim(op.reshape(weight, (size * rows, width)), joined, **params)


@rule("embedding_gradient")
def _embedding_gradient(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    g, indices = _spread_all(xs, over, size)
    if params["padding_idx"] is not None or params["scale_grad_by_freq"]:
        return one_by_one(prim, size, (g, indices), (True, True), params)
    rows = params["rows"]
    added = prim(g, _joined(indices, rows), **{**params, "rows": size * rows})
    return op.reshape(added, (size, rows, added.shape[-1]))


@rule("slice_set")
def _slice_set(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    x, v = _spread_all(xs, over, size)
    return prim(x, v, pattern=(Cut(0, size, 1), *params["pattern"]))


@rule("scatter_set", "scatter_max", "scatter_min")
def _scatter(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    x, places, v = _spread_all(xs, over, size)
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


# -- products


@rule("matmul")
def _matmul(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    a, b = xs
    row, column = len(a.shape) - over[0] == 1, len(b.shape) - over[1] == 1
    if row and over[0] and not over[1] and len(b.shape) <= 2:
        return prim(a, b)  # one product of matrices
    if row:
        a = op.reshape(a, (*a.shape[:-1], 1, a.shape[-1]))
    if column:
        b = op.reshape(b, (*b.shape, 1))
    rank = max(len(a.shape) - over[0], len(b.shape) - over[1])
    a, b = (
        op.reshape(x, (size, *(1,) * (rank + 1 - len(x.shape)), *x.shape[1:])) if o and len(x.shape) <= rank else x
        for x, o in zip((a, b), over, strict=True)
    )
    y = prim(a, b)
    shape = tuple(y.shape)
    kept = (*shape[:-2], *(() if row else shape[-2:-1]), *(() if column else shape[-1:]))
    return y if kept == shape else op.reshape(y, kept)


@rule("solve")
def _solve(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    a, b = xs
    if over[0]:
        return prim(a, spread(b, over[1], size))
    columns = op.moveaxis(b, 0, -1)  # one matrix for all examples: it is factored once
    shape = tuple(columns.shape)
    return op.moveaxis(op.reshape(prim(a, op.reshape(columns, (*shape[:-2], shape[-2] * size))), shape), -1, 0)


@rule("dense")
def _dense(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    if any(over[1:]):
        return _example_by_composite(prim, xs, over, params)
    return prim(*xs, **params)


def _example_by_composite(prim: Primitive, xs: Any, over: Any, params: Any) -> Any:
    """Run the composite over the batch: parameters of one network each."""
    from .vmap import vmap  # it is made of these rules

    axes = tuple(0 if o else None for o in over)
    return vmap(lambda *args: prim.composite(*args, **params), in_axes=axes)(*xs)  # type: ignore[misc]


# -- images: the batch joins the examples' own, or (for filters of each example) the channels, as groups


def _fold(x: Any) -> Any:
    return op.reshape(x, (x.shape[0] * x.shape[1], *x.shape[2:]))


def _unfold(y: Any, size: int) -> Any:
    return op.reshape(y, (size, y.shape[0] // size, *y.shape[1:]))


def _into_channels(x: Any) -> Any:
    """(B, ..., C) -> (..., B * C)."""
    x = op.moveaxis(x, 0, -2)
    return op.reshape(x, (*x.shape[:-2], x.shape[-2] * x.shape[-1]))


def _out_of_channels(y: Any, size: int) -> Any:
    return op.moveaxis(op.reshape(y, (*y.shape[:-1], size, y.shape[-1] // size)), -2, 0)


@rule("conv", "convolution", "conv_data_gradient")
def _conv(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    x, *filters = xs
    if not any(over[1:]):
        return _unfold(prim(_fold(x), *filters, **params), size)
    if prim.name == "convolution":
        return _example_by_composite(prim, xs, over, params)
    x, w = _spread_all(xs, over, size)
    grouped = {**params, "groups": size * params["groups"]}
    return _out_of_channels(prim(_into_channels(x), _into_channels(w), **grouped), size)


@rule("conv_weight_gradient")
def _conv_weight_gradient(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    x, g = _spread_all(xs, over, size)
    grouped = {**params, "groups": size * params["groups"]}
    return _out_of_channels(prim(_into_channels(x), _into_channels(g), **grouped), size)


@rule("max_pool", "avg_pool", "windows_max", "windows_sum", "windows_spread", "windows_select", "windows_select_back")
def _windows(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    return _unfold(prim(*[_fold(x) for x in _spread_all(xs, over, size)], **params), size)


@rule("standardize")
def _standardize(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    return tuple(_out_of_channels(y, size) for y in prim(_into_channels(xs[0]), **params))


# -- rows in groups: a batch of rows becomes more rows of each group, one of matrices more columns


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
    return _unfold(prim(_fold(xs[0]), *xs[1:], **params), size)


# -- random numbers: every example draws its own


@rule("random_uniform", "random_normal", "random_bits")
def _random(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    if over[0]:
        return one_by_one(prim, size, xs, over, params)
    return prim(xs[0], **{**params, "shape": (size, *params["shape"])})


@rule("dropout")
def _dropout(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    x, key = xs
    if over[1]:
        return one_by_one(prim, size, [spread(x, over[0], size), key], (True, True), params)
    return prim(spread(x, over[0], size), key, **params)


for _name in ("random_uniform", "random_normal", "random_bits", "dropout"):
    PRIMITIVES[_name].draws = True


def loops() -> list[str]:
    """Return the names of the library's leaf ops that run example by example under `vmap`."""
    return sorted(
        name
        for name, prim in PRIMITIVES.items()
        if prim.batch is None and not prim.fused and not prim.broadcasts and prim.module.startswith("gradlib.")
    )
