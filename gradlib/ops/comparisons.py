"""Comparisons, logic, what is finite, and the choice between two values."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import booleans, integers, op, sample
from ..spec import bool_, complex_of, default_complex, default_float, int64, is_differentiable, promote
from .elementwise import elementwise, pairs, unary

__all__ = [
    "equal", "greater", "greater_equal", "isfinite", "isinf", "isnan", "less", "less_equal", "logical_and",
    "logical_not", "logical_or", "logical_xor", "not_equal", "where",
]  # fmt: skip


def _few_values(*shape: int) -> Any:
    return lambda rng: rng.integers(-1, 2, shape) * 1.0


def _with_infinities(*shape: int) -> Any:
    return lambda rng: rng.choice([1.0, -2.0, 0.0, np.inf, -np.inf, np.nan], shape)


_tied = pairs(_few_values, _few_values, smooth=False)


@elementwise("equal", takes="any", gives=bool_, expr="x1 == x2", samples=_tied)
def equal(xp: Any, x1: Any, x2: Any) -> Any:
    """y = whether x1 == x2."""
    return xp.equal(x1, x2)


@elementwise("not_equal", takes="any", gives=bool_, expr="x1 != x2", samples=_tied)
def not_equal(xp: Any, x1: Any, x2: Any) -> Any:
    """y = whether x1 != x2."""
    return xp.not_equal(x1, x2)


@elementwise("less", takes="real", gives=bool_, expr="x1 < x2", samples=_tied)
def less(xp: Any, x1: Any, x2: Any) -> Any:
    """y = whether x1 < x2."""
    return xp.less(x1, x2)


@elementwise("less_equal", takes="real", gives=bool_, expr="x1 <= x2", samples=_tied)
def less_equal(xp: Any, x1: Any, x2: Any) -> Any:
    """y = whether x1 <= x2."""
    return xp.less_equal(x1, x2)


@elementwise("greater", takes="real", gives=bool_, expr="x1 > x2", samples=_tied)
def greater(xp: Any, x1: Any, x2: Any) -> Any:
    """y = whether x1 > x2."""
    return xp.greater(x1, x2)


@elementwise("greater_equal", takes="real", gives=bool_, expr="x1 >= x2", samples=_tied)
def greater_equal(xp: Any, x1: Any, x2: Any) -> Any:
    """y = whether x1 >= x2."""
    return xp.greater_equal(x1, x2)


# -- logic: zero is false, everything else (NaN too) is true


@elementwise("logical_and", takes="real", gives=bool_, expr="x1 != A(0) && x2 != A(0)", samples=_tied)
def logical_and(xp: Any, x1: Any, x2: Any) -> Any:
    """y = whether x1 and x2 are both not zero."""
    return xp.logical_and(x1, x2)


@elementwise("logical_or", takes="real", gives=bool_, expr="x1 != A(0) || x2 != A(0)", samples=_tied)
def logical_or(xp: Any, x1: Any, x2: Any) -> Any:
    """y = whether x1 or x2 is not zero."""
    return xp.logical_or(x1, x2)


@elementwise("logical_xor", takes="real", gives=bool_, expr="(x1 != A(0)) != (x2 != A(0))", samples=_tied)
def logical_xor(xp: Any, x1: Any, x2: Any) -> Any:
    """y = whether exactly one of x1 and x2 is not zero."""
    return xp.logical_xor(x1, x2)


@elementwise("logical_not", takes="real", gives=bool_, expr="x == A(0)", samples=unary(_few_values, smooth=False))
def logical_not(xp: Any, x: Any) -> Any:
    """y = whether x is zero."""
    return xp.logical_not(x)


# -- what is a number


@elementwise("isnan", takes="any", gives=bool_, expr="x != x", samples=unary(_with_infinities, smooth=False))
def isnan(xp: Any, x: Any) -> Any:
    """y = whether x is NaN."""
    return xp.isnan(x)


@elementwise(
    "isinf", takes="any", gives=bool_, expr="x == x && x - x != x - x", samples=unary(_with_infinities, smooth=False)
)
def isinf(xp: Any, x: Any) -> Any:
    """y = whether x is infinite."""
    return xp.isinf(x)


@elementwise("isfinite", takes="any", gives=bool_, expr="x - x == A(0)", samples=unary(_with_infinities, smooth=False))
def isfinite(xp: Any, x: Any) -> Any:
    """y = whether x is neither infinite nor NaN."""
    return xp.isfinite(x)


# -- choice


def _where_samples() -> list[Any]:
    return [
        sample(booleans(3, 5), (3, 5), (3, 5)),
        sample(booleans(5), (3, 1), ()),
        sample(booleans(4, 1, 1), (1, 3, 1), (2,)),
        sample(booleans(1), (1,), (1,)),
        sample(booleans(0, 2), (2,), (0, 1)),
        sample(booleans(3), integers(0, 9, 3), integers(0, 9, 3)),
    ]


@elementwise(
    "where",
    takes="any",
    promote="none",
    vjp=(
        None,
        lambda g, ans, condition, x1, x2: where(condition, g, 0.0),
        lambda g, ans, condition, x1, x2: where(condition, 0.0, g),
    ),
    saves=("", "condition", "condition"),
    expr="condition ? x1 : x2",
    samples=_where_samples,
)
def _where(xp: Any, condition: Any, x1: Any, x2: Any) -> Any:
    """y = x1 where condition holds, x2 elsewhere."""
    return xp.where(condition, x1, x2)


def where(condition: Any, x1: Any, x2: Any) -> Any:
    """Return x1 where `condition` holds and x2 elsewhere; x1 or x2 may be a Python number.

    Shapes broadcast.  The gradient goes to the one chosen; a value not chosen gets exactly 0, whatever it is.

    >>> import gradlib as gl
    >>> gl.where(gl.tensor([True, False]), gl.tensor([1.0, 2.0]), 0.0)
    tensor([1., 0.], dtype=float32)
    """
    if not hasattr(x1, "dtype"):
        x1 = _constant(x1, x2)
    if not hasattr(x2, "dtype"):
        x2 = _constant(x2, x1)
    if x1.dtype is not x2.dtype:
        dtype = promote((x1.dtype, x2.dtype))
        x1, x2 = op.cast(x1, dtype=dtype), op.cast(x2, dtype=dtype)
    if not hasattr(condition, "dtype"):
        condition = np.asarray(condition, bool)
    elif condition.dtype is not bool_:
        condition = op.not_equal(condition, 0)
    return _where(condition, x1, x2)


def _constant(value: Any, other: Any) -> Any:
    """A Python number as an array of the dtype of the other operand, where it fits that."""
    dtype = getattr(other, "dtype", None)
    if isinstance(value, complex):
        dtype = default_complex if dtype is None or not is_differentiable(dtype) else complex_of(dtype)
    elif dtype is None or (isinstance(value, float) and not is_differentiable(dtype)):
        dtype = default_float if isinstance(value, float) or isinstance(other, float) else int64
    elif dtype == bool_ and not isinstance(value, bool):
        dtype = int64
    return np.asarray(value, dtype)


op.register(
    equal=equal, greater=greater, greater_equal=greater_equal, isfinite=isfinite, isinf=isinf, isnan=isnan, less=less,
    less_equal=less_equal, logical_and=logical_and, logical_not=logical_not, logical_or=logical_or,
    logical_xor=logical_xor, not_equal=not_equal, where=where,
)  # fmt: skip
