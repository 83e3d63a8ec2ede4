"""Convolution and its two gradients on NumPy and CuPy arrays, for any number of spatial dimensions and any groups.

Patches are gathered block by block into a matrix that stays in the cache (im2col), and multiplied.  Measured against
shifted products on slices of the image, which win only by accumulating inside BLAS, and NumPy's product cannot.

Arrays: x (batch, *size, channels), w (*kernel, channels / groups, features), y and g (batch, *out, features).
`padding` is a (before, after) pair per axis, negative to crop.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["data_gradient", "forward", "out_sizes", "weight_gradient"]

Array = Any
Ints = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]

_BLOCK = 1 << 22  # bytes of patches at a time: what a few cores keep in their caches


def out_sizes(size: Ints, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> Ints:
    """Return how many places the kernel has along each axis."""
    return tuple(
        (n + before + after - d * (k - 1) - 1) // s + 1
        for n, k, s, (before, after), d in zip(size, kernel, stride, padding, dilation, strict=True)
    )


def forward(xp: Any, x: Array, w: Array, stride: Ints, padding: Pairs, dilation: Ints, groups: int) -> Array:
    """y[b, o, k] = sum over taps t and channels c of x[b, o * stride - before + t * dilation, c] w[t, c, k]."""
    kernel, features = w.shape[:-2], w.shape[-1]
    out = out_sizes(x.shape[1:-1], kernel, stride, padding, dilation)
    if 0 in (x.size, features):
        return xp.zeros((x.shape[0], *out, features), x.dtype)
    if _pointwise(kernel, stride, padding, groups):
        return xp.matmul(x.reshape(-1, x.shape[-1]), w.reshape(w.shape[-2:])).reshape(*x.shape[:-1], features)
    x = _padded(xp, x, padding)
    if _depthwise(w, groups):
        y = xp.zeros((x.shape[0], *out, features), x.dtype)
        for rows, at, tap in _shifts(x.shape[0], kernel, out, stride, dilation, features):
            y[rows] += x[(rows, *at)] * w[tap][0]
        return y
    y = xp.empty((x.shape[0], *out, features), x.dtype)
    matrices = _filters(w, groups)
    for rows, columns in _columns(xp, x, kernel, out, stride, dilation, groups):
        if groups == 1:
            xp.matmul(columns, matrices, out=y[rows].reshape(-1, features))
        else:
            product = xp.matmul(columns, matrices)
            y[rows] = product.transpose(1, 0, 2).reshape(-1, *out, features)
    return y


def data_gradient(
    xp: Any, g: Array, w: Array, size: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> Array:
    """dx: the adjoint of `forward` in x, for x of this spatial size."""
    kernel, out, per_group = w.shape[:-2], g.shape[1:-1], w.shape[-2]
    channels = per_group * groups
    if 0 in (g.size, w.size):
        return xp.zeros((g.shape[0], *size, channels), g.dtype)
    if _pointwise(kernel, stride, padding, groups):
        return xp.matmul(g.reshape(-1, g.shape[-1]), w.reshape(w.shape[-2:]).T).reshape(*g.shape[:-1], channels)
    if set(stride) <= {1}:  # a convolution of g with the filters turned around
        flipped = w[tuple([slice(None, None, -1)] * len(kernel))].reshape(*kernel, per_group, groups, -1)
        flipped = xp.ascontiguousarray(xp.swapaxes(flipped, -1, -3)).reshape(*kernel, -1, channels)
        reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        margins = tuple(
            (r - before, n - o + before) for r, n, o, (before, _) in zip(reach, size, out, padding, strict=True)
        )
        return forward(xp, g, flipped, stride, margins, dilation, groups)
    padded = [n + before + after for n, (before, after) in zip(size, padding, strict=True)]
    dx = xp.zeros((g.shape[0], *padded, channels), g.dtype)
    if _depthwise(w, groups):
        for rows, at, tap in _shifts(g.shape[0], kernel, out, stride, dilation, channels):
            dx[(rows, *at)] += g[rows] * w[tap][0]
    else:
        _scatter(xp, dx, g, w, stride, dilation, groups)
    inside = tuple(slice(before, before + n) for n, (before, _) in zip(size, padding, strict=True))
    return xp.ascontiguousarray(dx[(slice(None), *inside)])


def weight_gradient(
    xp: Any, x: Array, g: Array, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> Array:
    """dw: the adjoint of `forward` in w, for w with this kernel size.  Sums of blocks, so float32 loses few digits."""
    out, features, per_group = g.shape[1:-1], g.shape[-1], x.shape[-1] // groups
    if 0 in (x.size, g.size):
        return xp.zeros((*kernel, per_group, features), x.dtype)
    if _pointwise(kernel, stride, padding, groups):
        dw = xp.matmul(x.reshape(-1, x.shape[-1]).T, g.reshape(-1, features))
        return dw.reshape(*kernel, per_group, features)
    x = _padded(xp, x, padding)
    if per_group == 1 and features == groups:
        dw = xp.zeros((*kernel, 1, features), x.dtype)
        for rows, at, tap in _shifts(x.shape[0], kernel, out, stride, dilation, features):
            dw[tap][0] += (x[(rows, *at)] * g[rows]).reshape(-1, *out[-1:], features).sum(1).sum(0)
        return dw
    taps = math.prod(kernel) * per_group
    if groups == 1:
        dw = xp.zeros((taps, features), x.dtype)
        for rows, columns in _columns(xp, x, kernel, out, stride, dilation, groups):
            dw += xp.matmul(columns.T, g[rows].reshape(-1, features))
        return dw.reshape(*kernel, per_group, features)
    dw = xp.zeros((groups, taps, features // groups), x.dtype)
    for rows, columns in _columns(xp, x, kernel, out, stride, dilation, groups):
        grouped = g[rows].reshape(-1, groups, features // groups).transpose(1, 0, 2)
        dw += xp.matmul(columns.transpose(0, 2, 1), grouped)
    return xp.ascontiguousarray(dw.transpose(1, 0, 2)).reshape(*kernel, per_group, features)


def _pointwise(kernel: Ints, stride: Ints, padding: Pairs, groups: int) -> bool:
    """Whether the convolution is one product of matrices as they lie."""
    return groups == 1 and set(kernel) <= {1} and set(stride) <= {1} and not any(a or b for a, b in padding)


def _depthwise(w: Array, groups: int) -> bool:
    return bool(w.shape[-2] == 1 and w.shape[-1] == groups)


def _padded(xp: Any, x: Array, padding: Pairs) -> Array:
    """Return x with zeros around it, or cropped where the padding is negative."""
    if not any(a or b for a, b in padding):
        return x
    cut = [slice(max(0, -a), n - max(0, -b)) for n, (a, b) in zip(x.shape[1:-1], padding, strict=True)]
    x = x[(slice(None), *cut)]
    room = [(max(0, a), max(0, b)) for a, b in padding]
    if not any(a or b for a, b in room):
        return x
    size = [n + a + b for n, (a, b) in zip(x.shape[1:-1], room, strict=True)]
    full = xp.zeros((x.shape[0], *size, x.shape[-1]), x.dtype)
    full[(slice(None), *[slice(a, a + n) for n, (a, _) in zip(x.shape[1:-1], room, strict=True)])] = x
    return full


def _batches(xp: Any, images: int, bytes_each: int) -> Iterator[slice]:
    """Cut the batch so that a block of work stays in the cache; a GPU takes it whole."""
    step = max(1, min(images, _BLOCK // max(bytes_each, 1))) if xp is np else max(images, 1)
    for start in range(0, images, step):
        yield slice(start, min(start + step, images))


def _columns(
    xp: Any, x: Array, kernel: Ints, out: Ints, stride: Ints, dilation: Ints, groups: int
) -> Iterator[tuple[slice, Array]]:
    """Yield a slice of the batch and its patches: (places, taps * channels), or one such matrix for each group."""
    channels, ndim = x.shape[-1], len(kernel)
    strides = x.strides[1:-1]
    steps = [a * b for a, b in zip((*strides, *strides), (*stride, *dilation), strict=True)]
    lead, tail = x.strides[0], x.strides[-1]
    buffer = None
    each = math.prod(out) * math.prod(kernel) * channels * x.dtype.itemsize
    for rows in _batches(xp, x.shape[0], each):
        images = rows.stop - rows.start
        if groups == 1:
            shape, order = (images, *out, *kernel, channels), (lead, *steps, tail)
        else:
            shape = (groups, images, *out, *kernel, channels // groups)
            order = (tail * (channels // groups), lead, *steps, tail)
        if buffer is None or buffer.shape != shape:
            buffer = xp.empty(shape, x.dtype)
        xp.copyto(buffer, xp.lib.stride_tricks.as_strided(x[rows], shape, order))
        places = images * math.prod(out)
        lead_shape = shape[: len(shape) - 2 * ndim - 2]
        yield rows, buffer.reshape(*lead_shape, places, math.prod(kernel) * (channels // groups))


def _filters(w: Array, groups: int) -> Array:
    """Return the filters as a matrix (taps * channels, features), one per group if there are several."""
    taps = math.prod(w.shape[:-1])
    if groups == 1:
        return w.reshape(taps, w.shape[-1])
    return w.reshape(taps, groups, w.shape[-1] // groups).transpose(1, 0, 2)


def _slices(tap: Ints, out: Ints, stride: Ints, dilation: Ints) -> tuple[slice, ...]:
    """Return where in the padded image a tap lies, for all places."""
    return tuple(
        slice(t * d, t * d + (o - 1) * s + 1, s) for t, o, s, d in zip(tap, out, stride, dilation, strict=True)
    )


def _shifts(
    images: int, kernel: Ints, out: Ints, stride: Ints, dilation: Ints, channels: int
) -> Iterator[tuple[slice, tuple[slice, ...], Ints]]:
    """Yield (slice of the batch, where the tap lies, tap) for every tap, batch by batch."""
    for rows in _batches(np, images, math.prod(out) * channels * 8):
        for tap in itertools.product(*map(range, kernel)):
            yield rows, _slices(tap, out, stride, dilation), tap


def _scatter(xp: Any, dx: Array, g: Array, w: Array, stride: Ints, dilation: Ints, groups: int) -> None:
    """Add to the padded image what each place contributes to its patch: the adjoint of gathering patches."""
    kernel, per_group, features, out = w.shape[:-2], w.shape[-2], w.shape[-1], g.shape[1:-1]
    transposed = xp.ascontiguousarray(xp.swapaxes(_filters(w, groups), -1, -2))
    each = math.prod(out) * math.prod(kernel) * per_group * groups * g.dtype.itemsize
    split = dx.reshape(*dx.shape[:-1], groups, per_group)
    for rows in _batches(xp, g.shape[0], each):
        block = g[rows]
        if groups == 1:
            patches = xp.matmul(block.reshape(-1, features), transposed)
            patches = patches.reshape(*block.shape[:-1], math.prod(kernel), 1, per_group)
        else:
            grouped = block.reshape(-1, groups, features // groups).transpose(1, 0, 2)
            patches = xp.matmul(grouped, transposed).reshape(groups, *block.shape[:-1], math.prod(kernel), per_group)
            patches = xp.moveaxis(patches, 0, -2)
        for i, tap in enumerate(itertools.product(*map(range, kernel))):
            split[(rows, *_slices(tap, out, stride, dilation))] += patches[..., i, :, :]
