"""Sign, size and order: the larger and the smaller of two, and what lies between bounds."""

from __future__ import annotations

import math
from typing import Any

from ..core import apart, op, sample
from ..spec import is_complex, is_floating, real_of
from .arithmetic import divide, multiply
from .comparisons import equal, greater_equal, less_equal, logical_and, where
from .elementwise import elementwise, no_slope, pairs, unary
from .operands import of_arrays

__all__ = ["abs", "clip", "maximum", "minimum", "sign"]


@elementwise("sign", takes="real number", vjp=(no_slope,), expr="sign_of(x)", samples=unary(apart))
def _sign(xp: Any, x: Any) -> Any:
    """y = -1, 0 or 1 as x is negative, zero or positive; NaN stays.  Derivative: zero."""
    return xp.sign(x)


@of_arrays
def sign(x: Any) -> Any:
    """Return -1, 0 or 1 as x is negative, zero or positive, or x / abs(x) of a complex x; NaN stays.

    Derivative: zero, or for complex x that of x / abs(x).
    """
    if not is_complex(x.dtype):
        return _sign(x)
    size = abs(x)
    zero = equal(size, 0)
    return where(zero, 0.0, divide(x, where(zero, 1.0, size)))


def _abs_jvp(ts: Any, ans: Any, x: Any) -> Any:
    return op.real(multiply(ts[0], op.conj(sign(x))))


@elementwise(
    "abs",
    gives=real_of,
    vjp=(lambda g, ans, x: multiply(g, op.conj(sign(x))),),
    jvp=_abs_jvp,
    saves=("x",),
    expr="x < A(0) ? A(-x) : A(x + A(0))",
    samples=unary(apart),
)
def abs(xp: Any, x: Any) -> Any:
    """y = abs(x), real also for complex x.  Derivative: sign(x), so 0 at 0; its conjugate for complex x."""
    return xp.abs(x)


def _untied() -> list[Any]:
    """Pairs that are nowhere equal nor close, and one sample with many ties."""

    def whole(*shape: int) -> Any:
        return lambda rng: rng.permutation(math.prod(shape)).reshape(shape) * 1.0

    def half(*shape: int) -> Any:
        return lambda rng: rng.permutation(math.prod(shape)).reshape(shape) + 0.5

    def tied(*shape: int) -> Any:
        return lambda rng: rng.integers(0, 2, shape) * 1.0

    return [*pairs(whole, half)(), sample(tied(3, 5), tied(5), smooth=False)]


@elementwise("ahead", takes="floating", expr="x1 > x2 ? A(1) : x1 == x2 ? A(0.5) : A(0)", samples=_untied)
def _ahead(xp: Any, x1: Any, x2: Any) -> Any:
    """y = 1 where x1 > x2, 1/2 where they are equal, 0 elsewhere: the share of x1 in their maximum's gradient."""
    share = xp.add(x1 > x2, x1 >= x2, dtype=x1.dtype)
    return share * 0.5


@elementwise(
    "maximum",
    takes="real",
    vjp=(
        lambda g, ans, x1, x2: multiply(g, _ahead(x1, x2)),
        lambda g, ans, x1, x2: multiply(g, _ahead(x2, x1)),
    ),
    saves=("x1 x2", "x1 x2"),
    expr="x1 > x2 || x1 != x1 ? x1 : x2",
    samples=_untied,
)
def maximum(xp: Any, x1: Any, x2: Any) -> Any:
    """y = the larger of x1 and x2; NaN if either is.  Derivative: where they are equal each gets half."""
    return xp.maximum(x1, x2)


@elementwise(
    "minimum",
    takes="real",
    vjp=(
        lambda g, ans, x1, x2: multiply(g, _ahead(x2, x1)),
        lambda g, ans, x1, x2: multiply(g, _ahead(x1, x2)),
    ),
    saves=("x1 x2", "x1 x2"),
    expr="x1 < x2 || x1 != x1 ? x1 : x2",
    samples=_untied,
)
def minimum(xp: Any, x1: Any, x2: Any) -> Any:
    """y = the smaller of x1 and x2; NaN if either is.  Derivative: where they are equal each gets half."""
    return xp.minimum(x1, x2)


@elementwise(
    "clip",
    vjp=(lambda g, ans, x, min, max: where(logical_and(greater_equal(x, min), less_equal(x, max)), g, 0.0),),
    saves=("x",),
    takes="floating",
    expr="x < A(min) ? A(min) : x > A(max) ? A(max) : x",
    samples=lambda: [
        sample(apart(3, 7), min=-0.52, max=0.73),
        sample(apart(5), min=float("-inf"), max=0.0),
        sample((0,), min=0.0, max=1.0),
        sample(lambda rng: rng.integers(-2, 3, (4, 5)) * 1.0, min=-1.0, max=1.0, smooth=False),
    ],
)
def _clip(xp: Any, x: Any, *, min: float, max: float) -> Any:
    """y = x held between two numbers.  Derivative: 1 where min <= x <= max, else 0."""
    return xp.clip(x, min, max)


_NUMBER = (int, float, type(None))


@of_arrays
def clip(x: Any, min: Any = None, max: Any = None) -> Any:
    """Return x held between min and max, each a number, an array or None.

    The derivative is 1 where min <= x <= max and 0 elsewhere; for arrays it is that of `maximum` and `minimum`.
    """
    if is_floating(x.dtype) and isinstance(min, _NUMBER) and isinstance(max, _NUMBER):
        low = -math.inf if min is None else float(min)
        return _clip(x, min=low, max=math.inf if max is None else float(max))
    x = x if min is None else maximum(x, min)
    return x if max is None else minimum(x, max)


op.register(abs=abs, clip=clip, maximum=maximum, minimum=minimum, sign=sign)
