"""Convolutions and pooling in one and three dimensions, transposed convolution, padding, resizing.

Users reach them as `nn.functional`.  Layouts: (batch, *size, channels); weights (*kernel, in / groups, out), of
transposed convolutions (*kernel, out / groups, in): the weight of the convolution whose data gradient they are.
Kernel: those of the convolution and pooling ops; the rest is composed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import backend as backends
from .. import ops
from ..core import Tensor, op
from ..errors import ShapeError, message, operand
from ..ops import avg_pool1d, avg_pool3d, max_pool1d, max_pool3d
from ..ops.conv_triad import data_gradient

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "avg_pool1d",
    "avg_pool3d",
    "conv1d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "interpolate",
    "max_pool1d",
    "max_pool3d",
    "pad",
    "pixel_shuffle",
    "pixel_unshuffle",
]

Array = Any
Size = int | Sequence[int]


def sizes_of(name: str, argument: str, value: Any, count: int) -> tuple[int, ...]:
    """Return an int, or `count` of them, as `count`."""
    values = (value,) * count if isinstance(value, int) else tuple(value)
    if len(values) != count or not all(isinstance(v, int) for v in values):
        raise ShapeError(f"{name}: {argument} is {value!r}\n  need an int, or {count} of them")
    return values


def _spatial(name: str, input: Array, count: int) -> tuple[int, ...]:
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
) -> Array:
    """y = conv(input, weight) + bias of sequences (batch, length, in), weight (k, in / groups, out); see `conv2d`."""
    return ops.conv1d(input, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups)


def conv3d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Array:
    """y = conv(input, weight) + bias of volumes (batch, d, h, w, in), weight (kd, kh, kw, in / groups, out)."""
    return ops.conv3d(input, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups)


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
) -> Array:
    name = f"conv_transpose{ndim}d"
    size = _spatial(name, input, ndim)
    steps, extra = sizes_of(name, "stride", stride, ndim), sizes_of(name, "output_padding", output_padding, ndim)
    around, spread = sizes_of(name, "padding", padding, ndim), sizes_of(name, "dilation", dilation, ndim)
    if len(weight.shape) != ndim + 2 or weight.shape[-1] != input.shape[-1] or input.shape[-1] % groups:
        lines = [operand("input", input, "batch, ..., in"), operand("weight", weight, "..., out / groups, in")]
        need = f"need weight.shape[-1] == input.shape[-1], a multiple of groups ({groups})"
        raise ShapeError(message(f"{name}(input, weight): the channels do not fit", lines, need))
    if any(e >= s or e < 0 for e, s in zip(extra, steps, strict=True)):
        raise ShapeError(f"{name}: output_padding is {extra}, stride {steps}\n  need 0 <= output_padding < stride")
    kernel = tuple(weight.shape[:-2])
    out = tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, s, p, d, k, e in zip(size, steps, around, spread, kernel, extra, strict=True)
    )
    if min(out) < 1:
        raise ShapeError(f"{name}: the result would have the size {out}\n  need a smaller padding")
    y = data_gradient(
        input, weight, size=out, stride=steps, padding=tuple((p, p) for p in around), dilation=spread, groups=groups
    )
    return y if bias is None else op.add(y, bias)


def conv_transpose1d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Array:
    """y = the data gradient of `conv1d` with this weight, at input, + bias; see `conv_transpose2d`."""
    return _transposed(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Array:
    """y = the data gradient of `conv2d` with this weight, at input, + bias: each input value spreads a window.

    Shapes: input (batch, h, w, in); weight (kh, kw, out / groups, in); bias (out,); result (batch, h', w',
    out), h' = (h - 1) stride - 2 padding + dilation (kh - 1) + output_padding + 1.
    Raises: ShapeError.  Derivative: every order, by the convolution's triad.  Kernel: ``conv2d.cu``.

    >>> import numpy as np
    >>> conv_transpose2d(np.ones((1, 2, 2, 1)), np.ones((2, 2, 1, 1)))[0, :, :, 0]
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    return _transposed(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Array:
    """y = the data gradient of `conv3d` with this weight, at input, + bias; see `conv_transpose2d`."""
    return _transposed(3, input, weight, bias, stride, padding, output_padding, groups, dilation)


# -- linear maps along one axis


def _beside(values: Any, like: Array) -> Array:
    plain = like.data if isinstance(like, Tensor) else like
    return backends.backend_of(plain).asarray(values)


def _along(x: Array, matrix: Any, axis: int) -> Array:
    """Return the product of a matrix (out, in) with axis `axis` of x."""
    weights = op.cast(_beside(np.ascontiguousarray(matrix.T), x), dtype=x.dtype)
    return op.moveaxis(op.matmul(op.moveaxis(x, axis, -1), weights), -1, axis)


def _bins(size: int, count: int) -> list[tuple[int, int]]:
    """Return `count` ranges that cover `size` places as evenly as they can."""
    return [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


# -- adaptive pooling


def _targets(name: str, input: Array, output_size: Any, ndim: int) -> list[tuple[int, int, int]]:
    size = _spatial(name, input, ndim)
    wanted = (output_size,) * ndim if output_size is None or isinstance(output_size, int) else tuple(output_size)
    if len(wanted) != ndim or any(w is not None and w < 1 for w in wanted):
        raise ShapeError(
            f"{name}: output_size is {output_size!r}\n  need {ndim} sizes of at least 1, or None for the input's"
        )
    return [(axis, n, n if w is None else w) for axis, (n, w) in enumerate(zip(size, wanted, strict=True), start=1)]


def _adaptive_avg(ndim: int, input: Array, output_size: Any) -> Array:
    for axis, size, count in _targets(f"adaptive_avg_pool{ndim}d", input, output_size, ndim):
        if count == 1:
            input = op.mean(input, axis=axis, keepdims=True)
        elif count != size:
            matrix = np.zeros((count, size))
            for row, (start, end) in zip(matrix, _bins(size, count), strict=True):
                row[start:end] = 1.0 / (end - start)
            input = _along(input, matrix, axis)
    return input


def _adaptive_max(ndim: int, input: Array, output_size: Any) -> Array:
    for axis, size, count in _targets(f"adaptive_max_pool{ndim}d", input, output_size, ndim):
        if count != size:
            before = (slice(None),) * axis
            parts = [op.max(input[(*before, slice(a, b))], axis=axis, keepdims=True) for a, b in _bins(size, count)]
            input = op.concat(parts, axis=axis)
    return input


def adaptive_avg_pool1d(input: Array, output_size: Size) -> Array:
    """y = the means of `output_size` windows that cover the length evenly; see `adaptive_avg_pool2d`."""
    return _adaptive_avg(1, input, output_size)


def adaptive_avg_pool2d(input: Array, output_size: Any) -> Array:
    """y[i, j] = the mean of rows floor(i h / h') to ceil((i + 1) h / h') and columns likewise.

    Shapes: input (batch, h, w, channels); result (batch, h', w', channels), (h', w') = output_size (None keeps
    a size).  Raises: ShapeError.

    >>> import numpy as np
    >>> adaptive_avg_pool2d(np.arange(3.0).reshape(1, 3, 1, 1), (2, 1)).ravel()
    array([0.5, 1.5])
    """
    return _adaptive_avg(2, input, output_size)


def adaptive_avg_pool3d(input: Array, output_size: Any) -> Array:
    """y = the means of windows that cover the volume evenly; see `adaptive_avg_pool2d`."""
    return _adaptive_avg(3, input, output_size)


def adaptive_max_pool1d(input: Array, output_size: Size) -> Array:
    """y = the maxima of `output_size` windows that cover the length evenly; see `adaptive_avg_pool2d`."""
    return _adaptive_max(1, input, output_size)


def adaptive_max_pool2d(input: Array, output_size: Any) -> Array:
    """y = the maxima of windows that cover the image evenly; see `adaptive_avg_pool2d`."""
    return _adaptive_max(2, input, output_size)


def adaptive_max_pool3d(input: Array, output_size: Any) -> Array:
    """y = the maxima of windows that cover the volume evenly; see `adaptive_avg_pool2d`."""
    return _adaptive_max(3, input, output_size)


# -- padding


def pad(input: Array, pad: Sequence[int], mode: str = "constant", value: float = 0.0) -> Array:
    """y = the input with more places on both sides of its spatial axes, from the last one on.

    `pad` is (left, right), (left, right, top, bottom), ... as in PyTorch, whose last axis is the width; here
    that is the last but one.  `mode`: "constant" (`value`), "reflect" (without the edge), "replicate" (the
    edge), "circular".  Negative numbers cut ("constant" only).

    Shapes: input (batch, *size, channels).  Raises: ShapeError.

    >>> import numpy as np
    >>> pad(np.arange(3.0).reshape(1, 3, 1), (2, 1), mode="reflect").ravel()
    array([2., 1., 0., 1., 2., 1.])
    """
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad) - 1, 2)]
    ndim = len(input.shape)
    if len(pad) % 2 or not 0 < len(pairs) <= ndim - 2:
        raise ShapeError(message(f"pad(input, pad={tuple(pad)}): need a pair for each spatial axis, at most",
                                 [operand("input", input, "batch, ..., channels")]))  # fmt: skip
    if mode == "constant":
        cut = [slice(None)] * ndim
        widths = [(0, 0)] * ndim
        for k, (before, after) in enumerate(pairs):
            axis = ndim - 2 - k
            cut[axis] = slice(max(-before, 0), input.shape[axis] - max(-after, 0))
            widths[axis] = (max(before, 0), max(after, 0))
        if any(n < 0 for pair in pairs for n in pair):
            input = input[tuple(cut)]
        return op.pad(input, tuple(widths), value)
    for k, (before, after) in enumerate(pairs):
        axis = ndim - 2 - k
        size = input.shape[axis]
        limit = {"reflect": size - 1, "replicate": math.inf, "circular": size}.get(mode)
        if limit is None:
            raise ValueError(f"pad(mode): {mode!r} is unknown\n  need 'constant', 'reflect', 'replicate' or 'circular'")
        if min(before, after) < 0 or max(before, after) > limit:
            raise ShapeError(f"pad(input, {tuple(pad)}, {mode!r}): axis {axis} has {size} places\n  need 0 to {limit}")
        places = np.arange(-before, size + after)
        if mode == "replicate":
            places = places.clip(0, size - 1)
        elif mode == "circular":
            places %= size
        else:
            places = size - 1 - np.abs(size - 1 - np.abs(places))
        input = op.take(input, _beside(places, input), axis=axis)
    return input


# -- resizing


def _cubic(x: Any) -> Any:
    """Return Keys's kernel with a = -0.75 at |x| < 2.  Source: Keys, 1981, equation 15."""
    a, x = -0.75, np.abs(x)
    inner = (a + 2) * x**3 - (a + 3) * x**2 + 1
    return np.where(x <= 1, inner, np.where(x < 2, a * (x**3 - 5 * x**2 + 8 * x - 4), 0.0))


def _resize_matrix(size: int, count: int, scale: float, mode: str, corners: bool) -> Any:
    """Return the matrix (count, size) that interpolates; `scale` is how far a step in the result goes in the input."""
    i = np.arange(count)
    if corners:
        at = i * ((size - 1) / (count - 1) if count > 1 else 0.0)
    else:
        at = (i + 0.5) * scale - 0.5
    taps = (-1, 0, 1, 2) if mode == "bicubic" else (0, 1)
    if mode != "bicubic":
        at = np.maximum(at, 0.0)
    first = np.floor(at).astype(int)
    matrix = np.zeros((count, size))
    for tap in taps:
        weight = _cubic(at - first - tap) if mode == "bicubic" else np.maximum(1 - np.abs(at - first - tap), 0.0)
        np.add.at(matrix, (i, (first + tap).clip(0, size - 1)), weight)
    return matrix


def interpolate(
    input: Array,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Array:
    """y = the input at another size, given or as a multiple of its own.

    `mode`: "nearest" (floor of i in / out), "nearest-exact", "linear", "bilinear", "trilinear" (by the number of
    spatial axes), "bicubic", "area" (adaptive average pooling).  With `align_corners` the centres of the
    corner elements coincide, otherwise the corners.

    Shapes: input (batch, *size, channels).  Raises: ShapeError, ValueError.

    >>> import numpy as np
    >>> interpolate(np.array([[[0.0], [1.0]]]), scale_factor=2, mode="linear").ravel()
    array([0.  , 0.25, 0.75, 1.  ])
    """
    ndim = len(input.shape) - 2
    linear = {1: "linear", 2: "bilinear", 3: "trilinear"}
    if mode not in ("nearest", "nearest-exact", "area", linear.get(ndim), "bicubic" if ndim == 2 else None):
        raise ValueError(f"interpolate(mode): {mode!r} is none for {ndim} spatial axes")
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate(size, scale_factor): need one of them")
    now = tuple(input.shape[1:-1])
    scales: list[float | None]
    if size is not None:
        wanted, scales = sizes_of("interpolate", "size", size, ndim), [None] * ndim
    else:
        factors = [scale_factor] * ndim if isinstance(scale_factor, (int, float)) else list(scale_factor)
        wanted, scales = tuple(math.floor(n * f) for n, f in zip(now, factors, strict=True)), factors
    if mode == "area":
        return _adaptive_avg(ndim, input, wanted)
    for axis, (n, out, factor) in enumerate(zip(now, wanted, scales, strict=True), start=1):
        scale = n / out if factor is None else 1.0 / factor
        if mode.startswith("nearest"):
            shift = 0.5 if mode == "nearest-exact" else 0.0
            places = np.floor((np.arange(out) + shift) * scale).astype(np.int64).clip(0, n - 1)
            input = op.take(input, _beside(places, input), axis=axis)
        else:
            input = _along(input, _resize_matrix(n, out, scale, mode, bool(align_corners)), axis)
    return input


def pixel_shuffle(input: Array, upscale_factor: int) -> Array:
    """y = an image r times as high and wide, r = upscale_factor, its places taken from r^2 channels each.

    Shapes: input (batch, h, w, c r^2), the channels ordered (c, r, r) as in PyTorch; result (batch, h r, w r, c).
    Raises: ShapeError.  Source: Shi et al., CVPR 2016, equation 4.

    >>> import numpy as np
    >>> pixel_shuffle(np.arange(4.0).reshape(1, 1, 1, 4), 2)[0, :, :, 0]
    array([[0., 1.],
           [2., 3.]])
    """
    r = upscale_factor
    h, w = _spatial("pixel_shuffle", input, 2)
    batch, channels = input.shape[0], input.shape[-1]
    if r < 1 or channels % (r * r):
        raise ShapeError(message(f"pixel_shuffle(input, {r}): the channels do not divide", [operand("input", input)]))
    apart = op.reshape(input, shape=(batch, h, w, channels // (r * r), r, r))
    return op.reshape(op.permute_dims(apart, (0, 1, 4, 2, 5, 3)), shape=(batch, h * r, w * r, channels // (r * r)))


def pixel_unshuffle(input: Array, downscale_factor: int) -> Array:
    """y = the inverse of `pixel_shuffle`: (batch, h r, w r, c) to (batch, h, w, c r^2).

    >>> import numpy as np
    >>> pixel_unshuffle(np.arange(4.0).reshape(1, 2, 2, 1), 2).ravel()
    array([0., 1., 2., 3.])
    """
    r = downscale_factor
    h, w = _spatial("pixel_unshuffle", input, 2)
    batch, channels = input.shape[0], input.shape[-1]
    if r < 1 or h % r or w % r:
        raise ShapeError(message(f"pixel_unshuffle(input, {r}): the size does not divide", [operand("input", input)]))
    apart = op.reshape(input, shape=(batch, h // r, r, w // r, r, channels))
    return op.reshape(op.permute_dims(apart, (0, 1, 3, 5, 2, 4)), shape=(batch, h // r, w // r, channels * r * r))
