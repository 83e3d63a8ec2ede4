"""Convolutions in one and three dimensions, transposed convolution, adaptive pooling.

Users reach them as `nn.functional`.  Layouts: (batch, *size, channels); weights (*kernel, in / groups, out), of
transposed convolutions (*kernel, out / groups, in): the weight of the convolution whose data gradient they are.
Kernel: those of the convolution and pooling ops; the rest is composed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..core import op
from ..errors import ShapeError, message, operand
from ..ops.conv_transpose import transposed_convolution
from .host import beside
from .window_indices import bin_axes, max_and_index

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "conv1d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
]

Array = Any
Size = int | Sequence[int]


def sizes_of(name: str, argument: str, value: Any, count: int) -> tuple[int, ...]:
    """Return an int, or `count` of them, as `count`."""
    values = tuple(value) if isinstance(value, Sequence) else (value,) * count
    if len(values) != count or not all(isinstance(v, (int, np.integer)) for v in values):
        raise ShapeError(f"{name}: {argument} is {value!r}\n  need an int, or {count} of them")
    return values


def laid_out(error: ShapeError, input: Array, channels: int) -> ShapeError:
    """Return an error that also says so where an input looks as PyTorch lays it out, with the channels second."""
    shape = tuple(input.shape)
    if len(shape) > 2 and shape[1] == channels != shape[-1]:
        return ShapeError(f"{error}\n  or, of PyTorch's (batch, channels, ...): gl.moveaxis(input, 1, -1)")
    return error


def spatial(name: str, input: Array, count: int) -> tuple[int, ...]:
    if len(input.shape) != count + 2:
        lines = [operand("input", input, "batch, ..., channels")]
        raise ShapeError(message(f"{name}(input): input has {len(input.shape)} dimensions", lines, f"need {count + 2}"))
    return tuple(input.shape[1:-1])


# -- convolution


def conv1d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
    *,
    scale: Array | None = None,
    residual: Array | None = None,
    activation: Any = None,
) -> Array:
    """y = activation(scale conv(input, weight) + bias + residual), as `conv2d`.

    Shapes: input (batch, length, in); weight (k, in / groups, out).

    >>> import numpy as np
    >>> conv1d(np.arange(4.0).reshape(1, 4, 1), np.ones((2, 1, 1))).ravel()
    array([1., 3., 5.])
    """
    given: dict[str, Any] = {"scale": scale, "residual": residual, "activation": activation}
    settings: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    try:
        return ops.conv1d(input, weight, bias, **given, **settings)
    except ShapeError as error:
        raise laid_out(error, input, weight.shape[-2] * groups) from None


def conv3d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
    *,
    scale: Array | None = None,
    residual: Array | None = None,
    activation: Any = None,
) -> Array:
    """y = activation(scale conv(input, weight) + bias + residual), as `conv2d`.

    Shapes: input (batch, d, h, w, in); weight (kd, kh, kw, in / groups, out).

    >>> import numpy as np
    >>> conv3d(np.ones((1, 2, 2, 3, 1)), np.ones((2, 2, 2, 1, 1))).ravel()
    array([8., 8.])
    """
    given: dict[str, Any] = {"scale": scale, "residual": residual, "activation": activation}
    settings: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    try:
        return ops.conv3d(input, weight, bias, **given, **settings)
    except ShapeError as error:
        raise laid_out(error, input, weight.shape[-2] * groups) from None


def _transposed(
    ndim: int,
    input: Array,
    weight: Array,
    bias: Array | None,
    stride: Size,
    padding: Size,
    output_padding: Size,
    groups: int,
    dilation: Size,
    activation: Any,
) -> Array:
    name = f"conv_transpose{ndim}d"
    size = spatial(name, input, ndim)
    steps, extra = sizes_of(name, "stride", stride, ndim), sizes_of(name, "output_padding", output_padding, ndim)
    around, spread = sizes_of(name, "padding", padding, ndim), sizes_of(name, "dilation", dilation, ndim)
    if len(weight.shape) != ndim + 2 or weight.shape[-1] != input.shape[-1] or input.shape[-1] % groups:
        lines = [operand("input", input, "batch, ..., in"), operand("weight", weight, "..., out / groups, in")]
        need = f"need weight.shape[-1] == input.shape[-1], a multiple of groups ({groups})"
        error = ShapeError(message(f"{name}(input, weight): the channels do not fit", lines, need))
        raise laid_out(error, input, weight.shape[-1])
    if any(e >= s or e < 0 for e, s in zip(extra, steps, strict=True)):
        raise ShapeError(f"{name}: output_padding is {extra}, stride {steps}\n  need 0 <= output_padding < stride")
    kernel = tuple(weight.shape[:-2])
    out = tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, s, p, d, k, e in zip(size, steps, around, spread, kernel, extra, strict=True)
    )
    if min(out) < 1:
        raise ShapeError(f"{name}: the result would have the size {out}\n  need a smaller padding")
    window = {"stride": steps, "padding": tuple((p, p) for p in around), "dilation": spread, "groups": groups}
    return transposed_convolution(input, weight, bias, size=out, activation=activation, **window)


def conv_transpose1d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
    *,
    activation: Any = None,
) -> Array:
    """y = activation(the data gradient of `conv1d` with this weight, at input, + bias): as `conv_transpose2d`.

    >>> import numpy as np
    >>> conv_transpose1d(np.array([[[1.0], [2.0]]]), np.ones((2, 1, 1)), stride=2).ravel()
    array([1., 1., 2., 2.])
    """
    return _transposed(1, input, weight, bias, stride, padding, output_padding, groups, dilation, activation)


def conv_transpose2d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
    *,
    activation: Any = None,
) -> Array:
    """y = activation(the data gradient of `conv2d` with this weight, at input, + bias): each value spreads a window.

    `activation` is one of PyTorch's lower-case names at its defaults, or a callable, which is applied but not fused.

    Shapes: input (batch, h, w, in); weight (kh, kw, out / groups, in); bias (out,); result (batch, h', w',
    out), h' = (h - 1) stride - 2 padding + dilation (kh - 1) + output_padding + 1.
    Raises: ShapeError, DTypeError.  Derivative: every order.  Kernel: ``conv_sm90.cu``, ``conv_mma.cu``, ``conv2d.cu``,
    ``depthwise.cu``: bias and activation in the same launch; a stride has one for each class of places it keeps apart.

    >>> import numpy as np
    >>> conv_transpose2d(np.ones((1, 2, 2, 1)), np.ones((2, 2, 1, 1)))[0, :, :, 0]
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    return _transposed(2, input, weight, bias, stride, padding, output_padding, groups, dilation, activation)


def conv_transpose3d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
    *,
    activation: Any = None,
) -> Array:
    """y = activation(the data gradient of `conv3d` with this weight, at input, + bias): as `conv_transpose2d`.

    >>> import numpy as np
    >>> conv_transpose3d(np.ones((1, 1, 1, 2, 1)), np.ones((1, 1, 2, 1, 1))).ravel()
    array([1., 2., 1.])
    """
    return _transposed(3, input, weight, bias, stride, padding, output_padding, groups, dilation, activation)


# -- linear maps along one axis


def along(x: Array, matrix: Any, axis: int) -> Array:
    """Return the product of a matrix (out, in) with axis `axis` of x."""
    weights = op.cast(beside(matrix.T, x), dtype=x.dtype)
    return op.moveaxis(op.matmul(op.moveaxis(x, axis, -1), weights), -1, axis)


def _bins(size: int, count: int) -> list[tuple[int, int]]:
    """Return `count` ranges that cover `size` places as evenly as they can."""
    return [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


# -- adaptive pooling


def _targets(name: str, input: Array, output_size: Any, ndim: int) -> list[tuple[int, int, int]]:
    size = spatial(name, input, ndim)
    wanted = (output_size,) * ndim if output_size is None or isinstance(output_size, int) else tuple(output_size)
    if len(wanted) != ndim or any(w is not None and w < 1 for w in wanted):
        raise ShapeError(
            f"{name}: output_size is {output_size!r}\n  need {ndim} sizes of at least 1, or None for the input's"
        )
    return [(axis, n, n if w is None else w) for axis, (n, w) in enumerate(zip(size, wanted, strict=True), start=1)]


def adaptive_avg(ndim: int, input: Array, output_size: Any) -> Array:
    for axis, size, count in _targets(f"adaptive_avg_pool{ndim}d", input, output_size, ndim):
        if count == 1:
            input = op.mean(input, axis=axis, keepdims=True)
        elif count != size:
            matrix = np.zeros((count, size))
            for row, (start, end) in zip(matrix, _bins(size, count), strict=True):
                row[start:end] = 1.0 / (end - start)
            input = along(input, matrix, axis)
    return input


def _adaptive_max(ndim: int, input: Array, output_size: Any, return_indices: bool) -> Any:
    targets = _targets(f"adaptive_max_pool{ndim}d", input, output_size, ndim)
    if return_indices:
        return max_and_index(input, bin_axes([_bins(size, count) for _, size, count in targets]))
    for axis, size, count in targets:
        if count != size:
            before = (slice(None),) * axis
            parts = [op.max(input[(*before, slice(a, b))], axis=axis, keepdims=True) for a, b in _bins(size, count)]
            input = op.concat(parts, axis=axis)
    return input


def adaptive_avg_pool1d(input: Array, output_size: Size) -> Array:
    """y = the means of `output_size` windows that cover the length evenly; see `adaptive_avg_pool2d`.

    >>> import numpy as np
    >>> adaptive_avg_pool1d(np.arange(5.0).reshape(1, 5, 1), 2).ravel()
    array([1., 3.])
    """
    return adaptive_avg(1, input, output_size)


def adaptive_avg_pool2d(input: Array, output_size: Any) -> Array:
    """y[i, j] = the mean of rows floor(i h / h') to ceil((i + 1) h / h') and columns likewise.

    Shapes: input (batch, h, w, channels); result (batch, h', w', channels), (h', w') = output_size (None keeps
    a size).  Raises: ShapeError.

    >>> import numpy as np
    >>> adaptive_avg_pool2d(np.arange(3.0).reshape(1, 3, 1, 1), (2, 1)).ravel()
    array([0.5, 1.5])
    """
    return adaptive_avg(2, input, output_size)


def adaptive_avg_pool3d(input: Array, output_size: Any) -> Array:
    """y = the means of windows that cover the volume evenly; see `adaptive_avg_pool2d`.

    >>> import numpy as np
    >>> adaptive_avg_pool3d(np.arange(8.0).reshape(1, 2, 2, 2, 1), 1).ravel()
    array([3.5])
    """
    return adaptive_avg(3, input, output_size)


def adaptive_max_pool1d(input: Array, output_size: Size, return_indices: bool = False) -> Any:
    """y = the maxima of `output_size` windows that cover the length evenly; see `adaptive_avg_pool2d`.

    >>> import numpy as np
    >>> adaptive_max_pool1d(np.arange(5.0).reshape(1, 5, 1), 2).ravel()
    array([2., 4.])
    """
    return _adaptive_max(1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Array, output_size: Any, return_indices: bool = False) -> Any:
    """y = the maxima of windows that cover the image evenly; see `adaptive_avg_pool2d`.

    With `return_indices` (y, places): row * width + column of each maximum.

    >>> import numpy as np
    >>> adaptive_max_pool2d(np.arange(3.0).reshape(1, 3, 1, 1), (2, 1)).ravel()
    array([1., 2.])
    """
    return _adaptive_max(2, input, output_size, return_indices)


def adaptive_max_pool3d(input: Array, output_size: Any, return_indices: bool = False) -> Any:
    """y = the maxima of windows that cover the volume evenly; see `adaptive_avg_pool2d`.

    >>> import numpy as np
    >>> adaptive_max_pool3d(np.arange(8.0).reshape(1, 2, 2, 2, 1), 1).ravel()
    array([7.])
    """
    return _adaptive_max(3, input, output_size, return_indices)
