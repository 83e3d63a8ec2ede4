"""Rows of a table by index, alone and summed in bags; users reach them as `nn.functional`."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..core import Tensor, no_grad, op
from ..errors import ShapeError, message, operand
from ..ops.replay import replaying
from .host import beside, on_host
from .running import overwrite

__all__ = ["embedding", "embedding_bag"]

Array = Any


def embedding(
    input: Array,
    weight: Array,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Array:
    """y = weight[input]: a row for each index; the row `padding_idx` gets no gradient.

    With `max_norm` the rows used are first made no longer than that (in the `norm_type` norm): `weight` itself is
    changed, off the tape.  With `scale_grad_by_freq` the gradient of a row is divided by how often it occurs in
    `input`.  Gradients are dense: `sparse` is ignored with a warning.

    Shapes: input integers (...); weight (num_embeddings, embedding_dim); result (..., embedding_dim).
    Raises: IndexError (on ``cpu``) for an index that is no row: on ``sim`` and ``cuda`` its row is NaN.
    Derivative: every order; the same bits every time.  Kernel: ``embedding.cu``.

    >>> import numpy as np
    >>> embedding(np.array([1, 0]), np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[3., 4.],
           [1., 2.]])
    """
    if sparse:
        warnings.warn("embedding(sparse) is ignored: gradients are dense", stacklevel=2)
    if max_norm is not None:
        _shorten(input, weight, max_norm, norm_type)
    row = None if padding_idx is None else padding_idx % weight.shape[0]
    return op.embedding(weight, input, padding_idx=row, scale_grad_by_freq=scale_grad_by_freq)


def _shorten(input: Array, weight: Array, max_norm: float, norm_type: float) -> None:
    """Overwrite the rows of `weight` that are used and longer than `max_norm`, as PyTorch does."""
    if replaying():
        return
    with no_grad():
        table = weight.detach() if isinstance(weight, Tensor) else weight
        used = np.zeros((weight.shape[0], 1), bool)
        used[on_host(input).reshape(-1)] = True
        size = op.power(op.sum(op.power(op.abs(table), norm_type), axis=1, keepdims=True), 1.0 / norm_type)
        long = op.logical_and(beside(used, table), op.greater(size, max_norm))
        factor = op.where(long, op.divide(max_norm, op.add(size, 1e-7)), 1.0)
        overwrite(weight, op.cast(op.multiply(table, factor), dtype=weight.dtype))


def embedding_bag(
    input: Array,
    weight: Array,
    offsets: Array | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Array | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Array:
    """y[b] = the mean (`mode` "sum": the sum, "max": the largest value) of weight[i] over the indices i of bag b.

    Bags are the rows of `input`, or with `offsets` parts of it: bag b begins at offsets[b]; with
    `include_last_offset` the last offset is the end of the last bag.  `padding_idx` does not count.  An empty bag
    gives 0.  `per_sample_weights`, shaped as the input, multiply the rows of a sum.

    Shapes: input integers (bags, size), or (indices,) with offsets (bags,); weight (num_embeddings, embedding_dim);
    result (bags, embedding_dim).  Raises: ShapeError, ValueError, IndexError.  Derivative: every order.
    Kernel: composition.  The others are those of `embedding`.

    >>> import numpy as np
    >>> embedding_bag(np.array([0, 1, 1]), np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0, 1]), mode="sum")
    array([[1., 2.],
           [6., 8.]])
    """
    name = "embedding_bag(input, weight, offsets)"
    if mode not in ("mean", "sum", "max"):
        raise ValueError(f"embedding_bag(mode): {mode!r} is unknown\n  need 'mean', 'sum' or 'max'")
    if per_sample_weights is not None and (mode != "sum" or tuple(per_sample_weights.shape) != tuple(input.shape)):
        lines = [operand("input", input), operand("per_sample_weights", per_sample_weights)]
        raise ShapeError(message(f"{name}: per_sample_weights do not fit", lines, "need mode='sum' and equal shapes"))
    if len(input.shape) != (2 if offsets is None else 1):
        need = "need (bags, size) alone, or (indices,) with offsets"
        raise ShapeError(message(f"{name}: input has {len(input.shape)} axes", [operand("input", input)], need))
    inside: Array | None = None
    if offsets is not None:
        places, there = _bags(name, int(input.shape[0]), on_host(offsets), include_last_offset)
        inside, index = beside(there, input), beside(places, input)
        per_sample_weights = None if per_sample_weights is None else op.take(per_sample_weights, index, axis=0)
        input = op.take(input, index, axis=0)
    rows = embedding(input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
    if padding_idx is not None:
        counted = op.not_equal(input, padding_idx % weight.shape[0])
        inside = counted if inside is None else op.logical_and(inside, counted)
    seen = None if inside is None else op.expand_dims(inside, axis=-1)
    if per_sample_weights is not None:
        rows = op.multiply(rows, op.expand_dims(per_sample_weights, axis=-1))
    if rows.shape[1] == 0:
        return op.sum(rows, axis=1)
    if mode == "max":
        if seen is None:
            return op.max(rows, axis=1)
        some = op.any(seen, axis=1)
        return op.where(some, op.max(op.where(seen, rows, -float("inf")), axis=1), 0.0)
    total = op.sum(rows if seen is None else op.where(seen, rows, 0.0), axis=1)
    if mode == "sum":
        return total
    if seen is None:
        return op.multiply(total, 1.0 / rows.shape[1])
    return op.divide(total, op.maximum(op.sum(op.cast(seen, dtype=rows.dtype), axis=1), 1.0))


def _bags(name: str, count: int, offsets: Any, ended: bool) -> tuple[Any, Any]:
    """Return (bags, longest) places, and which of them belong to the bag."""
    ends = offsets[1:] if ended else np.append(offsets[1:], count)
    starts = offsets[: len(ends)]
    if (
        offsets.ndim != 1
        or len(offsets) == 0
        or offsets[0] != 0
        or (ends < starts).any()
        or ends.max(initial=0) > count
    ):
        raise ShapeError(f"{name}: offsets are {offsets}\n  need an ascending vector from 0, at most {count}")
    places = starts[:, None] + np.arange((ends - starts).max(initial=0))
    there = places < ends[:, None]
    return np.where(there, places, 0), there
