"""Pooling over windows: the maximum, the mean, other norms; users reach them as `nn.functional`.

Layout: (batch, *size, channels).  Places, as `return_indices` gives them, are counted over the spatial axes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import ops
from ..core import op
from ..ops.windows import Window, output_sizes, windows_sum
from ..spec import Spec
from .functional_spatial import sizes_of
from .window_indices import max_and_index, window_axes

__all__ = [
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
]

Array = Any
Size = int | Sequence[int]


def _window(name: str, ndim: int, kernel_size: Size, stride: Size | None, padding: Size, dilation: Size) -> Window:
    kernel = sizes_of(name, "kernel_size", kernel_size, ndim)
    steps = kernel if stride is None else sizes_of(name, "stride", stride, ndim)
    return Window(kernel, steps, sizes_of(name, "padding", padding, ndim), sizes_of(name, "dilation", dilation, ndim))


# -- the maximum


def _max(
    ndim: int,
    input: Array,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    dilation: Size,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    if not return_indices:
        pool = (ops.max_pool1d, ops.max_pool2d, ops.max_pool3d)[ndim - 1]
        return pool(input, kernel_size, stride, padding, dilation, ceil_mode)
    name = f"max_pool{ndim}d(input, kernel_size)"
    window = _window(name, ndim, kernel_size, stride, padding, dilation)
    counts = output_sizes(name, Spec(tuple(input.shape), input.dtype), window, ceil_mode)
    return max_and_index(input, window_axes(tuple(input.shape[1:-1]), counts, window))


def max_pool1d(
    input: Array,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """y = the greatest value of each window of (batch, length, channels); see `max_pool2d`.

    >>> import numpy as np
    >>> max_pool1d(np.arange(6.0).reshape(1, 6, 1), 2).ravel()
    array([1., 3., 5.])
    """
    return _max(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(
    input: Array,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """y = the greatest value of each window of (batch, height, width, channels); of equals the first gets the gradient.

    With `return_indices` (y, places): row * width + column of each maximum, for `max_unpool2d`.
    Shapes: result (batch, h', w', channels), h' = floor((h + 2 padding - dilation (k - 1) - 1) / stride) + 1 (ceil
    with `ceil_mode`); places alike, int64.  Raises: ShapeError, DTypeError.  Derivative: every order.
    Kernel: ``pool2d.cu``; with indices composition.

    >>> import numpy as np
    >>> y, places = max_pool2d(np.array([[1.0, 4.0], [3.0, 2.0]]).reshape(1, 2, 2, 1), 2, return_indices=True)
    >>> y.item(), places.item()
    (4.0, 1)
    """
    return _max(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(
    input: Array,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """y = the greatest value of each window of (batch, depth, height, width, channels); see `max_pool2d`.

    >>> import numpy as np
    >>> max_pool3d(np.arange(8.0).reshape(1, 2, 2, 2, 1), 2).ravel()
    array([7.])
    """
    return _max(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


# -- the mean, and other norms


def _avg(
    ndim: int,
    input: Array,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Array:
    if divisor_override is None:
        pool = (ops.avg_pool1d, ops.avg_pool2d, ops.avg_pool3d)[ndim - 1]
        return pool(input, kernel_size, stride, padding, ceil_mode, count_include_pad)
    name = f"avg_pool{ndim}d(input, kernel_size)"
    if divisor_override == 0:
        raise ValueError(f"{name}: divisor_override is 0\n  need another number")
    window = _window(name, ndim, kernel_size, stride, padding, 1)
    counts = output_sizes(name, Spec(tuple(input.shape), input.dtype), window, ceil_mode)
    return op.divide(windows_sum(input, counts=counts, window=window), float(divisor_override))


def avg_pool1d(
    input: Array,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Array:
    """y = the mean of each window of (batch, length, channels); see `avg_pool2d`.

    >>> import numpy as np
    >>> avg_pool1d(np.arange(6.0).reshape(1, 6, 1), 2).ravel()
    array([0.5, 2.5, 4.5])
    """
    return _avg(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input: Array,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """y = the mean of each window of (batch, height, width, channels), or its sum over `divisor_override`.

    With `count_include_pad` the zeros of the padding count.  Shapes: as `max_pool2d`.
    Raises: ShapeError, DTypeError.  Derivative: every order.  Kernel: ``pool2d.cu``; with `divisor_override`
    composition.

    >>> import numpy as np
    >>> float(avg_pool2d(np.array([[1.0, 4.0], [3.0, 2.0]]).reshape(1, 2, 2, 1), 2).item())
    2.5
    """
    return _avg(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(
    input: Array,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """y = the mean of each window of (batch, depth, height, width, channels); see `avg_pool2d`.

    >>> import numpy as np
    >>> avg_pool3d(np.arange(8.0).reshape(1, 2, 2, 2, 1), 2).ravel()
    array([3.5])
    """
    return _avg(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def _lp(ndim: int, input: Array, norm_type: float, kernel_size: Size, stride: Size | None, ceil_mode: bool) -> Array:
    name = f"lp_pool{ndim}d"
    if norm_type == 0:
        raise ValueError(f"{name}(norm_type): norm_type is 0\n  need another number")
    if math.isinf(norm_type):
        sign = 1.0 if norm_type > 0 else -1.0
        most = _max(ndim, op.multiply(op.abs(input), sign), kernel_size, stride, 0, 1, ceil_mode, False)
        return op.multiply(most, sign)
    mean = _avg(ndim, op.power(input, float(norm_type)), kernel_size, stride, 0, ceil_mode, True, None)
    total = op.multiply(mean, float(math.prod(sizes_of(name, "kernel_size", kernel_size, ndim))))
    there = op.not_equal(total, 0)  # the root of 0 has no slope
    return op.where(there, op.power(op.where(there, total, 1.0), 1.0 / norm_type), 0.0)


def lp_pool1d(
    input: Array, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
) -> Array:
    """y = (sum of x^p over each window)^(1/p), p = norm_type, of (batch, length, channels); see `lp_pool2d`.

    >>> import numpy as np
    >>> lp_pool1d(np.array([3.0, 4.0, 6.0, 8.0]).reshape(1, 4, 1), 2, 2).ravel()
    array([ 5., 10.])
    """
    return _lp(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    input: Array, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
) -> Array:
    """y = (sum of x^p over each window of (batch, height, width, channels))^(1/p), p = norm_type.

    A sum of 0 gives 0, with the derivative 0; an infinite p gives the greatest |x|.
    Raises: ShapeError; ValueError for p = 0.  Derivative: every order.  Kernel: composition.

    >>> import numpy as np
    >>> lp_pool2d(np.array([[3.0, 4.0]]).reshape(1, 1, 2, 1), 2, (1, 2)).item()
    5.0
    """
    return _lp(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(
    input: Array, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
) -> Array:
    """y = (sum of x^p over each window of volumes)^(1/p), p = norm_type; see `lp_pool2d`.

    >>> import numpy as np
    >>> lp_pool3d(np.ones((1, 2, 2, 1, 1)), 2, (2, 2, 1)).ravel()
    array([2.])
    """
    return _lp(3, input, norm_type, kernel_size, stride, ceil_mode)
