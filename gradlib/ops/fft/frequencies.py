"""Which frequency stands where, and in what order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...core import Tensor, current_backend
from ...errors import DTypeError, ShapeError
from ...spec import as_dtype, default_float, is_floating, normalize_axes
from ..join import roll
from ..operands import of_arrays

__all__ = ["fftfreq", "fftshift", "ifftshift", "rfftfreq"]


def _placed(call: str, values: Any, n: int, d: float, dtype: Any, device: str | None) -> Tensor:
    if n < 1:
        raise ShapeError(f"{call}: n is {n}\n  need n >= 1")
    dtype = default_float if dtype is None else as_dtype(dtype)
    if not is_floating(dtype):
        raise DTypeError(f"{call}: dtype is {dtype}\n  need a floating dtype")
    return Tensor(current_backend(device).asarray(values(n, d).astype(dtype)))


def fftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: str | None = None) -> Tensor:
    """f[k] = k / (n d) for k = 0, 1, ..., then the negative ones: the frequency of each element of `fft`.

    Parameters
    ----------
    n : how many elements.
    d : the distance between two samples.
    dtype : a floating one; float32 by default.
    device : as for the other functions that make tensors.

    Returns
    -------
    Tensor (n,) : in cycles per unit of `d`.

    Raises
    ------
    ShapeError : n < 1.
    DTypeError : not a floating dtype.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.fft.fftfreq(4)
    tensor([ 0.  ,  0.25, -0.5 , -0.25], dtype=float32)
    """
    return _placed("fftfreq(n)", np.fft.fftfreq, n, d, dtype, device)


def rfftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: str | None = None) -> Tensor:
    """f[k] = k / (n d) for k = 0 ... n // 2: the frequency of each element of `rfft`.

    Parameters
    ----------
    n, d, dtype, device : as in `fftfreq`.

    Returns
    -------
    Tensor (n // 2 + 1,) : in cycles per unit of `d`.

    Raises
    ------
    ShapeError, DTypeError : as `fftfreq`.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.fft.rfftfreq(4)
    tensor([0.  , 0.25, 0.5 ], dtype=float32)
    """
    return _placed("rfftfreq(n)", np.fft.rfftfreq, n, d, dtype, device)


@of_arrays
def fftshift(x: Any, /, *, axes: int | Sequence[int] | None = None) -> Any:
    """Return x with the frequency 0 in the middle of each of the axes (of all for None).

    Parameters
    ----------
    x : of any dtype, in the order of `fft` along the axes.
    axes : along which.

    Returns
    -------
    an array of the same shape.

    Raises
    ------
    ShapeError : there is no such axis.

    Notes
    -----
    Derivative: every order (a permutation).  Kernel: composition, `roll`.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.fft.fftshift(gl.fft.fftfreq(4))
    tensor([-0.5 , -0.25,  0.  ,  0.25], dtype=float32)
    """
    places = normalize_axes("fftshift(x, axes)", axes, x.ndim)
    return roll(x, tuple(x.shape[a] // 2 for a in places), places)


@of_arrays
def ifftshift(x: Any, /, *, axes: int | Sequence[int] | None = None) -> Any:
    """Return x with the frequency 0 back in the first place: the inverse of `fftshift`.

    Parameters
    ----------
    x, axes : as in `fftshift`.

    Returns
    -------
    an array of the same shape.

    Raises
    ------
    ShapeError : there is no such axis.

    Notes
    -----
    Derivative: every order (a permutation).  Kernel: composition, `roll`.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.fft.ifftshift(gl.tensor([-1.0, 0.0, 1.0]))
    tensor([ 0.,  1., -1.], dtype=float32)
    """
    places = normalize_axes("ifftshift(x, axes)", axes, x.ndim)
    return roll(x, tuple(-(x.shape[a] // 2) for a in places), places)
