"""Convolutions on tensor cores: whether a call goes there, its operands in the form that is wanted, its launches."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

from .. import backend as backends
from ..spec import float32
from . import conv_pointwise
from .activation import Activation
from .conv_host import Ints, Pairs
from .product.front import gains, has_tensor_cores, passes, planes_of
from .product.patches import THIN, Images, Window, convolve, input_gradient
from .product.patches import weight_gradient as product_of_patches
from .product.patches_sm90 import fits
from .product.planes import gradient_beside, split, split_beside
from .product.problem import Outputs
from .tiling import combine

__all__ = [
    "Gradients",
    "backward",
    "data_gradient",
    "forward",
    "passes",
    "total",
    "transposed_backward",
    "weight_gradient",
    "window_of",
]

Array = Any

_OFTEN = 4  # taps, from which on a copy of what is read by single elements costs less than those reads


def window_of(kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int) -> Window:
    """Return the window of a convolution; what its padding adds behind an image shows in the size of the result."""
    return Window(kernel, stride, tuple(before for before, _ in padding), dilation, groups)


def _goes(x: Array, channels: int, features: int, window: Window, size: Ints, out: Ints, batch: int) -> bool:
    """Whether a convolution of these sizes and this array's dtype should go to tensor cores on this array's device."""
    count, limits = passes(x), backends.backend_of(x).limits
    if count == 0 or 0 in (batch, channels, features, *size, *out) or not has_tensor_cores(limits.architecture):
        return False
    key = (x.dtype, channels, features, window, size, out, batch, count)
    return _gains(*key, limits.multiprocessors, limits.architecture)


@lru_cache(4096)
def _gains(
    dtype: Any,
    channels: int,
    features: int,
    window: Window,
    size: Ints,
    out: Ints,
    batch: int,
    count: int,
    places: int,
    architecture: str,
) -> bool:
    taps, per_group = math.prod(window.kernel), channels // window.groups
    hopper = architecture == "sm_90a" and per_group > THIN and fits(dtype, channels, features, window, size, out)
    m, n, block = batch * math.prod(out), features // window.groups, 64 if hopper else 8
    padded = taps * -(-per_group // block) * block
    moved = batch * math.prod(size) * channels if dtype == float32 or _pads(channels, window) else 0
    return gains(m, n, padded, taps * per_group, window.groups, count, moved, places, hopper=hopper)


def _pads(channels: int, window: Window) -> bool:
    """Whether 16-bit images are copied with their channels padded to whole copies of 16 bytes: read often enough."""
    return bool(channels % 8) and window.groups == 1 and math.prod(window.kernel) >= _OFTEN


def _images(x: Array, window: Window) -> Images:
    """Return x (batch, *size, channels) as the products take it."""
    channels = x.shape[-1]
    if x.dtype == float32 or _pads(channels, window):
        planes = planes_of(x)
        return Images(split_beside(x.reshape(-1, channels), planes).reshape(*x.shape[:-1], -1), channels, planes)
    return Images(x, channels)


def _filters(w: Array, window: Window) -> Array:
    """Return w (*kernel, channels / groups, features) as matrices of its taps, or of their planes."""
    taps = w.reshape(-1, *w.shape[-2:])
    return split(taps, planes_of(w)).array if w.dtype == float32 or _pads(w.shape[-1], window) else taps


def _gradient(g: Array, s: Array | None, activation: Activation, window: Window) -> tuple[Images, Array | None]:
    """Return dz = g act'(s) as images, and its column sums: None where no pass over g was needed."""
    features = g.shape[-1]
    rows = g.reshape(-1, features)
    if activation is None and g.dtype != float32:
        return _images(g, window), None
    dz, sums = gradient_beside(rows, None if s is None else s.reshape(rows.shape), activation, planes_of(g))  # type: ignore[arg-type]
    return Images(dz.reshape(*g.shape[:-1], -1), features, planes_of(g)), sums


def forward(
    x: Array,
    w: Array,
    y: Array,
    window: Window,
    activation: Any = None,
    *,
    bias: Array | None = None,
    scale: Array | None = None,
    residual: Array | None = None,
    z: Array | None = None,
    moments: bool = False,
) -> Any:
    """Compute y, and z where it is wanted, on tensor cores, if that is faster: else return `NotImplemented`.

    Returns the moments of y's columns (`Totals`), where they are asked for, of one group only; None where it is better
    to take them from y.
    """
    sizes = x.shape[-1], w.shape[-1], window, x.shape[1:-1], y.shape[1:-1]
    if conv_pointwise.goes(x, *sizes, math.prod(y.shape[:-1])):
        return conv_pointwise.forward(x, w, Outputs(y, z, None, residual, bias, scale), activation, moments)
    if not _goes(x, *sizes, x.shape[0]):
        return NotImplemented
    images, filters = _images(x, window), _filters(w, window)
    return convolve(images, filters, y, window, passes(x), bias=bias, scale=scale, residual=residual, z=z,
                    activation=activation, moments=moments)  # fmt: skip


def data_gradient(
    g: Array,
    w: Array,
    dx: Array,
    window: Window,
    activation: Any = None,
    *,
    bias: Array | None = None,
    z: Array | None = None,
) -> bool:
    """Compute dx from g there, if that is faster.

    As a transposed convolution act(dx + bias); z, where wanted, keeps what act is taken of.
    """
    sizes = dx.shape[-1], g.shape[-1], window, dx.shape[1:-1], g.shape[1:-1]
    if conv_pointwise.goes(g, *sizes, math.prod(g.shape[:-1])):
        dz, _ = conv_pointwise.dz_of(g, None, None)
        conv_pointwise.data_gradient(dz, w, Outputs(dx, z, bias=bias), activation)
        return True
    if not _goes(g, *sizes, g.shape[0]):
        return False
    input_gradient(_images(g, window), _filters(w, window), dx, window, passes(g), bias=bias, activation=activation,
                   z=z)  # fmt: skip
    return True


def weight_gradient(x: Array, g: Array, dw: Array, window: Window) -> bool:
    """Compute dw from x and g there, if that is faster."""
    sizes = x.shape[-1], g.shape[-1], window, x.shape[1:-1], g.shape[1:-1]
    if conv_pointwise.goes(x, *sizes, math.prod(g.shape[:-1])):
        conv_pointwise.weight_gradient(x, conv_pointwise.dz_of(g, None, None)[0], dw)
        return True
    if not _goes(x, *sizes, x.shape[0]):
        return False
    product_of_patches(_images(x, window), _images(g, window), dw, window, passes(x))
    return True


class Gradients(NamedTuple):
    """What `backward` found; None for what was not asked for, or is still to be computed."""

    dx: Array | None
    dw: Array | None
    sums: Array | None  # of the columns of dz, in parts
    dz: Array | None  # before the activation, as an array like g


def backward(
    x: Array,
    w: Array,
    g: Array,
    s: Array | None,
    window: Window,
    activation: Activation,
    needs: tuple[bool, bool],
    wide: bool = False,
) -> Gradients | None:
    """Return the gradients in x and w, dw in float32 if `wide`; None if they should be computed elsewhere.

    One pass makes dz = g act'(s), adds up its columns, and serves both gradients.
    """
    sizes = x.shape[-1], w.shape[-1], window, x.shape[1:-1], g.shape[1:-1]
    plain = conv_pointwise.goes(x, *sizes, math.prod(g.shape[:-1]))
    if not plain and not _goes(x, *sizes, x.shape[0]):
        return None
    backend = backends.backend_of(x)
    dx = backend.empty(x.shape, x.dtype) if needs[0] else None
    dw = backend.empty(w.shape, float32 if wide else w.dtype) if needs[1] else None
    dz: Any
    dz, sums = conv_pointwise.dz_of(g, s, activation) if plain else _gradient(g, s, activation, window)
    if plain:
        if dx is not None:
            conv_pointwise.data_gradient(dz, w, Outputs(dx))
        if dw is not None:
            conv_pointwise.weight_gradient(x, dz, dw)
    else:
        if dx is not None:
            input_gradient(dz, _filters(w, window), dx, window, passes(x))
        if dw is not None:
            product_of_patches(_images(x, window), dz, dw, window, passes(x))
    whole = dz.array.dtype == g.dtype and dz.array.size == g.size and dz.array.flags.c_contiguous
    return Gradients(dx, dw, sums, dz.array.reshape(g.shape) if whole else None)


def transposed_backward(
    x: Array, w: Array, g: Array, s: Array | None, window: Window, activation: Activation, needs: tuple[bool, bool]
) -> Gradients | None:
    """Return the gradients of a transposed convolution in x and w; None if they should be computed elsewhere.

    One pass makes dz = g act'(s), adds up its columns, and serves both: dx is the convolution of dz, dw its gradient.
    """
    sizes = g.shape[-1], x.shape[-1], window, g.shape[1:-1], x.shape[1:-1]
    if conv_pointwise.goes(g, *sizes, math.prod(x.shape[:-1])) or not _goes(g, *sizes, g.shape[0]):
        return None
    backend = backends.backend_of(x)
    dx = backend.empty(x.shape, x.dtype) if needs[0] else None
    dw = backend.empty(w.shape, w.dtype) if needs[1] else None
    dz, sums = _gradient(g, s, activation, window)
    if dx is not None:
        convolve(dz, _filters(w, window), dx, window, passes(x))
    if dw is not None:
        product_of_patches(dz, _images(x, window), dw, window, passes(x))
    return Gradients(dx, dw, sums, None)


def total(sums: Array, dtype: Any) -> Array:
    """Return the gradient of a bias from its parts."""
    db = backends.backend_of(sums).empty(sums.shape[1:], dtype)
    combine(sums, db)
    return db
