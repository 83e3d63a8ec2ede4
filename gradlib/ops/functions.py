"""Elementary functions: exponentials, roots, trigonometry, rounding, the error function."""

from __future__ import annotations

import math
from typing import Any

from ..core import between, op, sample
from ..spec import is_complex
from .arithmetic import divide, multiply, negative, square, subtract
from .elementwise import as_array, elementwise, no_slope, pairs, unary
from .special import by_blocks, erf_block, erfc_block

__all__ = [
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "ceil", "cos", "cosh", "erf", "erfc", "exp", "expm1",
    "floor", "log", "log1p", "log2", "log10", "round", "rsqrt", "sin", "sinh", "sqrt", "tan", "tanh", "trunc",
]  # fmt: skip


def _positive(*shape: int) -> Any:
    return between(0.5, 2.0, *shape)


def _inside(*shape: int) -> Any:
    return between(-0.8, 0.8, *shape)


# -- exponentials and logarithms


@elementwise(
    "exp", takes="analytic", vjp=(lambda g, ans, x: multiply(g, ans),), saves=("ans",), expr="fn::exp(x)",
    samples=unary(),
)  # fmt: skip
def exp(xp: Any, x: Any) -> Any:
    """y = e^x."""
    return xp.exp(x)


@elementwise(
    "expm1", takes="analytic", vjp=(lambda g, ans, x: multiply(g, op.add(ans, 1.0)),), saves=("ans",),
    expr="fn::expm1(x)", samples=unary(),
)  # fmt: skip
def expm1(xp: Any, x: Any) -> Any:
    """y = e^x - 1, accurate near 0."""
    return _expm1_of_complex(xp, x) if x.dtype.kind == "c" else xp.expm1(x)


def _expm1_of_complex(xp: Any, z: Any) -> Any:
    """(e^x - 1) cos y - 2 sin^2(y / 2) + i e^x sin y for z = x + iy, with C99's values at infinity, unlike NumPy's."""
    x, y = z.real, z.imag
    result = xp.empty_like(z)
    result.real = xp.where(
        xp.isinf(x) & ~xp.isfinite(y), xp.expm1(x), 0 + xp.expm1(x) * xp.cos(y) - 2 * xp.square(xp.sin(y / 2))
    )
    result.imag = xp.where(y == 0, y, xp.where(xp.isneginf(x) & ~xp.isfinite(y), 0, xp.exp(x) * xp.sin(y)))
    return result


@elementwise(
    "log", takes="analytic", vjp=(lambda g, ans, x: divide(g, x),), saves=("x",), expr="fn::log(x)",
    samples=unary(_positive),
)  # fmt: skip
def log(xp: Any, x: Any) -> Any:
    """y = ln x."""
    return xp.log(x)


@elementwise(
    "log1p", takes="analytic", vjp=(lambda g, ans, x: divide(g, op.add(x, 1.0)),), saves=("x",), expr="fn::log1p(x)",
    samples=unary(_positive),
)  # fmt: skip
def log1p(xp: Any, x: Any) -> Any:
    """y = ln(1 + x), accurate near 0."""
    return xp.log1p(x)


@elementwise(
    "log2", takes="analytic", vjp=(lambda g, ans, x: divide(multiply(g, 1.0 / math.log(2.0)), x),), saves=("x",),
    expr="fn::log2(x)", samples=unary(_positive),
)  # fmt: skip
def log2(xp: Any, x: Any) -> Any:
    """y = the logarithm of x to base 2."""
    return xp.log2(x)


@elementwise(
    "log10", takes="analytic", vjp=(lambda g, ans, x: divide(multiply(g, 1.0 / math.log(10.0)), x),), saves=("x",),
    expr="fn::log10(x)", samples=unary(_positive),
)  # fmt: skip
def log10(xp: Any, x: Any) -> Any:
    """y = the logarithm of x to base 10."""
    return xp.log10(x)


# -- roots


@elementwise(
    "sqrt", takes="analytic", vjp=(lambda g, ans, x: divide(multiply(g, 0.5), ans),), saves=("ans",),
    expr="fn::sqrt(x)", samples=unary(_positive),
)  # fmt: skip
def sqrt(xp: Any, x: Any) -> Any:
    """y = the square root of x.  Derivative: infinite at 0."""
    return xp.sqrt(x)


@elementwise(
    "rsqrt", takes="analytic", vjp=(lambda g, ans, x: multiply(multiply(g, -0.5), multiply(square(ans), ans)),),
    saves=("ans",), expr="A(1) / fn::sqrt(x)", samples=unary(_positive),
)  # fmt: skip
def rsqrt(xp: Any, x: Any) -> Any:
    """y = 1 / sqrt(x)."""
    return xp.reciprocal(xp.sqrt(x))


# -- trigonometry


@elementwise(
    "sin", takes="analytic", vjp=(lambda g, ans, x: multiply(g, op.cos(x)),), saves=("x",), expr="fn::sin(x)",
    samples=unary(),
)  # fmt: skip
def sin(xp: Any, x: Any) -> Any:
    """y = sin x, x in radians."""
    return xp.sin(x)


@elementwise(
    "cos", takes="analytic", vjp=(lambda g, ans, x: negative(multiply(g, sin(x))),), saves=("x",), expr="fn::cos(x)",
    samples=unary(),
)  # fmt: skip
def cos(xp: Any, x: Any) -> Any:
    """y = cos x, x in radians."""
    return xp.cos(x)


@elementwise(
    "tan", takes="analytic", vjp=(lambda g, ans, x: multiply(g, op.add(square(ans), 1.0)),), saves=("ans",),
    expr="fn::tan(x)", samples=unary(_inside),
)  # fmt: skip
def tan(xp: Any, x: Any) -> Any:
    """y = tan x, x in radians."""
    return xp.tan(x)


@elementwise(
    "asin", takes="analytic", vjp=(lambda g, ans, x: divide(g, sqrt(subtract(1.0, square(x)))),), saves=("x",),
    expr="fn::asin(x)", samples=unary(_inside),
)  # fmt: skip
def asin(xp: Any, x: Any) -> Any:
    """y = the angle in [-pi/2, pi/2] whose sine is x."""
    return xp.arcsin(x)


@elementwise(
    "acos", takes="analytic", vjp=(lambda g, ans, x: negative(divide(g, sqrt(subtract(1.0, square(x))))),),
    saves=("x",), expr="fn::acos(x)", samples=unary(_inside),
)  # fmt: skip
def acos(xp: Any, x: Any) -> Any:
    """y = the angle in [0, pi] whose cosine is x."""
    return xp.arccos(x)


@elementwise(
    "atan", takes="analytic", vjp=(lambda g, ans, x: divide(g, op.add(square(x), 1.0)),), saves=("x",),
    expr="fn::atan(x)", samples=unary(),
)  # fmt: skip
def atan(xp: Any, x: Any) -> Any:
    """y = the angle in (-pi/2, pi/2) whose tangent is x."""
    return xp.arctan(x)


def _over_square(g: Any, x1: Any, x2: Any, factor: Any) -> Any:
    radius = op.add(square(as_array(x1, g)), square(as_array(x2, g)))
    return divide(multiply(g, factor), radius)


@elementwise(
    "atan2", takes="floating",
    vjp=(
        lambda g, ans, x1, x2: _over_square(g, x1, x2, x2),
        lambda g, ans, x1, x2: negative(_over_square(g, x1, x2, x1)),
    ),
    saves=("x1 x2", "x1 x2"), expr="fn::atan2(x1, x2)", samples=pairs(_positive),
)  # fmt: skip
def atan2(xp: Any, x1: Any, x2: Any) -> Any:
    """y = the angle in [-pi, pi] of the point (x2, x1)."""
    return xp.arctan2(x1, x2)


# -- hyperbolic


@elementwise(
    "sinh", takes="analytic", vjp=(lambda g, ans, x: multiply(g, op.cosh(x)),), saves=("x",), expr="fn::sinh(x)",
    samples=unary(),
)  # fmt: skip
def sinh(xp: Any, x: Any) -> Any:
    """y = sinh x."""
    return xp.sinh(x)


@elementwise(
    "cosh", takes="analytic", vjp=(lambda g, ans, x: multiply(g, sinh(x)),), saves=("x",), expr="fn::cosh(x)",
    samples=unary(),
)  # fmt: skip
def cosh(xp: Any, x: Any) -> Any:
    """y = cosh x."""
    return xp.cosh(x)


@elementwise(
    "tanh_slope", takes="floating", vjp=(
        lambda h, ans, g, x: op.tanh_slope(h, x),
        lambda h, ans, g, x: multiply(op.tanh_slope(multiply(h, g), x), multiply(op.tanh(x), -2.0)),
    ),
    saves=("x", "g x"), expr="g * act::tanh::df(x)", samples=pairs(),
)  # fmt: skip
def _tanh_slope(xp: Any, g: Any, x: Any) -> Any:
    """z = g / cosh^2 x = 4 g e / (1 + e)^2, e = exp(-2 |x|): nothing is subtracted, so no digits are lost."""
    e = xp.exp(xp.abs(x) * -2)
    return xp.multiply(g, 4 * e / xp.square(1 + e))


def _tanh_vjp(g: Any, ans: Any, x: Any) -> Any:
    return multiply(g, subtract(1.0, square(tanh(x)))) if is_complex(x.dtype) else _tanh_slope(g, x)


@elementwise(
    "tanh", takes="analytic", vjp=(_tanh_vjp,), saves=("x",), expr="act::tanh::f(x)",
    samples=unary(),
)  # fmt: skip
def tanh(xp: Any, x: Any) -> Any:
    """y = tanh x."""
    y = xp.tanh(x)
    if x.dtype.kind == "c":  # at a real infinity the zero has the sign of x's imaginary part, whatever that is
        y = xp.asarray(y)
        y.imag = xp.where(xp.isinf(x.real) & xp.isfinite(x.imag), xp.copysign(0, x.imag), y.imag)
    return y


@elementwise(
    "asinh", takes="analytic", vjp=(lambda g, ans, x: divide(g, sqrt(op.add(square(x), 1.0))),), saves=("x",),
    expr="fn::asinh(x)", samples=unary(),
)  # fmt: skip
def asinh(xp: Any, x: Any) -> Any:
    """y = the number whose hyperbolic sine is x."""
    return xp.arcsinh(x)


def _acosh_vjp(g: Any, ans: Any, x: Any) -> Any:
    """1 / sqrt(x^2 - 1), on the branch of acosh for complex x too."""
    return divide(g, multiply(sqrt(subtract(x, 1.0)), sqrt(op.add(x, 1.0))))


@elementwise(
    "acosh", takes="analytic", vjp=(_acosh_vjp,), saves=("x",), expr="fn::acosh(x)",
    samples=unary(lambda *shape: between(1.5, 3.0, *shape)),
)  # fmt: skip
def acosh(xp: Any, x: Any) -> Any:
    """y = the number >= 0 whose hyperbolic cosine is x."""
    return xp.arccosh(x)


@elementwise(
    "atanh", takes="analytic", vjp=(lambda g, ans, x: divide(g, subtract(1.0, square(x))),), saves=("x",),
    expr="fn::atanh(x)", samples=unary(_inside),
)  # fmt: skip
def atanh(xp: Any, x: Any) -> Any:
    """y = the number whose hyperbolic tangent is x."""
    return xp.arctanh(x)


# -- the error function


def _bell(g: Any, x: Any) -> Any:
    """g times the derivative of erf, 2 / sqrt(pi) exp(-x^2)."""
    return multiply(g, multiply(exp(negative(square(x))), 2.0 / math.sqrt(math.pi)))


@elementwise(
    "erf", takes="floating", vjp=(lambda g, ans, x: _bell(g, x),), saves=("x",), expr="fn::erf(x)", samples=unary()
)
def erf(xp: Any, x: Any) -> Any:
    """y = 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    return by_blocks(erf_block, xp, x)


@elementwise(
    "erfc", takes="floating", vjp=(lambda g, ans, x: negative(_bell(g, x)),), saves=("x",), expr="fn::erfc(x)",
    samples=unary(),
)  # fmt: skip
def erfc(xp: Any, x: Any) -> Any:
    """y = 1 - erf(x), accurate where that is small."""
    return by_blocks(erfc_block, xp, x)


# -- rounding


def _between_steps(*shape: int) -> Any:
    return lambda rng: rng.integers(-3, 3, shape) + rng.uniform(0.1, 0.4, shape)


@elementwise("floor", takes="real number", vjp=(no_slope,), expr="fn::floor(x)", samples=unary(_between_steps))
def floor(xp: Any, x: Any) -> Any:
    """y = the largest whole number <= x.  Derivative: zero."""
    return xp.floor(x)


@elementwise("ceil", takes="real number", vjp=(no_slope,), expr="fn::ceil(x)", samples=unary(_between_steps))
def ceil(xp: Any, x: Any) -> Any:
    """y = the smallest whole number >= x.  Derivative: zero."""
    return xp.ceil(x)


@elementwise("trunc", takes="real number", vjp=(no_slope,), expr="fn::trunc(x)", samples=unary(_between_steps))
def trunc(xp: Any, x: Any) -> Any:
    """y = x without its fraction.  Derivative: zero."""
    return xp.trunc(x)


@elementwise(
    "round", vjp=(no_slope,), expr="fn::rint(x)",
    samples=lambda: [*unary(_between_steps)(), sample(lambda rng: rng.integers(-5, 5, 9) + 0.5, smooth=False)],
)  # fmt: skip
def round(xp: Any, x: Any) -> Any:
    """y = the whole number nearest to x, the even one of two; of both parts of a complex x.  Derivative: zero."""
    return xp.rint(x) if x.dtype.kind in "fc" else xp.array(x)


op.register(
    acos=acos, acosh=acosh, asin=asin, asinh=asinh, atan=atan, atan2=atan2, atanh=atanh, ceil=ceil, cos=cos,
    cosh=cosh, erf=erf, erfc=erfc, exp=exp, expm1=expm1, floor=floor, log=log, log10=log10, log1p=log1p, log2=log2,
    round=round, rsqrt=rsqrt, sin=sin, sinh=sinh, sqrt=sqrt, tan=tan, tanh=tanh, tanh_slope=_tanh_slope,
    trunc=trunc,
)  # fmt: skip
