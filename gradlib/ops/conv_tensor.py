"""Convolutions on tensor cores: whether a call goes there, its operands in the form that is wanted, its launches."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

from .. import backend as backends
from ..spec import float32
from .activation import Activation
from .conv_host import Ints, Pairs
from .product.front import gains, passes, planes_of
from .product.patches import Images, Window, convolve, fits, input_gradient
from .product.patches import weight_gradient as product_of_patches
from .product.planes import gradient_beside, split, split_beside
from .product.sm90 import serves
from .tiling import combine

__all__ = ["backward", "data_gradient", "forward", "total", "weight_gradient", "window_of"]

Array = Any


def window_of(kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int) -> Window:
    """Return the window of a convolution; what its padding adds behind an image shows in the size of the result."""
    return Window(kernel, stride, tuple(before for before, _ in padding), dilation, groups)


def _goes(x: Array, channels: int, features: int, window: Window, size: Ints, out: Ints, batch: int) -> bool:
    """Whether a convolution of these sizes and this array's dtype should go to tensor cores on this array's device."""
    count, limits = passes(x), backends.backend_of(x).limits
    if count == 0 or limits.architecture != "sm_90a" or 0 in (batch, channels, features, *size, *out):
        return False
    return _gains(x.dtype, channels, features, window, size, out, batch, count, limits.multiprocessors)


@lru_cache(4096)
def _gains(
    dtype: Any, channels: int, features: int, window: Window, size: Ints, out: Ints, batch: int, count: int, places: int
) -> bool:
    if not fits(dtype, channels, features, window, size, out):
        return False
    taps, per_group = math.prod(window.kernel), channels // window.groups
    m, n = batch * math.prod(out), features // window.groups
    padded = taps * -(-per_group // 64) * 64
    moved = batch * math.prod(size) * channels if dtype == float32 else 0
    return gains(m, n, padded, taps * per_group, window.groups, count, moved, places)


def _images(x: Array) -> Images | None:
    """Return x (batch, *size, channels) as the copy engine takes it; None where its memory is not such."""
    channels = x.shape[-1]
    if x.dtype == float32:
        planes = planes_of(x)
        return Images(split_beside(x.reshape(-1, channels), planes).reshape(*x.shape[:-1], -1), channels, planes)
    return Images(x, channels) if serves(x.reshape(1, -1, channels)) else None


def _filters(w: Array) -> Array | None:
    """Return w (*kernel, channels / groups, features) as matrices of its taps, or of their planes."""
    taps = w.reshape(-1, *w.shape[-2:])
    if w.dtype == float32:
        return split(taps, planes_of(w)).array
    return taps if serves(taps) else None


def _gradient(g: Array, s: Array | None, activation: Activation) -> tuple[Images | None, Array | None]:
    """Return dz = g act'(s) as images, and its column sums: None where no pass over g was needed."""
    features = g.shape[-1]
    rows = g.reshape(-1, features)
    if activation is None and g.dtype != float32:
        images = _images(g)
        if images is not None:
            return images, None
    dz, sums = gradient_beside(rows, None if s is None else s.reshape(rows.shape), activation, planes_of(g))  # type: ignore[arg-type]
    return Images(dz.reshape(*g.shape[:-1], -1), features, planes_of(g)), sums


def forward(
    x: Array, w: Array, b: Array | None, y: Array, z: Array | None, window: Window, activation: Activation
) -> bool:
    """Compute y, and z where it is wanted, there, if that is faster and the arrays are such that they can be."""
    if not _goes(x, x.shape[-1], w.shape[-1], window, x.shape[1:-1], y.shape[1:-1], x.shape[0]):
        return False
    images, filters = _images(x), _filters(w)
    if images is None or filters is None:
        return False
    convolve(images, filters, y, window, passes(x), bias=b, z=z, activation=activation)  # type: ignore[arg-type]
    return True


def data_gradient(g: Array, w: Array, dx: Array, window: Window) -> bool:
    """Compute dx from g there, if that is faster and the arrays are such that they can be."""
    if not _goes(g, dx.shape[-1], g.shape[-1], window, dx.shape[1:-1], g.shape[1:-1], g.shape[0]):
        return False
    images, filters = _images(g), _filters(w)
    if images is None or filters is None:
        return False
    input_gradient(images, filters, dx, window, passes(g))
    return True


def weight_gradient(x: Array, g: Array, dw: Array, window: Window) -> bool:
    """Compute dw from x and g there, if that is faster and the arrays are such that they can be."""
    if not _goes(x, x.shape[-1], g.shape[-1], window, x.shape[1:-1], g.shape[1:-1], x.shape[0]):
        return False
    images, dz = _images(x), _images(g)
    if images is None or dz is None:
        return False
    product_of_patches(images, dz, dw, window, passes(x))
    return True


def backward(
    x: Array, w: Array, g: Array, s: Array | None, window: Window, activation: Activation, needs: tuple[bool, ...]
) -> tuple[Array | None, Array | None, Array | None] | None:
    """Return dx, dw, and the column sums of dz in parts, None if they are still to be computed; None if not there.

    One pass makes dz = g act'(s), adds up its columns, and serves both gradients.
    """
    if not _goes(x, x.shape[-1], w.shape[-1], window, x.shape[1:-1], g.shape[1:-1], x.shape[0]):
        return None
    images = _images(x) if needs[1] else None
    filters = _filters(w) if needs[0] else None
    if (needs[0] and filters is None) or (needs[1] and images is None):
        return None
    dz, sums = _gradient(g, s, activation)
    assert dz is not None
    backend = backends.backend_of(x)
    dx = dw = None
    if filters is not None:
        dx = backend.empty(x.shape, x.dtype)
        input_gradient(dz, filters, dx, window, passes(x))
    if images is not None:
        dw = backend.empty(w.shape, w.dtype)
        product_of_patches(images, dz, dw, window, passes(x))
    return dx, dw, sums


def total(sums: Array, dtype: Any) -> Array:
    """Return the gradient of a bias from its parts."""
    db = backends.backend_of(sums).empty(sums.shape[1:], dtype)
    combine(sums, db)
    return db
