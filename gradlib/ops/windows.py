"""Sliding windows over (batch, *spatial, channels): their geometry, and the maximum and the sum over each.

The NumPy definitions work on shifted, strided slices ("taps"): one per position in the window, all
windows at once, clipped to the image so that padding is never built.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ..core import apart, leaf, sample, zeros_as
from ..errors import DTypeError, ShapeError, message, operand
from ..spec import Spec, is_floating

__all__ = ["Window", "output_sizes", "windows_max", "windows_sum"]

Array = Any
Ints = tuple[int, ...]


class Window(NamedTuple):
    """The windows of a pooling: one int per spatial axis each."""

    kernel: Ints
    stride: Ints
    padding: Ints
    dilation: Ints


def output_sizes(name: str, x: Spec, window: Window, ceil_mode: bool) -> Ints:
    """Return the number of windows along each spatial axis (PyTorch's rule), or refuse."""
    ndim = len(window.kernel)
    spatial = "length" if ndim == 1 else ", ".join(("depth", "height", "width")[3 - ndim :])
    roles = f"batch, {spatial}, channels"
    if len(x.shape) != ndim + 2:
        raise ShapeError(
            message(f"{name}: input has {len(x.shape)} dimensions, expected {ndim + 2}", [operand("input", x, roles)])
        )
    if not is_floating(x.dtype):
        raise DTypeError(
            message(f"{name}: input is not floating", [operand("input", x, roles)], "need a floating dtype")
        )
    sizes = []
    for axis, (size, k, s, p, d) in enumerate(zip(x.shape[1:-1], *window, strict=True), start=1):
        if k < 1 or s < 1 or d < 1 or p < 0:
            raise ShapeError(
                f"{name}: kernel_size {k}, stride {s}, padding {p}, dilation {d}\n  need 1, 1, 0, 1 or more"
            )
        reach = (k - 1) * d + 1
        if p > reach // 2:
            raise ShapeError(f"{name}: padding {p} is more than half of the window's extent {reach}")
        room = size + 2 * p - reach
        count = (-(-room // s) if ceil_mode else room // s) + 1
        if ceil_mode and (count - 1) * s >= size + p:  # the last window must start inside the image or its left padding
            count -= 1
        if count < 1 or size < 1:
            raise ShapeError(
                message(f"{name}: axis {axis} has size {size}, a window needs {max(reach - 2 * p, 1)}",
                        [operand("input", x, roles)], "need a smaller kernel_size, or padding")
            )  # fmt: skip
        sizes.append(count)
    return tuple(sizes)


@lru_cache(1024)
def _axis_taps(size: int, count: int, kernel: int, stride: int, padding: int, dilation: int) -> tuple[Any, ...]:
    """For each position in the window: (which windows have it inside the image, where it lies there), as slices."""
    taps = []
    for a in range(kernel):
        shift = a * dilation - padding  # window o has this element at o * stride + shift
        first, last = max(0, -(shift // stride)), min(count - 1, (size - 1 - shift) // stride)
        if first <= last:
            start = first * stride + shift
            taps.append((slice(first, last + 1), slice(start, last * stride + shift + 1, stride)))
    return tuple(taps)


def _taps(sizes: Ints, counts: Ints, window: Window) -> Any:
    """Yield (index into the output, index into the input) for each position in the window, in row-major order."""
    axes = [_axis_taps(*axis) for axis in zip(sizes, counts, *window, strict=True)]
    for tap in itertools.product(*axes):
        yield (slice(None), *(o for o, _ in tap)), (slice(None), *(i for _, i in tap))


def _along(axis: int, taps: tuple[Any, ...]) -> Any:
    lead = (slice(None),) * axis
    for o, i in taps:
        yield (*lead, o), (*lead, i)


# -- the maximum, and its derivative: a selection and the adjoint of that


def _windows_max_vjp(g: Array, ans: Array, x: Array, counts: Ints, window: Window) -> Array:
    return _select_back(g, x, ans, window=window)


def _windows_max_jvp(ts: Any, ans: Array, x: Array, counts: Ints, window: Window) -> Array:
    return _select(ts[0], x, ans, window=window)


@leaf(
    "windows_max",
    infer=lambda x, counts, window: Spec((x.shape[0], *counts, x.shape[-1]), x.dtype),
    vjp=(_windows_max_vjp,),
    saves=("x ans",),
    jvp=_windows_max_jvp,
    samples=lambda: [
        sample(apart(2, 5, 7, 3), counts=(3, 3), window=Window((3, 2), (2, 3), (1, 0), (1, 1))),
        sample(apart(1, 7, 2), counts=(3,), window=Window((3,), (1,), (0,), (2,))),
        sample(apart(0, 2, 3), counts=(1,), window=Window((2,), (1,), (0,), (1,))),
    ],
)
def windows_max(xp: Any, x: Array, *, counts: Ints, window: Window) -> Array:
    """y = max over each window; one spatial axis after the other."""
    for axis, (count, *geometry) in enumerate(zip(counts, *window, strict=True), start=1):
        y = xp.full((*x.shape[:axis], count, *x.shape[axis + 1 :]), -np.inf, x.dtype)
        for o, i in _along(axis, _axis_taps(x.shape[axis], count, *geometry)):
            xp.maximum(y[o], x[i], out=y[o])
        x = y
    return x


def _no_slope(i: int) -> Callable[..., Array]:
    """Rule for an input that only chooses which elements are meant: its derivative is 0 almost everywhere."""
    return lambda g, ans, *inputs, window: zeros_as(g, shape=inputs[i].shape, dtype=inputs[i].dtype)


def _select_samples(forward: bool) -> list[Any]:
    """Constants, as y must be the maxima of x; not smooth in x, so `max_pool` is where the slopes are checked."""
    window = Window((3, 2), (2, 2), (1, 0), (1, 1))
    x = np.random.default_rng(0).permutation(2 * 5 * 6 * 3).reshape(2, 5, 6, 3).astype(float)
    y = windows_max.impl(np, x, counts=(3, 3), window=window)  # type: ignore[misc]
    return [sample(x.shape if forward else y.shape, lambda rng: x, lambda rng: y, window=window, smooth=False)]


def _select_back_vjp(t: Array, ans: Any, g: Any, x: Array, y: Array, window: Window) -> Array:
    return _select(t, x, y, window=window)


@leaf(
    "windows_select_back",
    infer=lambda g, x, y, window: Spec(x.shape, g.dtype),
    vjp=(_select_back_vjp, _no_slope(1), _no_slope(2)),
    saves=("x y", "", ""),
    samples=lambda: _select_samples(forward=False),
)
def _select_back(xp: Any, g: Array, x: Array, y: Array, *, window: Window) -> Array:
    """dx = g summed over the windows whose maximum x is: the first one of equals.  Adjoint of `_select`."""
    dx = xp.zeros(x.shape, g.dtype)
    product = xp is np and np.isfinite(g).all()  # twice as fast in NumPy, but 0 * inf is not 0
    for o, i, hit in _hits(xp, x, y, window):
        dx[i] += hit * g[o] if product else xp.where(hit, g[o], g.dtype.type(0))
    return dx


@leaf(
    "windows_select",
    infer=lambda t, x, y, window: Spec(y.shape, t.dtype),
    vjp=(lambda g, ans, t, x, y, window: _select_back(g, x, y, window=window), _no_slope(1), _no_slope(2)),
    saves=("x y", "", ""),
    samples=lambda: _select_samples(forward=True),
)
def _select(xp: Any, t: Array, x: Array, y: Array, *, window: Window) -> Array:
    """The element of t where x has the window's maximum y: the first one of equals."""
    out = xp.zeros(y.shape, t.dtype)
    for o, i, hit in _hits(xp, x, y, window):
        out[o] += xp.where(hit, t[i], t.dtype.type(0))
    return out


def _hits(xp: Any, x: Array, y: Array, window: Window) -> Any:
    """Yield, tap by tap, (output index, input index, the windows whose first maximum is at this tap)."""
    open_ = xp.ones(y.shape, bool)
    unequal = bool((y != y).any())  # a NaN is its window's maximum, and equal to nothing
    for o, i in _taps(x.shape[1:-1], y.shape[1:-1], window):
        hit = x[i] == y[o]
        if unequal:
            hit |= x[i] != x[i]
        hit &= open_[o]
        open_[o] ^= hit
        yield o, i, hit


# -- the sum, and its adjoint


def _windows_sum_vjp(g: Array, ans: Any, x: Any, counts: Ints, window: Window) -> Array:
    return _windows_spread(g, sizes=x.shape[1:-1], window=window)


@leaf(
    "windows_sum",
    infer=lambda x, counts, window: Spec((x.shape[0], *counts, x.shape[-1]), x.dtype),
    vjp=(_windows_sum_vjp,),
    linear=True,
    samples=lambda: [
        sample((2, 5, 7, 3), counts=(3, 3), window=Window((3, 2), (2, 3), (1, 0), (1, 1))),
        sample((0, 2, 3), counts=(1,), window=Window((2,), (1,), (0,), (1,))),
    ],
)
def windows_sum(xp: Any, x: Array, *, counts: Ints, window: Window) -> Array:
    """y = sum over each window, zeros outside; one spatial axis after the other."""
    for axis, (count, *geometry) in enumerate(zip(counts, *window, strict=True), start=1):
        y = xp.zeros((*x.shape[:axis], count, *x.shape[axis + 1 :]), x.dtype)
        for o, i in _along(axis, _axis_taps(x.shape[axis], count, *geometry)):
            y[o] += x[i]
        x = y
    return x


@leaf(
    "windows_spread",
    infer=lambda g, sizes, window: Spec((g.shape[0], *sizes, g.shape[-1]), g.dtype),
    vjp=(lambda t, ans, g, sizes, window: windows_sum(t, counts=g.shape[1:-1], window=window),),
    linear=True,
    samples=lambda: [
        sample((2, 3, 3, 2), sizes=(5, 7), window=Window((3, 2), (2, 3), (1, 0), (1, 1))),
        sample((0, 1, 3), sizes=(2,), window=Window((2,), (1,), (0,), (1,))),
    ],
)
def _windows_spread(xp: Any, g: Array, *, sizes: Ints, window: Window) -> Array:
    """dx = g summed over the windows that x lies in.  Adjoint of `windows_sum`."""
    for axis, (size, *geometry) in enumerate(zip(sizes, *window, strict=True), start=1):
        dx = xp.zeros((*g.shape[:axis], size, *g.shape[axis + 1 :]), g.dtype)
        for o, i in _along(axis, _axis_taps(size, g.shape[axis], *geometry)):
            dx[i] += g[o]
        g = dx
    return g
