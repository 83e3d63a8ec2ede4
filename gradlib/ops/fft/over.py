"""Fourier transforms over several axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..operands import of_arrays, widened
from .operands import check, several, sized
from .primitives import fourier, fourier_half, fourier_real

__all__ = ["fftn", "ifftn", "irfftn", "rfftn"]

Sizes = Sequence[int] | None


def _both(call: str, x: Any, s: Sizes, axes: Sizes, norm: str, inverse: bool) -> Any:
    check(call, x, norm)
    places, sizes = several(call, x, s, axes)
    for axis, n in zip(places, sizes, strict=True):
        x = sized(call, x, axis, n)
    return fourier(x, axes=tuple(places), inverse=inverse, norm=norm)


@of_arrays
@widened
def fftn(x: Any, /, *, s: Sizes = None, axes: Sizes = None, norm: str = "backward") -> Any:
    """y = `fft` of x along each of the axes.

    Parameters
    ----------
    x : floating or complex.
    s : how many elements along each axis are transformed: x is cut, or filled up with zeros; -1 for all.
    axes : along which; all for None, or the last ones if `s` is given.
    norm : as in `fft`, for each axis.

    Returns
    -------
    a complex array with s elements along the axes.

    Raises
    ------
    ShapeError : there is no such axis, no element along one, an axis twice, or not a size for each.
    DTypeError, ValueError, DeviceError : as `fft`.

    Notes
    -----
    Derivative: every order (linear).  Kernel: NumPy's pocketfft, cuFFT on ``cuda``.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.fft.fftn(gl.ones((2, 2)))
    tensor([[4.+0.j, 0.+0.j],
            [0.+0.j, 0.+0.j]], dtype=complex64)
    """
    return _both("fftn(x)", x, s, axes, norm, False)


@of_arrays
@widened
def ifftn(x: Any, /, *, s: Sizes = None, axes: Sizes = None, norm: str = "backward") -> Any:
    """y = `ifft` of x along each of the axes, the inverse of `fftn`.

    Parameters
    ----------
    x : floating or complex.
    s, axes, norm : as in `fftn`.

    Returns
    -------
    a complex array with s elements along the axes.

    Raises
    ------
    ShapeError, DTypeError, ValueError, DeviceError : as `fftn`.

    Notes
    -----
    Derivative: every order (linear).  Kernel: NumPy's pocketfft, cuFFT on ``cuda``.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.fft.ifftn(gl.ones((2, 2)))
    tensor([[1.+0.j, 0.+0.j],
            [0.+0.j, 0.+0.j]], dtype=complex64)
    """
    return _both("ifftn(x)", x, s, axes, norm, True)


@of_arrays
@widened
def rfftn(x: Any, /, *, s: Sizes = None, axes: Sizes = None, norm: str = "backward") -> Any:
    """y = `rfft` of real x along the last of the axes, then `fft` along the others.

    Parameters
    ----------
    x : floating.
    s, axes, norm : as in `fftn`.

    Returns
    -------
    a complex array with s elements along the axes, but s // 2 + 1 along the last.

    Raises
    ------
    DTypeError : x is not floating.
    ShapeError, ValueError, DeviceError : as `fftn`.

    Notes
    -----
    Derivative: every order (linear).  Kernel: NumPy's pocketfft, cuFFT on ``cuda``.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.fft.rfftn(gl.ones((4, 6))).shape
    (4, 4)
    """
    check("rfftn(x)", x, norm, real=True)
    places, sizes = several("rfftn(x)", x, s, axes)
    for axis, n in zip(places, sizes, strict=True):
        x = sized("rfftn(x)", x, axis, n)
    y = fourier_real(x, axis=places[-1], norm=norm)
    return fourier(y, axes=tuple(places[:-1]), inverse=False, norm=norm) if places[1:] else y


@of_arrays
@widened
def irfftn(x: Any, /, *, s: Sizes = None, axes: Sizes = None, norm: str = "backward") -> Any:
    """y = the real array whose `rfftn` is x, the inverse of `rfftn`.

    Parameters
    ----------
    x : floating or complex.
    s : how many elements the result has along each axis: by default, and for -1, those of x, and 2 (m - 1) for m along
        the last (where NumPy takes -1 for m).
    axes, norm : as in `fftn`.

    Returns
    -------
    a real array with s elements along the axes.

    Raises
    ------
    ShapeError, DTypeError, ValueError, DeviceError : as `fftn`.

    Notes
    -----
    Derivative: every order (linear).  Kernel: NumPy's pocketfft, cuFFT on ``cuda``.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.fft.irfftn(gl.fft.rfftn(gl.ones((2, 3))), s=(2, 3))
    tensor([[1., 1., 1.],
            [1., 1., 1.]], dtype=float32)
    """
    call = "irfftn(x)"
    check(call, x, norm)
    places, sizes = several(call, x, s, axes)
    n = 2 * (x.shape[places[-1]] - 1) if s is None or sizes[-1] == -1 else sizes[-1]
    for axis, size in zip(places, [*sizes[:-1], n // 2 + 1 if n > 0 else n], strict=True):
        x = sized(call, x, axis, size)
    if places[1:]:
        x = fourier(x, axes=tuple(places[:-1]), inverse=True, norm=norm)
    return fourier_half(x, n=n, axis=places[-1], norm=norm)
