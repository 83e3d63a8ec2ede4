"""Windows as columns and back, channels in another order, and normalisation over neighbours.

Users reach them as `nn.functional`.  Layout: (batch, *size, channels).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..core import op
from ..errors import ShapeError, message, operand
from ..ops.windows import Window
from .functional_spatial import sizes_of, spatial
from .host import beside
from .window_indices import flat, window_axes

__all__ = ["channel_shuffle", "fold", "local_response_norm", "unfold"]

Array = Any
Size = int | Sequence[int]
Ints = tuple[int, ...]


def _blocks(
    name: str, sizes: Ints, kernel_size: Size, dilation: Size, padding: Size, stride: Size
) -> tuple[Any, Ints, Ints]:
    """Return the places (blocks * taps,) in the padded image, that image's size, and (blocks, taps)."""
    kernel, steps = sizes_of(name, "kernel_size", kernel_size, 2), sizes_of(name, "stride", stride, 2)
    around, spread = sizes_of(name, "padding", padding, 2), sizes_of(name, "dilation", dilation, 2)
    padded = tuple(n + 2 * p for n, p in zip(sizes, around, strict=True))
    counts = tuple((n - d * (k - 1) - 1) // s + 1 for n, d, k, s in zip(padded, spread, kernel, steps, strict=True))
    if min(*kernel, *steps, *spread) < 1 or min(around) < 0 or min(counts) < 1:
        raise ShapeError(
            f"{name}: windows of {kernel}, stride {steps}, padding {around}, dilation {spread} in an image of {sizes}\n"
            f"  need a window that fits, and 1 or more each (padding: 0 or more)"
        )
    rows, columns = window_axes(padded, counts, Window(kernel, steps, (0, 0), spread))
    places = rows[:, None, :, None] * padded[1] + columns[None, :, None, :]
    return places.reshape(-1), padded, (math.prod(counts), math.prod(kernel))


def unfold(input: Array, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1) -> Array:
    """y[n, l, (r, c)] = x[n, place r of window l, c]: each window of an image as a row.

    Shapes: input (batch, height, width, channels); result (batch, windows, kh kw channels), where PyTorch has (batch,
    channels kh kw, windows).  Its product with a weight (kh kw in, out) is the convolution.
    Raises: ShapeError.  Derivative: every order (linear).  Kernel: composition.

    >>> import numpy as np
    >>> unfold(np.arange(6.0).reshape(1, 2, 3, 1), 2)[0]
    array([[0., 1., 3., 4.],
           [1., 2., 4., 5.]])
    """
    sizes = spatial("unfold", input, 2)
    places, _, (blocks, taps) = _blocks("unfold(input, kernel_size)", sizes, kernel_size, dilation, padding, stride)
    p, q = sizes_of("unfold", "padding", padding, 2)
    padded = op.pad(input, ((0, 0), (p, p), (q, q), (0, 0))) if p or q else input
    rows = op.take(flat(padded), beside(places, input), axis=1)
    return op.reshape(rows, shape=(input.shape[0], blocks, taps * input.shape[-1]))


def fold(
    input: Array, output_size: Size, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1
) -> Array:
    """y = the sum of all windows, each put back in its place: the transpose of `unfold`.

    Shapes: input (batch, windows, kh kw channels); result (batch, *output_size, channels).
    Raises: ShapeError.  Derivative: every order (linear).  Kernel: composition.

    >>> import numpy as np
    >>> fold(np.ones((1, 2, 4)), (2, 3), 2)[0, :, :, 0]
    array([[1., 2., 1.],
           [1., 2., 1.]])
    """
    sizes = sizes_of("fold", "output_size", output_size, 2)
    name = "fold(input, output_size, kernel_size)"
    places, padded, (blocks, taps) = _blocks(name, sizes, kernel_size, dilation, padding, stride)
    if len(input.shape) != 3 or input.shape[1] != blocks or input.shape[2] % taps:
        lines = [operand("input", input, "batch, windows, kh kw channels")]
        need = f"need {blocks} windows, and a multiple of {taps} features"
        raise ShapeError(message(f"{name}: the input does not fit", lines, need))
    batch, channels = input.shape[0], input.shape[2] // taps
    rows = op.reshape(input, shape=(batch, blocks * taps, channels))
    index = beside(np.broadcast_to(places[:, None], (len(places), 1)), input)
    index = op.broadcast_to(op.expand_dims(index, axis=0), (batch, len(places), channels))
    total = op.put_along_axis(rows, index, axis=1, size=math.prod(padded))
    image = op.reshape(total, shape=(batch, *padded, channels))
    p, q = sizes_of("fold", "padding", padding, 2)
    return image[:, p : p + sizes[0], q : q + sizes[1]] if p or q else image


def channel_shuffle(input: Array, groups: int) -> Array:
    """y = the channels, g groups of them, in the order 0, n, 2n, ..., 1, n + 1, ...: n channels each, side by side.

    Shapes: (..., channels), groups dividing them.  Raises: ShapeError.
    Source: Zhang et al., "ShuffleNet", CVPR 2018, section 3.1.

    >>> import numpy as np
    >>> channel_shuffle(np.arange(6.0)[None], 2)[0]
    array([0., 3., 1., 4., 2., 5.])
    """
    channels = input.shape[-1]
    if groups < 1 or channels % groups:
        lines = [operand("input", input, "..., channels")]
        raise ShapeError(message(f"channel_shuffle(input, {groups}): the channels do not divide", lines))
    apart = op.reshape(input, shape=(*input.shape[:-1], groups, channels // groups))
    return op.reshape(op.swapaxes(apart, -1, -2), shape=tuple(input.shape))


def local_response_norm(input: Array, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Array:
    """y[c] = x[c] / (k + alpha / size sum over c' of x[c']^2)^beta, c' the `size` channels around c.

    Shapes: (batch, ..., channels); an even `size` reaches one channel further before c than after it.
    Raises: ShapeError.  Derivative: every order.  Kernel: composition.
    Source: Krizhevsky, Sutskever, Hinton, "ImageNet classification", NeurIPS 2012, section 3.3.

    >>> import numpy as np
    >>> local_response_norm(np.array([[1.0, 2.0]]), 1, alpha=1.0, beta=1.0)
    array([[0.5, 0.4]])
    """
    if size < 1 or len(input.shape) < 2:
        lines = [operand("input", input, "batch, ..., channels")]
        raise ShapeError(message(f"local_response_norm(input, size={size}): need channels, and size 1 or more", lines))
    squares = op.reshape(op.multiply(input, input), shape=(-1, input.shape[-1], 1))
    around = op.pad(squares, ((0, 0), (size // 2, (size - 1) // 2), (0, 0)))
    near = op.reshape(ops.avg_pool1d(around, size, 1), shape=tuple(input.shape))
    return op.multiply(input, op.power(op.add(op.multiply(near, alpha), k), -beta))
