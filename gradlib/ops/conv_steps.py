"""Launches of conv_steps.cu: what the gradients of a convolution with a scale or a residual need beside the triad's."""

from __future__ import annotations

import math
from typing import Any

from .. import backend as backends
from ..kernel import Kernel, ctype
from .tiling import combine, parts, split

__all__ = ["scale_gradient", "scaled_filters", "slope"]

Array = Any

_slope = Kernel("conv_steps.cu", "conv_slope", "g s dz | n")
_scaled_filters = Kernel("conv_steps.cu", "conv_scaled_filters", "w scale y | rows columns")
_scale_gradient = Kernel("conv_steps.cu", "conv_scale_gradient", "w dv scale dw dscale part | rows columns share")


def slope(g: Array, s: Array, activation: str) -> Array:
    """Return dz = g act'(s)."""
    dz = backends.backend_of(g).empty(g.shape, g.dtype)
    if dz.size:
        _slope(min(-(-g.size // 1024), 4096), 256, g, s, dz, g.size, T=ctype(g.dtype), ACT=activation)
    return dz


def scaled_filters(w: Array, scale: Array) -> Array:
    """Return w scale[feature]."""
    y = backends.backend_of(w).empty(w.shape, w.dtype)
    columns = w.shape[-1]
    if y.size:
        _scaled_filters(min(-(-y.size // 256), 4096), 256, w, scale, y, y.size // columns, columns, T=ctype(w.dtype))
    return y


def scale_gradient(w: Array, dv: Array, scale: Array, needs: tuple[bool, bool]) -> tuple[Array | None, Array | None]:
    """Return the gradients of w and of the scale, as wanted, from that of the filters of an unscaled convolution.

    ``dv`` is in the dtype in which w's sums are taken: rounded once, here.
    """
    backend, columns = backends.backend_of(w), w.shape[-1]
    rows = math.prod(w.shape[:-1])
    dw = backend.empty(w.shape, w.dtype) if needs[0] else None
    dscale = backend.empty((columns,), w.dtype) if needs[1] else None
    splits, share = split(-(-columns // 32), rows, 128)
    part = parts(w, splits, (columns,)) if needs[1] else None
    if columns:
        _scale_gradient((-(-columns // 32), splits), (32, 8), w, dv, scale, dw, dscale if part is None else None, part,
                        rows, columns, share, T=ctype(w.dtype))  # fmt: skip
    if part is not None:
        combine(part, dscale)
    return dw, dscale
