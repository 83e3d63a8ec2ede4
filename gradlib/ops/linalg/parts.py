"""The small matrix expressions of which the derivative rules are made.

A cotangent g pairs with a tangent t as Re(sum(g t)), without a conjugate (JAX's convention), so the transpose of a
complex-linear map is its plain transpose, and only what conjugates in the forward direction conjugates in its rule.
"""

from __future__ import annotations

from typing import Any

from ...core import op
from ..arithmetic import add, multiply, subtract
from ..shape import matrix_transpose, reshape

Array = Any


def is_complex(x: Any) -> bool:
    return bool(x.dtype.kind == "c")


def conj(x: Array) -> Array:
    return op.conj(x) if is_complex(x) else x


def real(x: Array) -> Array:
    return op.real(x) if is_complex(x) else x


def imag_times_i(x: Array) -> Array:
    """Return i Im(x), of complex x."""
    return multiply(subtract(x, op.conj(x)), 0.5)


def like(x: Array, dtype: Any) -> Array:
    """Return the real x as the dtype of what it is multiplied by."""
    return x if x.dtype == dtype else op.cast(x, dtype=dtype)


def adjoint(x: Array) -> Array:
    """Return the conjugate transpose."""
    return conj(matrix_transpose(x))


def hermitian(x: Array) -> Array:
    """Return (x + x^H) / 2."""
    return multiply(add(x, adjoint(x)), 0.5)


def product(*xs: Array) -> Array:
    """Return the product of matrices, from the left."""
    y = xs[0]
    for x in xs[1:]:
        y = op.matmul(y, x)
    return y


def column(x: Array) -> Array:
    """Return vectors (..., n) as (..., n, 1): times a matrix, they scale its rows."""
    return reshape(x, (*x.shape, 1))


def row(x: Array) -> Array:
    """Return vectors (..., n) as (..., 1, n): times a matrix, they scale its columns."""
    return reshape(x, (*x.shape[:-1], 1, x.shape[-1]))


def scalar(x: Array) -> Array:
    """Return numbers (...) as (..., 1, 1): times a matrix, they scale it."""
    return reshape(x, (*x.shape, 1, 1))


def minus(x: Array | None, y: Array) -> Array:
    """Return x - y, where None is zero."""
    return op.negative(y) if x is None else subtract(x, y)


def plus(x: Array | None, y: Array | None) -> Array | None:
    """Return x + y, where None is zero, and both None is None."""
    if x is None or y is None:
        return y if x is None else x
    return add(x, y)


def columns(x: Array, start: int | None, stop: int | None) -> Array:
    return op.getitem(x, (..., slice(start, stop)))


def rows(x: Array, start: int | None, stop: int | None) -> Array:
    return op.getitem(x, (..., slice(start, stop), slice(None)))
