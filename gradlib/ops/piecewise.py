"""The activations that are straight lines: relu, relu6, leaky relu."""

from __future__ import annotations

from typing import Any

from ..core import apart, op, sample
from .elementwise import elementwise, no_slope, pairs, unary

__all__ = ["leaky_relu", "relu", "relu6"]

Array = Any

_AWAY = (-4.1, -3.6, -2.2, -1.3, -0.4, 0.6, 1.7, 2.3, 3.8, 5.2, 7.4)


def away(*shape: int) -> Any:
    """Values on both sides of every kink of the activations, none near one."""
    return lambda rng: rng.choice(_AWAY, shape) + 0.1 * rng.random(shape)


def slopes() -> list[Any]:
    return [*pairs(None, away)(), sample((3, 5), lambda rng: rng.integers(-3, 4, (3, 5)) * 1.0, smooth=False)]


@elementwise(
    "relu_slope",
    takes="real number",
    vjp=(lambda h, ans, g, y: op.relu_slope(h, y), no_slope),
    saves=("y", ""),
    expr="g * act::relu::df(y)",
    samples=slopes,
)
def _relu_slope(xp: Any, g: Array, y: Array) -> Array:
    """z = g where y > 0, else 0."""
    return xp.multiply(g, y > 0)


@elementwise(
    "relu",
    takes="real number",
    vjp=(lambda g, ans, x: op.relu_slope(g, ans),),
    saves=("ans",),
    expr="act::relu::f(x)",
    samples=unary(away),
)
def relu(xp: Any, x: Array) -> Array:
    """y = max(x, 0).  Derivative: 0 at 0."""
    return xp.maximum(x, 0)


@elementwise(
    "relu6_slope",
    takes="real number",
    vjp=(lambda h, ans, g, y: op.relu6_slope(h, y), no_slope),
    saves=("y", ""),
    expr="g * act::relu6::df(y)",
    samples=slopes,
)
def _relu6_slope(xp: Any, g: Array, y: Array) -> Array:
    """z = g where 0 < y < 6, else 0."""
    return xp.multiply(g, (y > 0) & (y < 6))


@elementwise(
    "relu6",
    takes="real number",
    vjp=(lambda g, ans, x: op.relu6_slope(g, ans),),
    saves=("ans",),
    expr="act::relu6::f(x)",
    samples=unary(away),
)
def relu6(xp: Any, x: Array) -> Array:
    """y = min(max(x, 0), 6).  Derivative: 0 at 0 and at 6."""
    return xp.clip(x, 0, 6)


@elementwise(
    "leaky_relu_slope",
    takes="floating",
    vjp=(lambda h, ans, g, x, negative_slope: op.leaky_relu_slope(h, x, negative_slope=negative_slope), no_slope),
    saves=("x", ""),
    expr="x > A(0) ? g : A(negative_slope) * g",
    samples=lambda: [sample((3, 7), apart(7), negative_slope=0.1), sample((0,), (0,), negative_slope=0.1)],
)
def _leaky_relu_slope(xp: Any, g: Array, x: Array, *, negative_slope: float) -> Array:
    """z = g where x > 0, else negative_slope g."""
    return xp.multiply(g, _one_or(xp, x, negative_slope))


def _one_or(xp: Any, x: Array, other: float) -> Array:
    """1 where x > 0, else `other`, to the last bit for 0 <= other <= 1 (`where` takes three times as long)."""
    low = x.dtype.type(other)
    return (x > 0) * (x.dtype.type(1) - low) + low


@elementwise(
    "leaky_relu",
    takes="floating",
    vjp=(lambda g, ans, x, negative_slope: op.leaky_relu_slope(g, x, negative_slope=negative_slope),),
    saves=("x",),
    expr="x > A(0) ? x : A(negative_slope) * x",
    samples=lambda: [*unary(apart)(), sample(apart(3, 5), negative_slope=0.3), sample(apart(5), negative_slope=0.0)],
)
def leaky_relu(xp: Any, x: Array, *, negative_slope: float = 0.01) -> Array:
    """y = x where x > 0, else negative_slope x."""
    if 0 <= negative_slope <= 1:
        return xp.maximum(x, x * negative_slope)
    return xp.where(x > 0, x, x * negative_slope)


op.register(
    leaky_relu=leaky_relu, leaky_relu_slope=_leaky_relu_slope, relu=relu, relu6=relu6, relu6_slope=_relu6_slope,
    relu_slope=_relu_slope,
)  # fmt: skip
