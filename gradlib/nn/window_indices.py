"""Which place of each window holds its maximum: what pooling with indices, and unpooling, are made of.

A place is counted over the spatial axes in row-major order, for each example and channel by itself, as in PyTorch.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core import op
from ..errors import ShapeError, message, operand
from ..ops.windows import Window
from .host import beside, known, on_host

Array = Any
Ints = tuple[int, ...]


def flat(x: Array) -> Array:
    """Return (batch, *size, channels) as (batch, places, channels)."""
    return op.reshape(x, shape=(x.shape[0], math.prod(x.shape[1:-1]), x.shape[-1]))


def window_axes(sizes: Ints, counts: Ints, window: Window) -> list[Any]:
    """Return for each axis the positions (windows, taps) along it; those outside of the image are negative."""
    axes = []
    for size, count, k, s, p, d in zip(sizes, counts, *window, strict=True):
        at = np.arange(count)[:, None] * s - p + np.arange(k) * d
        axes.append(np.where((at >= 0) & (at < size), at, -1))
    return axes


def bin_axes(bins: list[list[tuple[int, int]]]) -> list[Any]:
    """Return for each axis the positions (windows, taps) of ranges of unequal lengths, filled up by negative ones."""
    axes = []
    for ranges in bins:
        longest = max(end - start for start, end in ranges)
        at = np.array([start for start, _ in ranges])[:, None] + np.arange(longest)
        axes.append(np.where(at < np.array([end for _, end in ranges])[:, None], at, -1))
    return axes


def max_and_index(x: Array, axes: list[Any]) -> tuple[Array, Array]:
    """Return the maximum of each window and its place, the first of equals; `axes` as `window_axes` returns them."""
    sizes, counts = tuple(x.shape[1:-1]), tuple(len(a) for a in axes)
    places, inside = np.zeros((1, 1), np.int64), np.ones((1, 1), bool)
    for size, at in zip(sizes, axes, strict=True):
        places = (places[:, None, :, None] * size + np.maximum(at, 0)[None, :, None, :]).reshape(
            len(places) * len(at), -1
        )
        inside = (inside[:, None, :, None] & (at >= 0)[None, :, None, :]).reshape(len(inside) * len(at), -1)
    windows, taps = places.shape
    values = op.reshape(
        op.take(flat(x), beside(places.reshape(-1), x), axis=1), shape=(x.shape[0], windows, taps, x.shape[-1])
    )
    if not inside.all():
        values = op.where(beside(inside[:, :, None], x), values, -math.inf)
    first = op.argmax(values, axis=2)
    rows = beside(np.arange(windows)[:, None] * taps, x)
    index = op.take(beside(places.reshape(-1), x), op.add(first, rows), axis=0)
    shape = (x.shape[0], *counts, x.shape[-1])
    best = op.take_along_axis(flat(x), index, axis=1)
    return op.reshape(best, shape=shape), op.reshape(index, shape=shape)


def unpool(name: str, input: Array, indices: Array, sizes: Ints, apart: bool) -> Array:
    """Return zeros (batch, *sizes, channels) with each input at its place; several at one place count as their mean."""
    if tuple(indices.shape) != tuple(input.shape):
        lines = [operand("input", input, "batch, ..., channels"), operand("indices", indices)]
        raise ShapeError(message(f"{name}(input, indices): shapes differ", lines, "need equal shapes"))
    places = math.prod(sizes)
    if known(indices) and indices.size:
        values = on_host(indices)
        low, high = int(values.min()), int(values.max())
        if low < 0 or high >= places:
            raise IndexError(f"{name}(indices): they go from {low} to {high}, the result has {places} places")
    values, index = flat(input), flat(indices)
    total = op.put_along_axis(values, index, axis=1, size=places)
    if not apart:
        met = op.put_along_axis(op.ones_like(values), index, axis=1, size=places)
        total = op.divide(total, op.maximum(met, 1.0))
    return op.reshape(total, shape=(input.shape[0], *sizes, input.shape[-1]))
