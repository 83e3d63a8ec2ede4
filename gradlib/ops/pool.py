"""Max and average pooling over (batch, *spatial, channels), for one, two and three spatial dimensions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from .. import backend as backends
from ..core import Saved, apart, fused, op, sample
from ..errors import ShapeError
from ..kernel import Kernel
from ..spec import Spec, int32
from .windows import Window, output_sizes, windows_max, windows_sum

__all__ = ["avg_pool1d", "avg_pool2d", "avg_pool3d", "max_pool1d", "max_pool2d", "max_pool3d"]

Array = Any
Ints = tuple[int, ...]
Size = int | Sequence[int]


# -- max


def _infer_max(input: Spec, *, kernel_size: Ints, stride: Ints, padding: Ints, dilation: Ints, ceil_mode: bool) -> Spec:
    name = f"max_pool{len(kernel_size)}d(input, kernel_size)"
    sizes = output_sizes(name, input, Window(kernel_size, stride, padding, dilation), ceil_mode)
    return Spec((input.shape[0], *sizes, input.shape[-1]), input.dtype)


def _max_samples() -> list[Any]:
    def case(*shape: int, k: Ints, s: Ints, p: Ints, d: Ints, ceil_mode: bool = False) -> Any:
        return sample(apart(*shape), kernel_size=k, stride=s, padding=p, dilation=d, ceil_mode=ceil_mode)

    return [
        case(2, 4, 6, 8, k=(2, 2), s=(2, 2), p=(0, 0), d=(1, 1)),
        case(1, 7, 5, 3, k=(3, 3), s=(2, 2), p=(1, 1), d=(1, 1)),
        case(2, 7, 11, 1, k=(2, 3), s=(2, 1), p=(1, 0), d=(2, 3), ceil_mode=True),
        case(1, 1, 1, 5, k=(1, 1), s=(1, 1), p=(0, 0), d=(1, 1)),
        case(0, 4, 4, 3, k=(2, 2), s=(2, 2), p=(0, 0), d=(1, 1)),
        case(2, 11, 3, k=(3,), s=(2,), p=(1,), d=(1,)),
        case(1, 3, 4, 5, 2, k=(2, 2, 2), s=(2, 1, 2), p=(0, 1, 0), d=(1, 1, 1)),
        sample(lambda rng: rng.integers(0, 3, (2, 6, 6, 4)).astype(float), smooth=False,  # ties
               kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), dilation=(1, 1), ceil_mode=False),
    ]  # fmt: skip


@fused("max_pool", infer=_infer_max, samples=_max_samples)
def max_pool(input: Array, *, kernel_size: Ints, stride: Ints, padding: Ints, dilation: Ints, ceil_mode: bool) -> Array:
    """y[n, o, c] = max over k of x[n, o * stride - padding + k * dilation, c], where that is inside the image.

    Shapes: input (batch, *spatial, channels); all parameters one int per spatial axis.  Dtypes:
    floating.  NaN propagates.  Derivative: every order; of equal elements the first gets it, as in
    PyTorch.  Kernel: ``pool2d.cu`` for one and two spatial axes, composition for three.
    """
    window = Window(kernel_size, stride, padding, dilation)
    counts = output_sizes("max_pool", Spec(input.shape, input.dtype), window, ceil_mode)
    return windows_max(input, counts=counts, window=window)


# -- average


def _dense_window(kernel: Ints, stride: Ints, padding: Ints) -> Window:
    return Window(kernel, stride, padding, (1,) * len(kernel))


def _infer_avg(
    input: Spec, *, kernel_size: Ints, stride: Ints, padding: Ints, ceil_mode: bool, count_include_pad: bool
) -> Spec:
    name = f"avg_pool{len(kernel_size)}d(input, kernel_size)"
    sizes = output_sizes(name, input, _dense_window(kernel_size, stride, padding), ceil_mode)
    return Spec((input.shape[0], *sizes, input.shape[-1]), input.dtype)


@lru_cache(256)
def _window_counts(sizes: Ints, counts: Ints, window: Window, include_pad: bool) -> Any:
    """Return how many elements each window averages, as (*counts, 1), or one number if they are all equal."""
    total = np.ones((), np.int64)
    for size, count, k, s, p, _ in zip(sizes, counts, *window, strict=True):
        begin = np.arange(count) * s - p
        end = np.minimum(begin + k, size + p)
        if not include_pad:
            begin, end = np.maximum(begin, 0), np.minimum(end, size)
        total = np.multiply.outer(total, end - begin)
    return float(total.flat[0]) if (total == total.flat[0]).all() else total[..., None].astype(np.float64)


def _avg_samples() -> list[Any]:
    def case(*shape: int, k: Ints, s: Ints, p: Ints, ceil_mode: bool = False, pad: bool = True) -> Any:
        return sample(shape, kernel_size=k, stride=s, padding=p, ceil_mode=ceil_mode, count_include_pad=pad)

    return [
        case(2, 4, 6, 8, k=(2, 2), s=(2, 2), p=(0, 0)),
        case(1, 7, 5, 3, k=(3, 3), s=(2, 1), p=(1, 1)),
        case(2, 7, 11, 1, k=(3, 2), s=(2, 3), p=(1, 1), pad=False),
        case(2, 8, 7, 4, k=(3, 3), s=(2, 2), p=(0, 1), ceil_mode=True),
        case(1, 6, 7, 3, k=(2, 3), s=(3, 2), p=(1, 1), ceil_mode=True, pad=False),
        case(1, 1, 1, 5, k=(1, 1), s=(1, 1), p=(0, 0)),
        case(0, 4, 4, 3, k=(2, 2), s=(2, 2), p=(0, 0)),
        case(2, 11, 3, k=(3,), s=(2,), p=(1,)),
        case(1, 3, 4, 5, 2, k=(2, 2, 2), s=(2, 1, 2), p=(0, 1, 0)),
    ]


@fused("avg_pool", infer=_infer_avg, samples=_avg_samples)
def avg_pool(
    input: Array, *, kernel_size: Ints, stride: Ints, padding: Ints, ceil_mode: bool, count_include_pad: bool
) -> Array:
    """y[n, o, c] = mean over k of x[n, o * stride - padding + k, c].

    With `count_include_pad` the padding counts as zeros; otherwise the mean is over the elements inside the image.

    Shapes: input (batch, *spatial, channels); all parameters one int per spatial axis.  Dtypes:
    floating.  Derivative: every order (linear).  Kernel: ``pool2d.cu`` for one and two spatial axes,
    composition for three.
    """
    window = _dense_window(kernel_size, stride, padding)
    counts = output_sizes("avg_pool", Spec(input.shape, input.dtype), window, ceil_mode)
    total = windows_sum(input, counts=counts, window=window)
    elements = _window_counts(tuple(input.shape[1:-1]), counts, window, count_include_pad)
    return op.divide(total, elements if isinstance(elements, float) else elements.astype(input.dtype))


# -- kernels

_GEOMETRY = "n h w c p q kh kw sh sw ph pw"
_max_forward = Kernel("pool2d.cu", "max_pool_forward", f"x y index | {_GEOMETRY} dh dw")
_max_backward = Kernel("pool2d.cu", "max_pool_backward", f"index g dx | {_GEOMETRY} dh dw")
_avg_forward = Kernel("pool2d.cu", "avg_pool_forward", f"x y | {_GEOMETRY} count_include_pad")
_avg_backward = Kernel("pool2d.cu", "avg_pool_backward", f"g dx | {_GEOMETRY} count_include_pad")


def _planar(x: Ints, y: Ints, *per_axis: Ints) -> tuple[int, ...] | None:
    """Return n, h, w, c, p, q and the parameters of each axis for the kernels; None where they do not reach."""
    fill = ((1, 1, 0, 1)[i] for i in range(len(per_axis)))  # kernel, stride, padding, dilation of an axis of size 1
    if len(x) == 3:
        x, y = (x[0], 1, *x[1:]), (y[0], 1, *y[1:])
        per_axis = tuple((f, *values) for f, values in zip(fill, per_axis, strict=True))
    if len(x) != 4 or math.prod(x[:3]) >= 2**31 or math.prod(y[:3]) >= 2**31:
        return None
    return (*x, *y[1:3], *itertools.chain(*per_axis))


def _launch(kernel: Kernel, over: Array, arrays: tuple[Array | None, ...], scalars: tuple[int, ...]) -> None:
    """Launch over the positions and channels of `over`, which is of the element type."""
    shape, dtype, channels = over.shape, over.dtype, over.shape[-1]
    backend = backends.backend_of(over)
    wide = 8 if dtype.itemsize == 2 else 4
    present = [a for a in arrays if a is not None]

    def fits(v: int) -> bool:
        aligned = all(backend.pointer(a) % min(16, v * a.dtype.itemsize) == 0 for a in present)
        return channels % v == 0 and aligned

    vec = next(v for v in (wide, 4, 1) if fits(v))
    groups = channels // vec
    bx = min(64, 1 << (groups - 1).bit_length())
    by = 256 // bx
    grid = (-(-math.prod(shape[:-1]) // by), -(-groups // bx))
    kernel(grid, (bx, by), *arrays, *scalars, T=dtype, VEC=vec)


@max_pool.kernel("cuda", planned=True)
def _(
    input: Array, *, kernel_size: Ints, stride: Ints, padding: Ints, dilation: Ints, ceil_mode: bool, save: bool
) -> Any:  # fmt: skip
    out = _infer_max(
        Spec(input.shape, input.dtype), kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation,
        ceil_mode=ceil_mode,
    )  # fmt: skip
    scalars = _planar(input.shape, out.shape, kernel_size, stride, padding, dilation)
    if scalars is None:
        return NotImplemented
    backend = backends.backend_of(input)
    y = backend.empty(out.shape, out.dtype)
    index = backend.empty(out.shape, int32) if save else None
    if y.size:
        _launch(_max_forward, y, (input, y, index), scalars)
    return Saved(y, (index,)) if save else y


@max_pool.backward.kernel("cuda", planned=True)
def _(
    input: Array, g: Array, *residuals: Array, kernel_size: Ints, stride: Ints, padding: Ints, dilation: Ints,
    ceil_mode: bool, needs: tuple[bool, ...],
) -> Any:  # fmt: skip
    scalars = _planar(input.shape, g.shape, kernel_size, stride, padding, dilation)
    if scalars is None or not residuals:
        return NotImplemented
    dx = backends.backend_of(input).empty(input.shape, input.dtype)
    if dx.size:
        _launch(_max_backward, dx, (residuals[0], g, dx), scalars)
    return (dx,)


@avg_pool.kernel("cuda", planned=True)
def _(input: Array, *, kernel_size: Ints, stride: Ints, padding: Ints, ceil_mode: bool, count_include_pad: bool) -> Any:
    out = _infer_avg(
        Spec(input.shape, input.dtype), kernel_size=kernel_size, stride=stride, padding=padding, ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
    )  # fmt: skip
    scalars = _planar(input.shape, out.shape, kernel_size, stride, padding)
    if scalars is None:
        return NotImplemented
    y = backends.backend_of(input).empty(out.shape, out.dtype)
    if y.size:
        _launch(_avg_forward, y, (input, y), (*scalars, int(count_include_pad)))
    return y


@avg_pool.backward.kernel("cuda", planned=True)
def _(
    input: Array, g: Array, *, kernel_size: Ints, stride: Ints, padding: Ints, ceil_mode: bool,
    count_include_pad: bool, needs: tuple[bool, ...],
) -> Any:  # fmt: skip
    scalars = _planar(input.shape, g.shape, kernel_size, stride, padding)
    if scalars is None:
        return NotImplemented
    dx = backends.backend_of(input).empty(input.shape, input.dtype)
    if dx.size:
        _launch(_avg_backward, dx, (g, dx), (*scalars, int(count_include_pad)))
    return (dx,)


# -- what a user calls: PyTorch's signatures


def _per_axis(name: str, argument: str, value: Size, ndim: int) -> Ints:
    values = (int(value),) * ndim if isinstance(value, (int, np.integer)) else tuple(int(v) for v in value)
    if len(values) != ndim:
        raise ShapeError(f"{name}: {argument} is {value!r}\n  need an int, or {ndim} of them")
    return values


def _max(
    ndim: int, input: Array, kernel_size: Size, stride: Size | None, padding: Size, dilation: Size, ceil: bool
) -> Any:
    name = f"max_pool{ndim}d(input, kernel_size)"
    kernel = _per_axis(name, "kernel_size", kernel_size, ndim)
    return max_pool(
        input,
        kernel_size=kernel,
        stride=kernel if stride is None else _per_axis(name, "stride", stride, ndim),
        padding=_per_axis(name, "padding", padding, ndim),
        dilation=_per_axis(name, "dilation", dilation, ndim),
        ceil_mode=bool(ceil),
    )


def _avg(ndim: int, input: Array, kernel_size: Size, stride: Size | None, padding: Size, ceil: bool, pad: bool) -> Any:
    name = f"avg_pool{ndim}d(input, kernel_size)"
    kernel = _per_axis(name, "kernel_size", kernel_size, ndim)
    return avg_pool(
        input,
        kernel_size=kernel,
        stride=kernel if stride is None else _per_axis(name, "stride", stride, ndim),
        padding=_per_axis(name, "padding", padding, ndim),
        ceil_mode=bool(ceil),
        count_include_pad=bool(pad),
    )


def max_pool1d(
    input: Any, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1,
    ceil_mode: bool = False,
) -> Any:  # fmt: skip
    """Max pooling of (batch, length, channels); see `max_pool2d`."""
    return _max(1, input, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool2d(
    input: Any, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1,
    ceil_mode: bool = False,
) -> Any:  # fmt: skip
    """y = the greatest element of each window of (batch, height, width, channels).

    Parameters
    ----------
    kernel_size, stride, padding, dilation
        One int, or one per spatial axis; `stride` is `kernel_size` unless given.
    ceil_mode
        Whether a last window that reaches past the padding counts.

    Raises
    ------
    ShapeError, DTypeError
        If input has not four dimensions, is smaller than a window, or is not floating.
    """
    return _max(2, input, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool3d(
    input: Any, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1,
    ceil_mode: bool = False,
) -> Any:  # fmt: skip
    """Max pooling of (batch, depth, height, width, channels); see `max_pool2d`."""
    return _max(3, input, kernel_size, stride, padding, dilation, ceil_mode)


def avg_pool1d(
    input: Any, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:  # fmt: skip
    """Average pooling of (batch, length, channels); see `avg_pool2d`."""
    return _avg(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad)


def avg_pool2d(
    input: Any, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:  # fmt: skip
    """y = the mean of each window of (batch, height, width, channels).

    Parameters
    ----------
    kernel_size, stride, padding
        One int, or one per spatial axis; `stride` is `kernel_size` unless given.
    ceil_mode
        Whether a last window that reaches past the padding counts.
    count_include_pad
        Whether the zeros of the padding count in the mean.

    Raises
    ------
    ShapeError, DTypeError
        If input has not four dimensions, is smaller than a window, or is not floating.
    """
    return _avg(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad)


def avg_pool3d(
    input: Any, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:  # fmt: skip
    """Average pooling of (batch, depth, height, width, channels); see `avg_pool2d`."""
    return _avg(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad)


op.register(
    max_pool=max_pool,
    avg_pool=avg_pool,
    max_pool1d=max_pool1d,
    max_pool2d=max_pool2d,
    max_pool3d=max_pool3d,
    avg_pool1d=avg_pool1d,
    avg_pool2d=avg_pool2d,
    avg_pool3d=avg_pool3d,
)
