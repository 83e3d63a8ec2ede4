"""Fourier transforms along one axis."""

from __future__ import annotations

from typing import Any

from ..complex_parts import conj
from ..operands import of_arrays, widened
from .operands import check, last, sized
from .primitives import OTHER, fourier, fourier_half, fourier_real

__all__ = ["fft", "hfft", "ifft", "ihfft", "irfft", "rfft"]


def _both(call: str, x: Any, n: int | None, axis: int, norm: str, inverse: bool) -> Any:
    check(call, x, norm)
    axis = last(call, x, axis)
    return fourier(sized(call, x, axis, n), axes=(axis,), inverse=inverse, norm=norm)


@of_arrays
@widened
def fft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """y[k] = sum over j of x[j] exp(-2 pi i j k / n).

    Parameters
    ----------
    x : floating or complex.
    n : how many elements along `axis` are transformed: x is cut, or filled up with zeros.
    axis : along which.
    norm : ``"backward"`` divides the inverse by n, ``"forward"`` this direction, ``"ortho"`` both by sqrt(n).

    Returns
    -------
    an array with n elements along `axis`: complex64 for float32 and complex64, complex128 for the wider ones.

    Raises
    ------
    ShapeError : there is no such axis, or no element along it.
    DTypeError : integers or booleans.
    ValueError : another `norm`.
    DeviceError : on ``cuda`` without cuFFT.

    Notes
    -----
    Derivative: every order (linear; the matrix is symmetric, so the transpose is the transform itself).
    Kernel: NumPy's pocketfft, cuFFT on ``cuda``.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.fft.fft(gl.tensor([1.0, 0.0, 0.0, 0.0]))
    tensor([1.+0.j, 1.+0.j, 1.+0.j, 1.+0.j], dtype=complex64)
    """
    return _both("fft(x)", x, n, axis, norm, False)


@of_arrays
@widened
def ifft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """y[j] = (1 / n) sum over k of x[k] exp(2 pi i j k / n), the inverse of `fft`.

    Parameters
    ----------
    x : floating or complex.
    n, axis, norm : as in `fft`.

    Returns
    -------
    a complex array with n elements along `axis`.

    Raises
    ------
    ShapeError, DTypeError, ValueError, DeviceError : as `fft`.

    Notes
    -----
    Derivative: every order (linear).  Kernel: NumPy's pocketfft, cuFFT on ``cuda``.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.fft.ifft(gl.ones(2))
    tensor([1.+0.j, 0.+0.j], dtype=complex64)
    """
    return _both("ifft(x)", x, n, axis, norm, True)


@of_arrays
@widened
def rfft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """y[k] = sum over j of x[j] exp(-2 pi i j k / n) for k = 0 ... n // 2: all of `fft` that a real x leaves open.

    Parameters
    ----------
    x : floating.
    n, axis, norm : as in `fft`.

    Returns
    -------
    an array with n // 2 + 1 elements along `axis`, complex.

    Raises
    ------
    DTypeError : x is not floating.
    ShapeError, ValueError, DeviceError : as `fft`.

    Notes
    -----
    Derivative: every order (linear).  Kernel: NumPy's pocketfft, cuFFT on ``cuda``.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.fft.rfft(gl.tensor([1.0, 2.0, 3.0, 4.0]))
    tensor([10.+0.j, -2.+2.j, -2.+0.j], dtype=complex64)
    """
    check("rfft(x)", x, norm, real=True)
    axis = last("rfft(x)", x, axis)
    return fourier_real(sized("rfft(x)", x, axis, n), axis=axis, norm=norm)


def _half(call: str, x: Any, n: int | None, axis: int, norm: str) -> Any:
    """Return the n real numbers whose first frequencies are x."""
    axis = last(call, x, axis)
    n = 2 * (x.shape[axis] - 1) if n is None else n
    return fourier_half(sized(call, x, axis, n // 2 + 1 if n > 0 else n), n=n, axis=axis, norm=norm)


@of_arrays
@widened
def irfft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """y = the n real numbers whose `rfft` is x, the inverse of `rfft`.

    Parameters
    ----------
    x : floating or complex; of the first element, and for an even n of the last, only the real part counts.
    n : how many elements the result has along `axis`: by default 2 (m - 1) for m of x, an even number.
    axis, norm : as in `fft`.

    Returns
    -------
    an array with n elements along `axis`, real.

    Raises
    ------
    ShapeError, DTypeError, ValueError, DeviceError : as `fft`.

    Notes
    -----
    Derivative: every order (linear).  Kernel: NumPy's pocketfft, cuFFT on ``cuda``.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.fft.irfft(gl.fft.rfft(gl.tensor([1.0, 2.0, 3.0])), n=3)
    tensor([1., 2., 3.], dtype=float32)
    """
    check("irfft(x)", x, norm)
    return _half("irfft(x)", x, n, axis, norm)


@of_arrays
@widened
def hfft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """y = the `fft`, which is real, of the n numbers x[0], x[1], ..., conj(x[1]) of which x gives the first half.

    Parameters
    ----------
    x : floating or complex; of the first element, and for an even n of the last, only the real part counts.
    n : how many elements the result has along `axis`: by default 2 (m - 1) for m of x, an even number.
    axis, norm : as in `fft`.

    Returns
    -------
    an array with n elements along `axis`, real.

    Raises
    ------
    ShapeError, DTypeError, ValueError, DeviceError : as `fft`.

    Notes
    -----
    Derivative: every order (linear over the real numbers).  Kernel: composition, as `irfft`.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.fft.hfft(gl.tensor([1.0, 0.5]), n=3)
    tensor([2. , 0.5, 0.5], dtype=float32)
    """
    check("hfft(x)", x, norm)
    return _half("hfft(x)", conj(x), n, axis, OTHER[norm])


@of_arrays
@widened
def ihfft(x: Any, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """y = the first n // 2 + 1 elements of the `ifft` of real x, the inverse of `hfft`.

    Parameters
    ----------
    x : floating.
    n, axis, norm : as in `fft`.

    Returns
    -------
    an array with n // 2 + 1 elements along `axis`, complex.

    Raises
    ------
    DTypeError : x is not floating.
    ShapeError, ValueError, DeviceError : as `fft`.

    Notes
    -----
    Derivative: every order (linear).  Kernel: composition, as `rfft`.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.fft.hfft(gl.fft.ihfft(gl.tensor([1.0, 2.0, 3.0])), n=3)
    tensor([1., 2., 3.], dtype=float32)
    """
    check("ihfft(x)", x, norm, real=True)
    axis = last("ihfft(x)", x, axis)
    return conj(fourier_real(sized("ihfft(x)", x, axis, n), axis=axis, norm=OTHER[norm]))
