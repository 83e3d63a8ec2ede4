"""Padding, resizing and pixel shuffling of (batch, *size, channels); users reach them as `nn.functional`.

Compositions of ops, differentiable to every order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import op
from ..errors import ShapeError, message, operand
from .functional_spatial import adaptive_avg, along, sizes_of, spatial
from .host import beside

__all__ = ["interpolate", "pad", "pixel_shuffle", "pixel_unshuffle"]

Array = Any


# -- padding


def pad(input: Array, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Array:
    """y = the input with more places on both sides of its spatial axes, from the last one on.

    `pad` is (left, right), (left, right, top, bottom), ... as in PyTorch, whose last axis is the width; here
    that is the last but one.  `mode`: "constant" (`value`, by default 0), "reflect" (without the edge), "replicate"
    (the edge), "circular".  Negative numbers cut ("constant" only).

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
        return op.pad(input, tuple(widths), 0.0 if value is None else value)
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
        input = op.take(input, beside(places, input), axis=axis)
    return input


# -- resizing


def _cubic(x: Any, a: float = -0.75) -> Any:
    """Return Keys's kernel, 0 from |x| = 2 on.  Source: Keys, 1981, equation 15."""
    x = np.abs(x)
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


def _triangle(x: Any) -> Any:
    return np.maximum(1 - np.abs(x), 0.0)


def _keys(x: Any) -> Any:
    return _cubic(x, -0.5)


def _lanczos(x: Any) -> Any:
    """Return sinc(x) sinc(x / 3) at |x| < 3.  Source: Duchon, 1979."""
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


_SMOOTH = {"bilinear": (_triangle, 1.0), "bicubic": (_keys, 2.0), "lanczos": (_lanczos, 3.0)}  # and how far they reach


def _smooth_matrix(size: int, count: int, scale: float, mode: str, corners: bool) -> Any:
    """Return the matrix (count, size) that interpolates where the filter is as wide as a step in the result."""
    function, reach = _SMOOTH[mode]
    if corners:
        scale = (size - 1) / (count - 1) if count > 1 else 0.0
    wide = max(scale, 1.0)
    matrix = np.zeros((count, size))
    for row, centre in zip(matrix, (np.arange(count) + 0.5) * scale, strict=True):
        first = max(int(centre - reach * wide + 0.5), 0)
        last = min(int(centre + reach * wide + 0.5), size)
        weights = function((np.arange(first, last) - centre + 0.5) / wide)
        row[first:last] = weights / weights.sum()
    return matrix


def interpolate(
    input: Array,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Array:
    """y = the input at another size, given or as a multiple of its own.

    `mode`: "nearest" (floor of i in / out), "nearest-exact", "linear", "bilinear", "trilinear" (by the number of
    spatial axes), "bicubic", "area" (adaptive average pooling).  With `align_corners` the centres of the
    corner elements coincide, otherwise the corners.  `recompute_scale_factor` takes the factor from the whole sizes.
    `antialias` (images only: "bilinear", "bicubic", "lanczos") widens the filter where the result is smaller.

    Shapes: input (batch, *size, channels).  Raises: ShapeError, ValueError.

    >>> import numpy as np
    >>> interpolate(np.array([[[0.0], [1.0]]]), scale_factor=2, mode="linear").ravel()
    array([0.  , 0.25, 0.75, 1.  ])
    """
    ndim = len(input.shape) - 2
    linear = {1: "linear", 2: "bilinear", 3: "trilinear"}
    if antialias and (ndim != 2 or mode not in _SMOOTH):
        raise ValueError(f"interpolate(antialias): mode is {mode!r}\n  need 2 spatial axes and one of {[*_SMOOTH]}")
    known = ("nearest", "nearest-exact", "area", linear.get(ndim), "bicubic" if ndim == 2 else None)
    if mode not in known and not antialias:
        raise ValueError(
            f"interpolate(mode): {mode!r} is none for {ndim} spatial axes\n"
            f"  need one of {', '.join(repr(kind) for kind in known if kind)}"
        )
    if (size is None) == (scale_factor is None):
        raise ValueError(f"interpolate(size, scale_factor): they are {size!r} and {scale_factor!r}\n  need one of them")
    now = tuple(input.shape[1:-1])
    scales: list[float | None]
    if size is not None:
        wanted, scales = sizes_of("interpolate", "size", size, ndim), [None] * ndim
    else:
        factors = [scale_factor] * ndim if isinstance(scale_factor, (int, float)) else list(scale_factor)
        wanted, scales = tuple(math.floor(n * f) for n, f in zip(now, factors, strict=True)), factors
        if recompute_scale_factor:
            scales = [None] * ndim
    if mode == "area":
        return adaptive_avg(ndim, input, wanted)
    for axis, (n, out, factor) in enumerate(zip(now, wanted, scales, strict=True), start=1):
        scale = n / out if factor is None else 1.0 / factor
        if mode.startswith("nearest"):
            shift = 0.5 if mode == "nearest-exact" else 0.0
            places = np.floor((np.arange(out) + shift) * scale).astype(np.int64).clip(0, n - 1)
            input = op.take(input, beside(places, input), axis=axis)
        else:
            matrix = (_smooth_matrix if antialias else _resize_matrix)(n, out, scale, mode, bool(align_corners))
            input = along(input, matrix, axis)
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
    h, w = spatial("pixel_shuffle", input, 2)
    batch, channels = input.shape[0], input.shape[-1]
    if r < 1 or channels % (r * r):
        lines = [operand("input", input, "batch, height, width, channels")]
        what = f"pixel_shuffle(input, {r}): {channels} channels are not a multiple of {r * r}"
        raise ShapeError(message(what, lines, "need channels a multiple of upscale_factor^2, upscale_factor >= 1"))
    apart = op.reshape(input, shape=(batch, h, w, channels // (r * r), r, r))
    return op.reshape(op.permute_dims(apart, (0, 1, 4, 2, 5, 3)), shape=(batch, h * r, w * r, channels // (r * r)))


def pixel_unshuffle(input: Array, downscale_factor: int) -> Array:
    """y = the inverse of `pixel_shuffle`: (batch, h r, w r, c) to (batch, h, w, c r^2).

    >>> import numpy as np
    >>> pixel_unshuffle(np.arange(4.0).reshape(1, 2, 2, 1), 2).ravel()
    array([0., 1., 2., 3.])
    """
    r = downscale_factor
    h, w = spatial("pixel_unshuffle", input, 2)
    batch, channels = input.shape[0], input.shape[-1]
    if r < 1 or h % r or w % r:
        lines = [operand("input", input, "batch, height, width, channels")]
        what = f"pixel_unshuffle(input, {r}): {h} by {w} places are not multiples of {r}"
        raise ShapeError(message(what, lines, "need sizes that are multiples of downscale_factor, itself 1 or more"))
    apart = op.reshape(input, shape=(batch, h // r, r, w // r, r, channels))
    return op.reshape(op.permute_dims(apart, (0, 1, 3, 5, 2, 4)), shape=(batch, h // r, w // r, channels * r * r))
