"""The small matrix expressions of which the derivative rules are made.

A cotangent g pairs with a tangent t as Re(sum(g t)), without a conjugate (JAX's convention), so the transpose of a
complex-linear map is its plain transpose, and only what conjugates in the forward direction conjugates in its rule.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core import between, op
from ..arithmetic import add, multiply, negative, subtract
from ..complex_parts import conj
from ..elementwise import elementwise, pairs
from ..shape import matrix_transpose, reshape

Array = Any


def _ratio_vjp_x1(g: Array, ans: Any, x1: Any, x2: Array) -> Array:
    return ratio(g, x2)


def _ratio_vjp_x2(g: Array, ans: Array, x1: Any, x2: Array) -> Array:
    return negative(ratio(multiply(g, ans), x2))


@elementwise(
    "ratio",
    takes="analytic",
    vjp=(_ratio_vjp_x1, _ratio_vjp_x2),
    saves=("x2", "x2 ans"),
    expr="x2 != A(0) ? A(x1 / x2) : x1 == A(0) ? A(0) : A(x1 / x2 * A(0))",
    samples=pairs(None, lambda *shape: between(0.5, 2.0, *shape)),
)
def ratio(xp: Any, x1: Any, x2: Any) -> Any:
    """y = x1 / x2, where 0 / 0 is 0 and anything else over 0 is NaN.

    By it derivatives are divided by the gaps between eigenvalues: what nothing depends on stays 0 where a gap closes.
    """
    closed = x2 == 0
    y = x1 / xp.where(closed, xp.ones((), x2.dtype), x2)
    return xp.where(closed & (x1 != 0), xp.full((), np.nan, y.dtype), y)


def off_diagonal(x: Array) -> Array:
    """Return square matrices with zeros on their diagonals."""
    return multiply(x, 1 - np.eye(x.shape[-1], dtype=x.dtype))


def unit_diagonal(x: Array) -> Array:
    """Return square matrices with ones on their diagonals."""
    return add(off_diagonal(x), np.eye(x.shape[-1], dtype=x.dtype))


def gaps(values: Array) -> Array:
    """Return values[j] - values[i] at (i, j), and 1 on the diagonal."""
    return unit_diagonal(subtract(row(values), column(values)))


def imag_times_i(x: Array) -> Array:
    """Return i Im(x), of complex x."""
    return multiply(subtract(x, conj(x)), 0.5)


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
