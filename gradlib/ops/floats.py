"""Functions that look at how a floating number is made (sign, neighbour), and sums that neither overflow nor cancel."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import op, sample
from ..spec import bool_
from .arithmetic import divide, multiply, subtract
from .comparisons import equal, isinf, logical_and, where
from .elementwise import as_array, elementwise, no_slope, pairs, unary
from .order import sign

__all__ = ["copysign", "hypot", "logaddexp", "nextafter", "signbit"]

Array = Any


def _with_zeros(*shape: int) -> Any:
    return lambda rng: rng.choice([0.0, -0.0, 1.5, -2.0, np.inf, -np.inf], shape)


@elementwise("signbit", takes="floating", gives=bool_, expr="fn::copysign(A(1), x) < A(0)", samples=unary(_with_zeros))
def signbit(xp: Any, x: Array) -> Array:
    """y = whether the sign of x is minus, that of -0 too."""
    return xp.signbit(x)


def _away(*shape: int) -> Any:
    return lambda rng: rng.choice([-1.0, 1.0], shape) * rng.uniform(0.2, 3.0, shape)


@elementwise(
    "copysign",
    takes="floating",
    vjp=(
        lambda g, ans, x1, x2: multiply(multiply(g, sign(as_array(x1, g))), op.copysign(as_array(1.0, g), x2)),
        lambda g, ans, x1, x2: no_slope(g, ans, x2),
    ),
    saves=("x1 x2", ""),
    expr="fn::copysign(x1, x2)",
    samples=pairs(_away, _away),
)
def copysign(xp: Any, x1: Array, x2: Array) -> Array:
    """y = abs(x1) with the sign of x2.

    Derivative: in x1, -1 where the sign changes, else 1, but 0 at 0 as that of `abs`; in x2, zero.
    """
    return xp.copysign(x1, x2)


@elementwise(
    "nextafter",
    takes="floating",
    vjp=(lambda g, ans, x1, x2: g, lambda g, ans, x1, x2: no_slope(g, ans, x2)),
    moves=True,  # the neighbour in float32 of a float16 is itself, once rounded
    samples=lambda: [sample(*s.args, smooth=False) for s in pairs()()],
)
def nextafter(xp: Any, x1: Array, x2: Array) -> Array:
    """y = the next number after x1 towards x2 in the dtype.  Derivative: that of x1, of which it is a rounding."""
    return xp.nextafter(x1, x2)


def _share(g: Any, ans: Any, x: Any) -> Any:
    """g x / ans, and 0 at the origin, where there is no slope."""
    return multiply(g, divide(x, where(equal(ans, 0), 1.0, ans)))


@elementwise(
    "hypot",
    takes="floating",
    vjp=(lambda g, ans, x1, x2: _share(g, ans, x1), lambda g, ans, x1, x2: _share(g, ans, x2)),
    saves=("x1 ans", "x2 ans"),
    expr="fn::hypot(x1, x2)",
    samples=pairs(),
)
def hypot(xp: Any, x1: Array, x2: Array) -> Array:
    """y = sqrt(x1^2 + x2^2), without overflow in between.  Derivative: (x1, x2) / y, 0 at the origin."""
    return xp.hypot(x1, x2)


def _weight(g: Any, x1: Any, x2: Any) -> Any:
    """g e^x1 / (e^x1 + e^x2); half of g where both are the same infinity."""
    x1, x2 = as_array(x1, g), as_array(x2, g)
    same = logical_and(equal(x1, x2), isinf(x1))
    return multiply(g, op.sigmoid(where(same, 0.0, subtract(x1, x2))))


@elementwise(
    "logaddexp",
    takes="floating",
    vjp=(lambda g, ans, x1, x2: _weight(g, x1, x2), lambda g, ans, x1, x2: _weight(g, x2, x1)),
    saves=("x1 x2", "x1 x2"),
    expr="x1 == x2 ? x1 + A(0.693147180559945309) : (x1 > x2 ? x1 : x2) + fn::log1p(fn::exp(-fn::fabs(x1 - x2)))",
    samples=pairs(),
)
def logaddexp(xp: Any, x1: Array, x2: Array) -> Array:
    """y = log(e^x1 + e^x2), without overflow.  Derivative: the softmax of the two."""
    return xp.logaddexp(x1, x2)


op.register(copysign=copysign, hypot=hypot, logaddexp=logaddexp, nextafter=nextafter, signbit=signbit)
