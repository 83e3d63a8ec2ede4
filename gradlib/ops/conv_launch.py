"""Launches of the convolution kernels, for one and two spatial dimensions (one is two with a height of 1).

Every function returns `NotImplemented` for what the kernels do not take: three spatial dimensions, bool, arrays of
2^31 elements or more, no channels at all.
"""

from __future__ import annotations

import math
from typing import Any

from .. import backend as backends
from ..kernel import Kernel, ctype
from ..spec import REDUCED, bool_, float32
from . import conv_steps, conv_tensor
from .activation import Activation, fusible, saves_input
from .conv_host import Ints, Pairs, out_sizes
from .conv_tensor import window_of
from .tiling import LARGEST, combine, parts, split, tiling

__all__ = ["data_gradient", "forward", "gradients", "transposed", "transposed_gradients", "weight_gradient"]

Array = Any

_GEOMETRY = (
    "batch height width channels out_height out_width out_channels kernel_h kernel_w "
    "stride_h stride_w pad_h pad_w dilation_h dilation_w groups"
)
_forward = Kernel("conv2d.cu", "conv2d_forward", f"x w b scale residual y z | {_GEOMETRY}")
_dgrad = Kernel("conv2d.cu", "conv2d_dgrad", f"g s w b dx z | {_GEOMETRY}")
_wgrad = Kernel("conv2d.cu", "conv2d_wgrad", f"x g s dw part | {_GEOMETRY} rows")
_depthwise_forward = Kernel("depthwise.cu", "depthwise_forward", f"x w b scale residual y z | {_GEOMETRY}")
_depthwise_dgrad = Kernel("depthwise.cu", "depthwise_dgrad", f"g s w b dx z | {_GEOMETRY}")
_depthwise_wgrad = Kernel("depthwise.cu", "depthwise_wgrad", f"x g s dw part | {_GEOMETRY} rows")

_GRID_Z = 65535


def _geometry(
    x: Ints, kernel: Ints, y: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> tuple[int, ...]:
    """Return the kernels' scalar parameters for shapes of x and y."""
    before = tuple(pair[0] for pair in padding)
    if len(kernel) == 1:
        x, y, kernel = (x[0], 1, *x[1:]), (y[0], 1, *y[1:]), (1, *kernel)
        stride, before, dilation = (1, *stride), (0, *before), (1, *dilation)
    return (*x, *y[1:], *kernel, *stride, *before, *dilation, groups)


def _declines(dtype: Any, groups: int, activation: Activation, *shapes: Ints) -> bool:
    large = any(math.prod(shape) > LARGEST for shape in shapes)
    return dtype == bool_ or large or not fusible(activation) or groups > _GRID_Z


def _depthwise(channels: int, features: int, groups: int) -> bool:
    """Whether a thread an element beats a product of matrices: one channel a group, few features."""
    return channels == groups and features <= 4 * groups


def forward(
    x: Array,
    w: Array,
    b: Array | None,
    scale: Array | None = None,
    residual: Array | None = None,
    *,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int,
    activation: Activation = None,
    save: bool = False,
) -> Any:
    """Return (y, z): z is the pre-activation if `save` and the activation's derivative reads it, else None."""
    kernel, features, channels = w.shape[:-2], w.shape[-1], x.shape[-1]
    shape = (x.shape[0], *out_sizes(x.shape[1:-1], kernel, stride, padding, dilation), features)
    if _declines(x.dtype, groups, activation, x.shape, w.shape, shape) or channels == 0:
        return NotImplemented
    backend = backends.backend_of(x)
    y = backend.empty(shape, x.dtype)
    z = backend.empty(shape, x.dtype) if saves_input(activation, save) else None
    if y.size == 0:
        return y, z
    window = window_of(kernel, stride, padding, dilation, groups)
    there = conv_tensor.forward(x, w, y, window, activation, bias=b, scale=scale, residual=residual, z=z)
    if there is not NotImplemented:
        return y, z
    if len(kernel) > 2:
        return NotImplemented
    geometry = _geometry(x.shape, kernel, shape, stride, padding, dilation, groups)
    macros: dict[str, Any] = {"T": ctype(x.dtype), "ACT": activation or "none"}
    if _depthwise(channels, features, groups):
        _depthwise_forward(-(-y.size // 256), 256, x, w, b, scale, residual, y, z, *geometry, **macros)
    else:
        m, n = math.prod(shape[:-1]), features // groups
        tile = tiling(m, n)
        _forward(
            (tile.blocks(m, n), 1, groups),
            tile.threads,
            x,
            w,
            b,
            scale,
            residual,
            y,
            z,
            *geometry,
            **tile.macros,
            **macros,
        )
    return y, z


def data_gradient(
    g: Array,
    s: Array | None,
    w: Array,
    *,
    size: Ints,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int,
    activation: Activation = None,
) -> Any:
    """Return dx for an x of this spatial size; s is what the activation's derivative reads."""
    kernel, shape = w.shape[:-2], (g.shape[0], *size, w.shape[-2] * groups)
    if _declines(g.dtype, groups, activation, shape, w.shape, g.shape):
        return NotImplemented
    backend = backends.backend_of(g)
    if g.size == 0 or math.prod(shape) == 0:
        return backend.zeros(shape, g.dtype)
    dx = backend.empty(shape, g.dtype)
    window = window_of(kernel, stride, padding, dilation, groups)
    if activation is None and conv_tensor.data_gradient(g, w, dx, window):
        return dx
    if len(kernel) > 2:
        return NotImplemented
    geometry = _geometry(shape, kernel, g.shape, stride, padding, dilation, groups)
    _run_dgrad(g, s, w, None, dx, None, geometry, ACT=activation or "none")
    return dx


def _run_dgrad(
    g: Array, s: Array | None, w: Array, b: Array | None, dx: Array, z: Array | None, geometry: Ints, **acts: Any
) -> None:
    features, channels, groups = g.shape[-1], dx.shape[-1], geometry[-1]
    if _depthwise(channels, features, groups):
        _depthwise_dgrad(-(-dx.size // 256), 256, g, s, w, b, dx, z, *geometry, T=ctype(g.dtype), **acts)
    else:
        m, n = math.prod(dx.shape[:-1]), channels // groups
        tile = tiling(m, n)
        grid = (tile.blocks(m, n), 1, groups)
        _dgrad(grid, tile.threads, g, s, w, b, dx, z, *geometry, **tile.macros, T=ctype(g.dtype), **acts)


def transposed(
    x: Array,
    w: Array,
    b: Array | None,
    *,
    size: Ints,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int,
    activation: Activation = None,
    save: bool = False,
) -> Any:
    """Return (y, z) of a transposed convolution: y = act(z), z the data gradient at x + b, kept as in `forward`."""
    kernel, shape = w.shape[:-2], (x.shape[0], *size, w.shape[-2] * groups)
    if _declines(x.dtype, groups, activation, shape, w.shape, x.shape) or x.shape[-1] == 0:
        return NotImplemented
    backend, window = backends.backend_of(x), window_of(kernel, stride, padding, dilation, groups)
    y = backend.empty(shape, x.dtype)
    z = backend.empty(shape, x.dtype) if saves_input(activation, save) else None
    if y.size == 0 or conv_tensor.data_gradient(x, w, y, window, activation, bias=b, z=z):
        return y, z
    if len(kernel) > 2:
        return NotImplemented
    geometry = _geometry(shape, kernel, x.shape, stride, padding, dilation, groups)
    _run_dgrad(x, None, w, b, y, z, geometry, DX_ACT=activation or "none")
    return y, z


def weight_gradient(
    x: Array,
    g: Array,
    s: Array | None,
    *,
    kernel: Ints,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int,
    activation: Activation = None,
    wide: bool = False,
) -> Any:
    """Return dw for filters of this kernel size; s is what the activation's derivative reads.

    ``wide``: in the dtype in which it is summed, float32 for the 16-bit ones.
    """
    channels, features, places = x.shape[-1], g.shape[-1], math.prod(g.shape[:-1])
    shape = (*kernel, channels // groups, features)
    if _declines(x.dtype, groups, activation, x.shape, shape, g.shape):
        return NotImplemented
    backend = backends.backend_of(x)
    dtype = float32 if wide and x.dtype in REDUCED else x.dtype
    if 0 in (channels, features, *shape, *g.shape[1:]):  # no images at all is a sum of nothing, which the kernel does
        return backend.zeros(shape, dtype)
    dw = backend.empty(shape, dtype)
    window = window_of(kernel, stride, padding, dilation, groups)
    if activation is None and conv_tensor.weight_gradient(x, g, dw, window):
        return dw
    if len(kernel) > 2:
        return NotImplemented
    geometry = _geometry(x.shape, kernel, g.shape, stride, padding, dilation, groups)
    macros: dict[str, Any] = {"T": ctype(x.dtype), "ACT": activation or "none"}
    if _depthwise(channels, features, groups):
        taps, columns = math.prod(kernel), -(-features // 32)
        splits, rows = split(columns * taps, places, 128)
        part = dw[None] if splits == 1 and dtype != x.dtype else parts(dw, splits, shape)
        whole = dw if part is None else None
        _depthwise_wgrad((columns, splits, taps), (32, 8), x, g, s, whole, part, *geometry, rows, **macros)
    else:
        m, n = math.prod(shape[:-1]), features // groups
        tile = tiling(m, n)
        splits, rows = split(tile.blocks(m, n) * groups, places, 256)
        if splits * groups > _GRID_Z:
            splits, rows = 1, places
        part = dw[None] if splits == 1 and dtype != x.dtype else parts(dw, splits, shape)
        grid = (tile.blocks(m, n), 1, groups * splits)
        whole = dw if part is None else None
        _wgrad(grid, tile.threads, x, g, s, whole, part, *geometry, rows, **tile.macros, **macros)
    if part is not None and splits > 1:
        combine(part, dw)
    return dw


def transposed_gradients(
    x: Array,
    w: Array,
    g: Array,
    s: Array | None,
    needs: tuple[bool, bool],
    activation: Activation,
    window: dict[str, Any],
) -> conv_tensor.Gradients | None:
    """Return dx and dw of a transposed convolution; None where no kernel takes them."""
    of_taps = window_of(w.shape[:-2], **window)
    there = conv_tensor.transposed_backward(x, w, g, s, of_taps, activation, needs)
    if there is not None:
        return there
    dz = g if activation is None else conv_steps.slope(g, s, activation)  # type: ignore[arg-type]
    dx = dw = None
    if needs[0]:
        there = forward(dz, w, None, **window)
        dx = there if there is NotImplemented else there[0]
    if needs[1]:
        dw = weight_gradient(dz, x, None, kernel=w.shape[:-2], **window)
    return None if dx is NotImplemented or dw is NotImplemented else conv_tensor.Gradients(dx, dw, None, dz)


def gradients(
    input: Array,
    weight: Array,
    filters: Array,
    g: Array,
    s: Array | None,
    needs: tuple[bool, bool],
    wide: bool,
    activation: Activation,
    window: dict[str, Any],
) -> conv_tensor.Gradients | None:
    """Return dx through `filters`, and dw, if `wide` in the dtype of its sums; None where no kernel takes them."""
    there = conv_tensor.backward(input, filters, g, s, window_of(weight.shape[:-2], **window), activation, needs, wide)
    if there is not None:
        return there
    dx = dw = None
    if needs[0]:
        dx = data_gradient(g, s, filters, size=input.shape[1:-1], activation=activation, **window)
    if needs[1]:
        dw = weight_gradient(input, g, s, kernel=weight.shape[:-2], activation=activation, wide=wide, **window)
    return None if dx is NotImplemented or dw is NotImplemented else conv_tensor.Gradients(dx, dw, None, None)
