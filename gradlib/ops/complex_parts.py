"""The parts of complex numbers: real and imaginary part, conjugate, angle; and complex numbers made of them.

Derivatives are JAX's.  A cotangent g of a complex y pairs with a tangent t as Re(g t), without a conjugate.  So the
rule of a holomorphic op is that of the real one, g f'(x), and the ops here, which are only linear over the real
numbers, have rules of their own.  The gradient of a real function of z = x + iy comes out as df/dx - i df/dy.
"""

from __future__ import annotations

from typing import Any

from ..core import leaf, op
from ..spec import Spec, broadcast_shapes, complex_of, is_complex, real_of
from .arithmetic import negative
from .elementwise import cast, elementwise, pairs, unary
from .functions import atan2
from .operands import of_arrays

__all__ = ["angle", "complex", "conj", "imag", "real"]

Array = Any


@leaf(
    "complex",
    infer=lambda real, imag: Spec(
        broadcast_shapes("complex(real, imag)", real.shape, imag.shape), complex_of(real.dtype)
    ),
    vjp=(lambda g, ans, re, im: real(g), lambda g, ans, re, im: negative(imag(g))),
    linear=True,
    promote="float",
    broadcasts=True,
    samples=pairs(),
)
def _complex(xp: Any, real: Array, imag: Array) -> Array:
    """y = real + i imag."""
    real, imag = xp.broadcast_arrays(real, imag)
    y = xp.empty(real.shape, complex_of(real.dtype))
    y.real = real
    y.imag = imag
    return y


def complex(real: Any, imag: Any) -> Any:
    """Return real + i imag, of real arrays or numbers: complex64, or complex128 if one of them is float64.

    >>> import gradlib as gl
    >>> gl.complex(gl.tensor([1.0, 2.0]), 3.0)
    tensor([1.+3.j, 2.+3.j], dtype=complex64)
    """
    return _complex(real, imag)


@elementwise("conj", vjp=(lambda g, ans, x: conj(g),), linear=True, samples=unary())
def _conj(xp: Any, x: Array) -> Array:
    """y = the complex conjugate of x."""
    return xp.conj(x)


@of_arrays
def conj(x: Any) -> Any:
    """Return the complex conjugate of x; x itself if it is real.  Derivative: not holomorphic; g becomes conj(g)."""
    return _conj(x) if is_complex(x.dtype) else x


@elementwise("real", gives=real_of, vjp=(lambda g, ans, x: cast(g, x.dtype),), linear=True, view=True, samples=unary())
def _real(xp: Any, x: Array) -> Array:
    """y = the real part of x."""
    return x.real


@of_arrays
def real(x: Any) -> Any:
    """Return the real part of x, as a view; x itself if it is real."""
    return _real(x) if is_complex(x.dtype) else x


def _imag_vjp(g: Any, ans: Any, x: Any) -> Any:
    """-i g, made of its parts: a product would make NaN of an infinite g."""
    return op.demote(_complex(op.zeros_like(g), negative(g)), x.dtype)


@elementwise("imag", gives=real_of, vjp=(_imag_vjp,), linear=True, view=True, samples=unary())
def _imag(xp: Any, x: Array) -> Array:
    """y = the imaginary part of x."""
    return x.imag


@of_arrays
def imag(x: Any) -> Any:
    """Return the imaginary part of x, as a view; zeros if x is real."""
    return _imag(x) if is_complex(x.dtype) else op.zeros_like(x)


def angle(x: Any) -> Any:
    """Return the angle of x in the complex plane, ``atan2(imag(x), real(x))``, in (-pi, pi].

    >>> import gradlib as gl
    >>> gl.angle(gl.tensor([1j, -1.0]))
    tensor([1.5707964, 3.1415927], dtype=float32)
    """
    return atan2(imag(x), real(x))


op.register(angle=angle, complex=complex, conj=conj, imag=imag, real=real)
