"""Discrete Fourier transforms.  Three linear ops and their transposes; everything else is made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core import Tensor, current_backend, leaf, op, sample
from ..errors import DTypeError, ShapeError, message, operand
from ..spec import Spec, as_dtype, default_float, normalize_axis
from .arithmetic import multiply
from .join import pad, roll
from .linalg.host import complex_of, library, real_of
from .linalg.parts import conj
from .operands import of_arrays, widened

__all__ = [
    "fft", "fftfreq", "fftn", "fftshift", "hfft", "ifft", "ifftn", "ifftshift", "ihfft", "irfft", "irfftn", "rfft",
    "rfftfreq", "rfftn",
]  # fmt: skip

Array = Any
OTHER = {"backward": "forward", "ortho": "ortho", "forward": "backward"}  # the norm of the opposite direction


# -- the ops: axes count from the end, sizes are those of the input


@leaf(
    "fourier",
    infer=lambda x, *, axes, inverse, norm: x,
    vjp=(lambda g, ans, x, axes, inverse, norm: _fourier(g, axes=axes, inverse=inverse, norm=norm),),
    linear=True,
    wide=True,
    samples=lambda: _samples(),
)
def _fourier(xp: Any, x: Array, *, axes: tuple[int, ...], inverse: bool, norm: str) -> Array:
    """y[k] = sum over j of x[j] exp(-+2 pi i j k / n) along each axis: a symmetric matrix, so its own transpose."""
    with library(xp, "fft(x)", "cuFFT"):
        return (xp.fft.ifftn if inverse else xp.fft.fftn)(x, axes=axes, norm=norm)


def _half(x: Any, axis: int) -> int:
    return int(x.shape[axis]) // 2 + 1


def _resized(x: Spec, axis: int, n: int, dtype: Any) -> Spec:
    shape = list(x.shape)
    shape[axis] = n
    return Spec(tuple(shape), dtype)


def _weights(n: int, axis: int, inner: float, dtype: Any) -> Array:
    """Return, along `axis`, 1 for the frequencies that stand once among n (0, and n / 2), `inner` for the others."""
    weights = np.full(n // 2 + 1, inner, dtype)
    weights[0] = 1
    if n % 2 == 0:
        weights[-1] = 1
    return weights.reshape(-1, *(1,) * (-axis - 1))


def _fourier_real_vjp(g: Array, ans: Any, x: Any, axis: int, norm: str) -> Array:
    """Re(sum over k <= n / 2 of g[k] exp(-2 pi i j k / n)), half of it as the inverse counts most frequencies twice."""
    n = x.shape[axis]
    return _fourier_half(multiply(conj(g), _weights(n, axis, 0.5, x.dtype)), n=n, axis=axis, norm=OTHER[norm])


@leaf(
    "fourier_real",
    infer=lambda x, *, axis, norm: _resized(x, axis, _half(x, axis), complex_of(x.dtype)),
    vjp=(_fourier_real_vjp,),
    linear=True,
    wide=True,
    samples=lambda: [
        sample((5,), axis=-1, norm="backward"),
        sample((6,), axis=-1, norm="ortho"),
        sample((2, 4, 3), axis=-2, norm="forward"),
        sample((3, 1), axis=-1, norm="backward"),
        sample((0, 4), axis=-1, norm="backward"),
    ],
)
def _fourier_real(xp: Any, x: Array, *, axis: int, norm: str) -> Array:
    """The frequencies 0 to n / 2 of real x; the others are their conjugates."""
    with library(xp, "rfft(x)", "cuFFT"):
        return xp.fft.rfft(x, axis=axis, norm=norm)


def _fourier_half_vjp(g: Array, ans: Any, x: Any, n: int, axis: int, norm: str) -> Array:
    return multiply(conj(_fourier_real(g, axis=axis, norm=OTHER[norm])), _weights(n, axis, 2.0, g.dtype))


@leaf(
    "fourier_half",
    infer=lambda x, *, n, axis, norm: _resized(x, axis, n, real_of(x.dtype)),
    vjp=(_fourier_half_vjp,),
    linear=True,
    wide=True,
    samples=lambda: _half_samples(),
)
def _fourier_half(xp: Any, x: Array, *, n: int, axis: int, norm: str) -> Array:
    """The n real numbers whose frequencies 0 to n / 2 are x (of 0 and n / 2, the real part)."""
    with library(xp, "irfft(x)", "cuFFT"):
        return xp.fft.irfft(x, n=n, axis=axis, norm=norm)


def _samples() -> list[Any]:
    return []


def _half_samples() -> list[Any]:
    return []


# -- what they take


def _check(call: str, x: Any, norm: str, real: bool = False) -> None:
    if x.dtype.kind not in ("f" if real else "fc"):
        need = "a floating dtype" if real else "a floating or complex dtype"
        raise DTypeError(message(f"{call}: not defined for {x.dtype}", [operand("x", x)], f"need {need}"))
    if norm not in OTHER:
        raise ValueError(f'{call}: norm is {norm!r}\n  need "backward", "ortho" or "forward"')


def _axis(call: str, x: Any, axis: int) -> int:
    """Return the axis, counted from the end."""
    return normalize_axis(call, axis, x.ndim) - int(x.ndim)


def _axes(call: str, x: Any, s: Sequence[int] | None, axes: Sequence[int] | None) -> tuple[list[int], list[int]]:
    """Return the axes, counted from the end, and the size along each: -1 where it stays."""
    if axes is None:
        axes = range(-(x.ndim if s is None else len(s)), 0)
    places = [_axis(call, x, axis) for axis in axes]
    sizes = [-1] * len(places) if s is None else list(s)
    if len(sizes) != len(places) or len(set(places)) != len(places) or not places:
        what = f"{call}: s is {s}, axes are {tuple(axes)}"
        raise ShapeError(message(what, [operand("x", x)], "need a size for each axis, each axis once, at least one"))
    return places, sizes


def _sized(call: str, x: Any, axis: int, n: int | None) -> Any:
    """Cut x to n elements along `axis`, or fill it up with zeros."""
    size = x.shape[axis]
    n = size if n in (None, -1) else n
    if n < 1:
        raise ShapeError(message(f"{call}: {n} elements along axis {axis}", [operand("x", x)], "need at least 1"))
    if n == size:
        return x
    if n < size:
        return op.getitem(x, (..., slice(0, n), *[slice(None)] * (-axis - 1)))
    widths = [(0, 0)] * x.ndim
    widths[axis] = (0, n - size)
    return pad(x, widths)


def _complex(x: Any) -> Any:
    return op.cast(x, complex_of(x.dtype))


def _transform(call: str, x: Any, places: Sequence[int], sizes: Sequence[Any], inverse: bool, norm: str) -> Any:
    x = _complex(x)
    for axis, n in zip(places, sizes, strict=True):
        x = _sized(call, x, axis, n)
    return _fourier(x, axes=tuple(places), inverse=inverse, norm=norm)
