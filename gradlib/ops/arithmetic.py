"""Arithmetic: sums, products, powers, remainders."""

from __future__ import annotations

from typing import Any

from ..core import between, op, sample, zeros_as
from ..errors import DTypeError, message, operand
from ..spec import bool_, is_complex, is_differentiable
from .comparisons import equal, greater_equal, logical_and, where
from .elementwise import as_array, elementwise, no_slope, pairs, unary
from .operands import of_arrays

__all__ = [
    "add", "divide", "floor_divide", "multiply", "negative", "positive", "pow", "power", "reciprocal", "remainder",
    "square", "subtract",
]  # fmt: skip


@elementwise(
    "add",
    takes="any",
    vjp=(lambda g, ans, x1, x2: g, lambda g, ans, x1, x2: g),
    expr="x1 + x2",
    samples=pairs(),
)
def add(xp: Any, x1: Any, x2: Any) -> Any:
    """y = x1 + x2 (or, for bool)."""
    return xp.add(x1, x2)


@elementwise(
    "subtract",
    vjp=(lambda g, ans, x1, x2: g, lambda g, ans, x1, x2: op.negative(g)),
    expr="x1 - x2",
    samples=pairs(),
)
def subtract(xp: Any, x1: Any, x2: Any) -> Any:
    """y = x1 - x2."""
    return xp.subtract(x1, x2)


@elementwise(
    "multiply",
    takes="any",
    vjp=(lambda g, ans, x1, x2: op.multiply(g, x2), lambda g, ans, x1, x2: op.multiply(g, x1)),
    saves=("x2", "x1"),
    expr="x1 * x2",
    samples=pairs(),
)
def multiply(xp: Any, x1: Any, x2: Any) -> Any:
    """y = x1 * x2 (and, for bool)."""
    return xp.multiply(x1, x2)


@elementwise(
    "divide",
    takes="analytic",
    vjp=(
        lambda g, ans, x1, x2: op.divide(g, x2),
        lambda g, ans, x1, x2: op.negative(op.divide(multiply(g, ans), x2)),
    ),
    saves=("x2", "x2 ans"),
    expr="x1 / x2",
    samples=pairs(None, lambda *shape: between(0.5, 2.0, *shape)),
)
def divide(xp: Any, x1: Any, x2: Any) -> Any:
    """y = x1 / x2, the true quotient: integers become float32."""
    return xp.divide(x1, x2)


@elementwise("negative", vjp=(lambda g, ans, x: op.negative(g),), expr="-x", samples=unary())
def negative(xp: Any, x: Any) -> Any:
    """y = -x."""
    return xp.negative(x)


@elementwise(
    "floor_divide",
    takes="real number",
    vjp=(no_slope, no_slope),
    expr="x1 - x1 == x2 - x2 ? floor_divide(x1, x2) : A(x1 / x2)",  # inf - inf is NaN
    samples=lambda: [
        sample((3, 5), between(0.5, 2, 5), smooth=False),
        sample(between(-9, 9, 7), between(-3, -1, 7), smooth=False),
        sample((0, 2), (2,)),
    ],
)
def floor_divide(xp: Any, x1: Any, x2: Any) -> Any:
    """y = floor(x1 / x2), also of infinities (where NumPy and Python give NaN and -1).  Derivative: zero."""
    if not is_differentiable(x1.dtype):
        return xp.floor_divide(x1, x2)
    finite = xp.isfinite(x1) & xp.isfinite(x2)  # the others' quotients have nothing to round
    whole = xp.floor_divide(xp.where(finite, x1, xp.ones_like(x1)), xp.where(finite, x2, xp.ones_like(x2)))
    return xp.where(finite, whole, xp.divide(x1, x2))


@elementwise(
    "remainder",
    takes="real number",
    vjp=(lambda g, ans, x1, x2: g, lambda g, ans, x1, x2: negative(multiply(g, floor_divide(x1, x2)))),
    saves=("", "x1 x2"),
    expr="remainder_of(x1, x2)",
    samples=lambda: [
        sample(between(2.1, 3.9, 3, 5), between(0.6, 1.4, 5), smooth=False),
        sample(between(2.2, 2.8, 7), between(0.95, 1.0, 7)),
        sample(between(-9, 9, 7), between(-3, -1, 7), smooth=False),
        sample((0, 2), (2,)),
    ],
)
def remainder(xp: Any, x1: Any, x2: Any) -> Any:
    """y = x1 - x2 floor(x1 / x2): it has the sign of x2, as Python's ``%``."""
    return xp.remainder(x1, x2)


@elementwise(
    "square",
    vjp=(lambda g, ans, x: multiply(multiply(g, 2.0), x),),
    saves=("x",),
    expr="x * x",
    samples=unary(),
)
def square(xp: Any, x: Any) -> Any:
    """y = x * x."""
    return xp.multiply(x, x)


@elementwise(
    "reciprocal",
    takes="analytic",
    vjp=(lambda g, ans, x: negative(multiply(g, square(ans))),),
    saves=("ans",),
    expr="A(1) / x",
    samples=unary(lambda *shape: between(0.5, 2.0, *shape)),
)
def reciprocal(xp: Any, x: Any) -> Any:
    """y = 1 / x."""
    return xp.reciprocal(x) if x.dtype.kind != "c" else 1 / x  # CuPy has no complex one


@of_arrays
def positive(x: Any) -> Any:
    """Return +x, which is x itself; an error for bool, as `negative` of it."""
    if x.dtype == bool_:
        raise DTypeError(message("positive(x): not defined for bool", [operand("x", x)], "need x.to(gl.int64)"))
    return x


# -- powers


def _pow_base(g: Any, ans: Any, x1: Any, x2: Any) -> Any:
    """x2 x1^(x2 - 1), which is 0 for x2 = 0 also where x1 = 0."""
    x2 = as_array(x2, g)
    flat = equal(x2, 0)
    return where(flat, 0.0, multiply(multiply(g, x2), _pow(x1, where(flat, 1.0, subtract(x2, 1)))))


def _pow_exponent(g: Any, ans: Any, x1: Any, x2: Any) -> Any:
    """x1^x2 log(x1), which is 0 at x1 = 0 for x2 >= 0."""
    x1 = as_array(x1, g)
    flat = logical_and(equal(x1, 0), greater_equal(op.real(x2) if is_complex(g.dtype) else x2, 0))
    return where(flat, 0.0, multiply(g, multiply(ans, op.log(where(flat, 1.0, x1)))))


@elementwise(
    "pow",
    vjp=(_pow_base, _pow_exponent),
    saves=("x1 x2", "x1 x2 ans"),
    expr="power(x1, x2)",
    samples=pairs(lambda *shape: between(0.5, 2.0, *shape)),
)
def _pow(xp: Any, x1: Any, x2: Any) -> Any:
    """y = x1^x2, for two arrays."""
    return xp.power(x1, x2)


def _pow_number_vjp(g: Any, ans: Any, x: Any, exponent: float) -> Any:
    if exponent == 0:
        return zeros_as(g, shape=x.shape, dtype=x.dtype)
    slope = _pow_number(x, exponent=exponent - 1)
    return multiply(g, slope if exponent == 1 else multiply(slope, float(exponent)))


@elementwise(
    "pow_number",
    takes="analytic",
    vjp=(_pow_number_vjp,),
    saves=("x",),
    expr="power(x, A(exponent))",
    samples=lambda: [
        *[sample((3, 5), exponent=e) for e in (0, 1, 2, 3, 4, 5)],
        *[sample(between(0.5, 2, 7), exponent=e) for e in (-2, -1, -0.5, 0.5, 1.5, 9)],
        sample(lambda rng: rng.standard_normal(3) * 0, exponent=2),
        sample((0, 2), exponent=2),
    ],
)
def _pow_number(xp: Any, x: Any, *, exponent: float) -> Any:
    """y = x^exponent, for a Python number: small whole powers are products, which are 25 times faster."""
    if exponent == 0.5:
        return xp.sqrt(x)
    if exponent == -1:
        return xp.reciprocal(x)
    if exponent in (1, 2, 3, 4, 5, 6, 7, 8):
        y = xp.array(x)
        for _ in range(int(exponent) - 1):
            y *= x
        return y
    return xp.power(x, exponent)


def pow(x1: Any, x2: Any) -> Any:
    """Return x1^x2, elementwise; either may be a Python number.

    The derivative in x1 is x2 x1^(x2 - 1), 0 for x2 = 0; in x2 it is x1^x2 log(x1), 0 at x1 = 0 for x2 >= 0.

    >>> import gradlib as gl
    >>> gl.tensor([1.0, 2.0, 3.0]) ** 2
    tensor([1., 4., 9.], dtype=float32)
    """
    if type(x2) in (int, float) and hasattr(x1, "dtype"):
        if x2 == 2:
            return square(x1)
        if is_differentiable(x1.dtype) or x2 == 0.5:
            return _pow_number(x1, exponent=x2)
    return _pow(x1, x2)


power = pow


op.register(
    add=add, divide=divide, floor_divide=floor_divide, multiply=multiply, negative=negative, positive=positive, pow=pow,
    power=pow, reciprocal=reciprocal, remainder=remainder, square=square, subtract=subtract,
)  # fmt: skip
