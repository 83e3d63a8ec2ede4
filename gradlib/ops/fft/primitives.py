"""The three linear ops of which every Fourier transform is made; the transpose of each is one of them again.

Their axes count from the end, so that a batch may stand in front; their sizes are those of the input.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core import leaf, sample
from ...spec import Spec, complex_of, real_of
from ..arithmetic import multiply
from ..complex_parts import conj
from ..linalg.host import require

__all__ = ["OTHER", "fourier", "fourier_half", "fourier_real"]

Array = Any
OTHER = {"backward": "forward", "ortho": "ortho", "forward": "backward"}  # the norm of the opposite direction


def _fourier_vjp(g: Array, ans: Any, x: Any, axes: tuple[int, ...], inverse: bool, norm: str) -> Array:
    return fourier(g, axes=axes, inverse=inverse, norm=norm)


@leaf(
    "fourier",
    infer=lambda x, *, axes, inverse, norm: Spec(x.shape, complex_of(x.dtype)),
    vjp=(_fourier_vjp,),
    linear=True,
    wide=True,
    complex=True,
    samples=lambda: [
        sample((5,), axes=(-1,), inverse=False, norm="backward"),
        sample((3, 4), axes=(-2, -1), inverse=True, norm="backward"),
        sample((2, 3, 4), axes=(-1, -3), inverse=False, norm="ortho"),
        sample((6, 2), axes=(-2,), inverse=True, norm="forward"),
        sample((3, 1), axes=(-1,), inverse=False, norm="backward"),
        sample((0, 4), axes=(-1,), inverse=False, norm="backward"),
    ],
)
def fourier(xp: Any, x: Array, *, axes: tuple[int, ...], inverse: bool, norm: str) -> Array:
    """y[k] = sum over j of x[j] exp(-+2 pi i j k / n) along each axis: a symmetric matrix, so its own transpose."""
    if x.size == 0:  # an empty batch, which cuFFT does not take
        return xp.zeros(x.shape, complex_of(x.dtype))
    require(xp, "fft(x)", "cuFFT")
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
    return fourier_half(multiply(conj(g), _weights(n, axis, 0.5, x.dtype)), n=n, axis=axis, norm=OTHER[norm])


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
def fourier_real(xp: Any, x: Array, *, axis: int, norm: str) -> Array:
    """The frequencies 0 to n / 2 of real x; the others are their conjugates."""
    if x.size == 0:
        return xp.zeros(_resized(x, axis, _half(x, axis), x.dtype).shape, complex_of(x.dtype))
    require(xp, "rfft(x)", "cuFFT")
    return xp.fft.rfft(x, axis=axis, norm=norm)


def _fourier_half_vjp(g: Array, ans: Any, x: Any, n: int, axis: int, norm: str) -> Array:
    return multiply(conj(fourier_real(g, axis=axis, norm=OTHER[norm])), _weights(n, axis, 2.0, g.dtype))


@leaf(
    "fourier_half",
    infer=lambda x, *, n, axis, norm: _resized(x, axis, n, real_of(x.dtype)),
    vjp=(_fourier_half_vjp,),
    linear=True,
    wide=True,
    complex=True,
    samples=lambda: [
        sample((3,), n=5, axis=-1, norm="backward"),
        sample((4,), n=6, axis=-1, norm="ortho"),
        sample((2, 3, 3), n=4, axis=-2, norm="forward"),
        sample((3, 1), n=1, axis=-1, norm="backward"),
        sample((0, 3), n=4, axis=-1, norm="backward"),
    ],
)
def fourier_half(xp: Any, x: Array, *, n: int, axis: int, norm: str) -> Array:
    """The n real numbers whose frequencies 0 to n / 2 are x (of 0 and n / 2, the real part)."""
    if x.size == 0:
        return xp.zeros(_resized(x, axis, n, x.dtype).shape, real_of(x.dtype))
    require(xp, "irfft(x)", "cuFFT")
    return xp.fft.irfft(x, n=n, axis=axis, norm=norm)
