"""Pooling over windows of random steps, and the inverse of max pooling; users reach them as `nn.functional`.

Layout: (batch, *size, channels).  Places are counted over the spatial axes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..core import Tensor, op
from ..errors import ShapeError
from ..ops import Generator
from .functional_spatial import sizes_of, spatial
from .host import beside, device_of
from .window_indices import flat, unpool

__all__ = [
    "fractional_max_pool2d",
    "fractional_max_pool3d",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
]

Array = Any
Size = int | Sequence[int]
Ints = tuple[int, ...]


# -- windows of random steps


def _fractional(
    ndim: int,
    input: Array,
    kernel_size: Size,
    output_size: Any,
    output_ratio: Any,
    return_indices: bool,
    samples: Array | None,
    generator: Generator | None,
) -> Any:
    name = f"fractional_max_pool{ndim}d"
    sizes = spatial(name, input, ndim)
    kernel = sizes_of(name, "kernel_size", kernel_size, ndim)
    if (output_size is None) == (output_ratio is None):
        raise ValueError(f"{name}(output_size, output_ratio): need one of them")
    if output_size is None:
        ratios = (output_ratio,) * ndim if isinstance(output_ratio, float) else tuple(output_ratio)
        if len(ratios) != ndim or not all(0 < r < 1 for r in ratios):
            raise ValueError(f"{name}(output_ratio): {output_ratio!r}\n  need {ndim} numbers between 0 and 1")
        counts: Ints = tuple(int(n * r) for n, r in zip(sizes, ratios, strict=True))
    else:
        counts = sizes_of(name, "output_size", output_size, ndim)
    if any(c < 1 or c + k - 1 > n for c, k, n in zip(counts, kernel, sizes, strict=True)):
        raise ShapeError(
            f"{name}: {counts} windows of {kernel} in {sizes}\n  need output_size + kernel_size - 1 <= size"
        )
    batch, channels = input.shape[0], input.shape[-1]
    if samples is None:
        shape = (batch, channels, ndim)
        samples = ops.uniform(shape, dtype="float64", device=device_of(input), generator=generator)
        samples = samples if isinstance(input, Tensor) else samples.data
    places = _random_places(samples, input, sizes, counts, kernel)
    windows, taps = math.prod(counts), math.prod(kernel)
    values = op.take_along_axis(flat(input), places, axis=1)
    first = op.argmax(op.reshape(values, shape=(batch, windows, taps, channels)), axis=2, keepdims=True)
    index = op.take_along_axis(op.reshape(places, shape=(batch, windows, taps, channels)), first, axis=2)[:, :, 0]
    y = op.reshape(op.take_along_axis(flat(input), index, axis=1), shape=(batch, *counts, channels))
    return (y, op.reshape(index, shape=(batch, *counts, channels))) if return_indices else y


def _random_places(samples: Array, like: Array, sizes: Ints, counts: Ints, kernel: Ints) -> Array:
    """Return (batch, windows * taps, channels): the places of windows whose steps follow from `samples`."""
    ndim = len(sizes)
    batch, channels = samples.shape[:2]
    places: Array = 0
    for axis, (n, count, k) in enumerate(zip(sizes, counts, kernel, strict=True)):
        u = op.cast(samples[..., axis if ndim == 3 else 1 - axis], dtype="float64")  # PyTorch's order: columns first
        step = (n - k) / (count - 1) if count > 1 else 0.0
        i = beside(np.arange(count) * 1.0, like)
        first = op.floor(op.multiply(op.expand_dims(u, axis=-1), step))
        starts = op.subtract(op.floor(op.multiply(op.add(op.expand_dims(u, axis=-1), i), step)), first)
        starts = op.where(beside(np.arange(count) == count - 1, like), float(n - k), starts)
        at = op.add(op.expand_dims(op.cast(starts, dtype="int64"), axis=-1), beside(np.arange(k), like))
        shape = [batch, channels] + [1] * (2 * ndim)  # one axis for each of the counts, then one for each of the taps
        shape[2 + axis], shape[2 + ndim + axis] = count, k
        places = op.add(op.multiply(places, n) if axis else places, op.reshape(at, shape=tuple(shape)))
    return op.moveaxis(op.reshape(places, shape=(batch, channels, math.prod(counts) * math.prod(kernel))), 1, 2)


def fractional_max_pool2d(
    input: Array,
    kernel_size: Size,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Array | None = None,
    *,
    generator: Generator | None = None,
) -> Any:
    """y = the greatest value of each of `output_size` windows, whose steps are drawn for each example and channel.

    Window i of n begins at floor((i + u) a) - floor(u a), a = (size - kernel_size) / (n - 1), u ~ U[0, 1), the last
    one at the end.  `output_ratio` gives the size of the result as a part of the input's.  `_random_samples`
    (batch, channels, 2) are the u of columns and rows.

    Shapes: input (batch, height, width, channels); result likewise; places, with `return_indices`, as `max_pool2d`.
    Raises: ShapeError, ValueError.  Derivative: every order.  Kernel: composition.
    Source: Graham, "Fractional max-pooling", 2014.

    >>> import numpy as np
    >>> fractional_max_pool2d(np.arange(25.0).reshape(1, 5, 5, 1), 2, output_size=2).shape
    (1, 2, 2, 1)
    """
    return _fractional(2, input, kernel_size, output_size, output_ratio, return_indices, _random_samples, generator)


def fractional_max_pool3d(
    input: Array,
    kernel_size: Size,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Array | None = None,
    *,
    generator: Generator | None = None,
) -> Any:
    """y = the greatest value of windows of random steps of (batch, d, h, w, channels); see `fractional_max_pool2d`.

    >>> import numpy as np
    >>> fractional_max_pool3d(np.ones((1, 4, 4, 4, 2)), 2, output_size=3).shape
    (1, 3, 3, 3, 2)
    """
    return _fractional(3, input, kernel_size, output_size, output_ratio, return_indices, _random_samples, generator)


# -- the inverse of max pooling


def _unpooled(
    ndim: int, input: Array, indices: Array, kernel_size: Size, stride: Size | None, padding: Size, output_size: Any
) -> Array:
    name = f"max_unpool{ndim}d"
    sizes = spatial(name, input, ndim)
    kernel = sizes_of(name, "kernel_size", kernel_size, ndim)
    steps = kernel if stride is None else sizes_of(name, "stride", stride, ndim)
    around = sizes_of(name, "padding", padding, ndim)
    usual = tuple((n - 1) * s + k - 2 * p for n, s, k, p in zip(sizes, steps, kernel, around, strict=True))
    wanted = usual
    if output_size is not None:
        given = tuple(output_size)
        wanted = given[1:-1] if len(given) == ndim + 2 else given
        if len(wanted) != ndim or any(abs(w - u) >= s for w, u, s in zip(wanted, usual, steps, strict=True)):
            raise ShapeError(
                f"{name}(output_size): it is {given}, the windows would give {usual}\n"
                f"  need {ndim} sizes, each less than a stride ({steps}) away from that"
            )
    return unpool(name, input, indices, wanted, all(s >= k for s, k in zip(steps, kernel, strict=True)))


def max_unpool1d(
    input: Array,
    indices: Array,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Any = None,
) -> Array:
    """y = zeros, each input at its place, of (batch, length, channels); see `max_unpool2d`.

    >>> import numpy as np
    >>> max_unpool1d(np.array([[[5.0], [7.0]]]), np.array([[[1], [2]]]), 2).ravel()
    array([0., 5., 7., 0.])
    """
    return _unpooled(1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: Array,
    indices: Array,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Any = None,
) -> Array:
    """y = zeros, each input at its place: the inverse of ``max_pool2d(..., return_indices=True)`` but for the zeros.

    Several inputs at one place, which overlapping windows give, are equal then; of unequal ones y is the mean,
    where PyTorch takes one of them.

    Shapes: input, indices (batch, h, w, channels); result (batch, h', w', channels), h' = (h - 1) stride +
    kernel_size - 2 padding, or `output_size`.  Raises: ShapeError, IndexError.
    Derivative: every order (linear).  Kernel: composition.

    >>> import numpy as np
    >>> y, places = np.array([4.0]).reshape(1, 1, 1, 1), np.array([1]).reshape(1, 1, 1, 1)
    >>> max_unpool2d(y, places, 2)[0, :, :, 0]
    array([[0., 4.],
           [0., 0.]])
    """
    return _unpooled(2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: Array,
    indices: Array,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Any = None,
) -> Array:
    """y = zeros, each input at its place, of (batch, depth, height, width, channels); see `max_unpool2d`.

    >>> import numpy as np
    >>> max_unpool3d(np.full((1, 1, 1, 1, 1), 5.0), np.full((1, 1, 1, 1, 1), 3), (1, 2, 2)).ravel()
    array([0., 0., 0., 5.])
    """
    return _unpooled(3, input, indices, kernel_size, stride, padding, output_size)
