"""The activation functions that are curved, at PyTorch's defaults.

Each has its derivative as an op of its own beside it, ``z = g f'(x)``, so that a backward is one op (on a GPU one
kernel); those have derivatives in turn.  At their defaults these are the functors of ``activation.cuh``.
"""

from __future__ import annotations

import math
from typing import Any

from ..core import op, sample
from .arithmetic import add, multiply, square, subtract
from .comparisons import greater, less, where
from .elementwise import elementwise, pairs, unary
from .functions import exp, tanh
from .order import minimum
from .piecewise import away, slopes
from .special import by_blocks, normal_block

__all__ = [
    "elu", "gelu", "hardswish", "mish", "selu", "sigmoid", "silu", "softplus",
]  # fmt: skip

Array = Any

_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946
_INV_SQRT_TWO_PI = 1.0 / math.sqrt(2.0 * math.pi)


# -- exponential


def _elu_slope_in_x(h: Array, ans: Array, g: Array, x: Array, alpha: float, scale: float) -> Array:
    curve = multiply(exp(minimum(x, 0.0)), alpha * scale)
    return multiply(multiply(h, g), where(greater(x, 0.0), 0.0, curve))


@elementwise(
    "elu_slope",
    takes="floating",
    vjp=(lambda h, ans, g, x, alpha, scale: op.elu_slope(h, x, alpha=alpha, scale=scale), _elu_slope_in_x),
    saves=("x", "g x"),
    expr="x > A(0) ? A(scale) * g : A(scale * alpha) * fn::exp(x) * g",
    samples=lambda: [sample((3, 5), away(5), alpha=1.3, scale=1.1), sample((0,), (0,), alpha=1.0, scale=1.0)],
)
def _elu_slope(xp: Any, g: Array, x: Array, *, alpha: float, scale: float) -> Array:
    """z = scale g where x > 0, else scale alpha e^x g."""
    slope = xp.exp(xp.minimum(x, 0))
    if alpha != 1:
        slope = xp.where(x > 0, 1, slope * alpha)
    return xp.multiply(g, slope * scale)


@elementwise(
    "elu_scaled",
    takes="floating",
    vjp=(lambda g, ans, x, alpha, scale: op.elu_slope(g, x, alpha=alpha, scale=scale),),
    saves=("x",),
    expr="x > A(0) ? A(scale) * x : A(scale * alpha) * fn::expm1(x)",
    samples=lambda: [sample(away(*s), alpha=a, scale=1.2) for s in ((3, 7), (), (0, 2)) for a in (1.0, 0.5)],
)
def _elu(xp: Any, x: Array, *, alpha: float, scale: float) -> Array:
    """y = scale x where x > 0, else scale alpha (e^x - 1)."""
    return xp.maximum(x, 0) * scale + xp.expm1(xp.minimum(x, 0)) * (alpha * scale)


def elu(x: Any, *, alpha: float = 1.0) -> Any:
    """Return x where x > 0, else alpha (e^x - 1).

    Source: Clevert, Unterthiner, Hochreiter, "Fast and accurate deep network learning by exponential linear units",
    ICLR 2016.
    """
    return _elu(x, alpha=float(alpha), scale=1.0)


def selu(x: Any) -> Any:
    """Return scale (x where x > 0, else alpha (e^x - 1)), with the fixed point's scale and alpha.

    Source: Klambauer, Unterthiner, Mayr, Hochreiter, "Self-normalizing neural networks", NeurIPS 2017.
    """
    return _elu(x, alpha=_SELU_ALPHA, scale=_SELU_SCALE)


def _logistic(xp: Any, x: Array) -> Array:
    """1 / (1 + e^-x), with the exponent stopped short of overflow: there the result is 1e-38 (1e-308) and not 0."""
    y = xp.empty_like(x)
    xp.negative(x, out=y)
    xp.minimum(y, 88 if x.dtype.itemsize == 4 else 709, out=y)
    xp.exp(y, out=y)
    xp.add(y, 1, out=y)
    return xp.reciprocal(y, out=y)


def _sigmoid_slope_in_x(h: Array, ans: Array, g: Array, x: Array) -> Array:
    return multiply(_sigmoid_slope(multiply(h, g), x), subtract(1.0, multiply(sigmoid(x), 2.0)))


@elementwise(
    "sigmoid_slope",
    takes="floating",
    vjp=(lambda h, ans, g, x: op.sigmoid_slope(h, x), _sigmoid_slope_in_x),
    saves=("x", "g x"),
    expr="g * act::sigmoid::df(x)",
    samples=pairs(),
)
def _sigmoid_slope(xp: Any, g: Array, x: Array) -> Array:
    """z = g e / (1 + e)^2, e = exp(-|x|): nothing is subtracted, so no digits are lost."""
    e = xp.exp(-xp.abs(x))
    return xp.multiply(g, e / xp.square(1 + e))


@elementwise(
    "sigmoid",
    takes="floating",
    vjp=(lambda g, ans, x: op.sigmoid_slope(g, x),),
    saves=("x",),
    expr="act::sigmoid::f(x)",
    samples=unary(away),
)
def sigmoid(xp: Any, x: Array) -> Array:
    """y = 1 / (1 + e^-x)."""
    return _logistic(xp, x)


def _silu_slope_in_x(h: Array, ans: Array, g: Array, x: Array) -> Array:
    s = sigmoid(x)
    bend = add(multiply(x, subtract(1.0, multiply(s, 2.0))), 2.0)
    return multiply(multiply(h, g), multiply(subtract(s, square(s)), bend))


@elementwise(
    "silu_slope",
    takes="floating",
    vjp=(lambda h, ans, g, x: op.silu_slope(h, x), _silu_slope_in_x),
    saves=("x", "g x"),
    expr="g * act::silu::df(x)",
    samples=slopes,
)
def _silu_slope(xp: Any, g: Array, x: Array) -> Array:
    """z = g s (1 + x (1 - s)), s = sigmoid(x)."""
    s = _logistic(xp, x)
    return xp.multiply(g, s * (1 + x * (1 - s)))


@elementwise(
    "silu",
    takes="floating",
    vjp=(lambda g, ans, x: op.silu_slope(g, x),),
    saves=("x",),
    expr="act::silu::f(x)",
    samples=unary(away),
)
def silu(xp: Any, x: Array) -> Array:
    """y = x sigmoid(x), also known as swish."""
    return xp.multiply(x, _logistic(xp, x))


def _softplus_slope_in_x(h: Array, ans: Array, g: Array, x: Array, beta: float, threshold: float) -> Array:
    z = multiply(x, beta)
    s = sigmoid(z)
    bend = where(greater(z, threshold), 0.0, multiply(subtract(s, square(s)), beta))
    return multiply(multiply(h, g), bend)


@elementwise(
    "softplus_slope",
    takes="floating",
    vjp=(
        lambda h, ans, g, x, beta, threshold: op.softplus_slope(h, x, beta=beta, threshold=threshold),
        _softplus_slope_in_x,
    ),
    saves=("x", "g x"),
    expr="A(beta) * x > A(threshold) ? g : g * act::logistic(A(beta) * x)",
    samples=lambda: [
        sample((3, 5), away(5), beta=1.0, threshold=20.0),
        sample((3,), away(3), beta=3.0, threshold=2.0, smooth=False),
        sample((0,), (0,), beta=1.0, threshold=20.0),
    ],
)
def _softplus_slope(xp: Any, g: Array, x: Array, *, beta: float, threshold: float) -> Array:
    """z = g sigmoid(beta x), or g where beta x > threshold."""
    z = x * beta
    slope = _logistic(xp, xp.asarray(z))
    linear = z > threshold
    return xp.multiply(g, xp.where(linear, 1, slope) if linear.any() else slope)


@elementwise(
    "softplus",
    takes="floating",
    vjp=(lambda g, ans, x, beta, threshold: op.softplus_slope(g, x, beta=beta, threshold=threshold),),
    saves=("x",),
    expr="A(beta) * x > A(threshold) ? x : fn::log1p(fn::exp(A(beta) * x)) / A(beta)",
    samples=lambda: [*unary(away)(), sample(away(7), beta=2.0, threshold=30.0)],
)
def softplus(xp: Any, x: Array, *, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """y = log(1 + e^(beta x)) / beta, or x where beta x > threshold."""
    return _softplus(xp, x, beta, threshold)


def _softplus(xp: Any, x: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    z = x * beta
    linear = z > threshold
    if not linear.any():  # as a rule
        return xp.log1p(xp.exp(z)) / beta
    return xp.where(linear, x, xp.log1p(xp.exp(xp.minimum(z, threshold))) / beta)


# -- gelu and its relatives


def _gelu_slope_in_x(h: Array, ans: Array, g: Array, x: Array) -> Array:
    density = multiply(exp(multiply(square(x), -0.5)), _INV_SQRT_TWO_PI)
    return multiply(multiply(h, g), multiply(density, subtract(2.0, square(x))))


@elementwise(
    "gelu_slope",
    takes="floating",
    vjp=(lambda h, ans, g, x: op.gelu_slope(h, x), _gelu_slope_in_x),
    saves=("x", "g x"),
    expr="g * act::gelu::df(x)",
    samples=slopes,
)
def _gelu_slope(xp: Any, g: Array, x: Array) -> Array:
    """z = g (Phi(x) + x phi(x)), phi the normal density."""
    return by_blocks(_gelu_slope_block, xp, *xp.broadcast_arrays(g, x))


def _gelu_slope_block(xp: Any, g: Array, x: Array) -> Array:
    beyond, slope = normal_block(xp, x)
    slope *= x
    slope *= _INV_SQRT_TWO_PI
    below = x > 0
    beyond *= 1 - 2.0 * below.astype(x.dtype)
    slope += beyond
    slope += below  # Phi(x) is `beyond` for x < 0, 1 - `beyond` else
    slope *= g
    return slope


def _gelu_block(xp: Any, x: Array) -> Array:
    """x Phi(x) = max(x, 0) - |x| Phi(-|x|)."""
    beyond, _ = normal_block(xp, x)
    beyond *= xp.abs(x)
    return xp.maximum(x, 0) - beyond


@elementwise(
    "gelu_exact",
    takes="floating",
    vjp=(lambda g, ans, x: op.gelu_slope(g, x),),
    saves=("x",),
    expr="act::gelu::f(x)",
    samples=unary(away),
)
def _gelu(xp: Any, x: Array) -> Array:
    """y = x Phi(x), Phi the normal distribution function."""
    return by_blocks(_gelu_block, xp, x)


def gelu(x: Any, *, approximate: str = "none") -> Any:
    """Return x Phi(x); with ``approximate="tanh"``, x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).

    Source: Hendrycks, Gimpel, "Gaussian error linear units", 2016.
    """
    if approximate == "none":
        return _gelu(x)
    if approximate != "tanh":
        raise ValueError(f'gelu(x, approximate): approximate is {approximate!r}\n  need "none" or "tanh"')
    inner = multiply(add(x, multiply(multiply(square(x), x), 0.044715)), math.sqrt(2.0 / math.pi))
    return multiply(multiply(x, 0.5), add(tanh(inner), 1.0))


def _hardswish_slope_in_x(h: Array, ans: Array, g: Array, x: Array) -> Array:
    return where(less(square(x), 9.0), multiply(multiply(h, g), 1.0 / 3.0), 0.0)


@elementwise(
    "hardswish_slope",
    takes="floating",
    vjp=(lambda h, ans, g, x: op.hardswish_slope(h, x), _hardswish_slope_in_x),
    saves=("x", "g x"),
    expr="g * act::hardswish::df(x)",
    samples=slopes,
)
def _hardswish_slope(xp: Any, g: Array, x: Array) -> Array:
    """z = 0 where x <= -3, g (x / 3 + 1 / 2) where x < 3, else g."""
    return xp.multiply(g, xp.where(x <= -3, 0, xp.where(x < 3, x / 3 + 0.5, 1)))


@elementwise(
    "hardswish",
    takes="floating",
    vjp=(lambda g, ans, x: op.hardswish_slope(g, x),),
    saves=("x",),
    expr="act::hardswish::f(x)",
    samples=unary(away),
)
def hardswish(xp: Any, x: Array) -> Array:
    """y = x min(max(x + 3, 0), 6) / 6."""
    return xp.multiply(x, xp.clip(x + 3, 0, 6)) / 6


def _mish_slope_in_x(h: Array, ans: Array, g: Array, x: Array) -> Array:
    z, s = softplus(x), sigmoid(x)
    bend = add(multiply(x, subtract(1.0, multiply(s, add(multiply(tanh(z), 2.0), 1.0)))), 2.0)
    return multiply(op.tanh_slope(multiply(h, g), z), multiply(s, bend))


@elementwise(
    "mish_slope",
    takes="floating",
    vjp=(lambda h, ans, g, x: op.mish_slope(h, x), _mish_slope_in_x),
    saves=("x", "g x"),
    expr="g * act::mish::df(x)",
    samples=slopes,
)
def _mish_slope(xp: Any, g: Array, x: Array) -> Array:
    """z = g (t + x (1 - t^2) sigmoid(x)), t = tanh(softplus(x))."""
    t = xp.tanh(_softplus(xp, x))
    return xp.multiply(g, t + x * (1 - t * t) * _logistic(xp, x))


@elementwise(
    "mish",
    takes="floating",
    vjp=(lambda g, ans, x: op.mish_slope(g, x),),
    saves=("x",),
    expr="act::mish::f(x)",
    samples=unary(away),
)
def mish(xp: Any, x: Array) -> Array:
    """y = x tanh(log(1 + e^x))."""
    return xp.multiply(x, xp.tanh(_softplus(xp, x)))


op.register(
    elu=elu, gelu=gelu, hardswish=hardswish, mish=mish, selu=selu, sigmoid=sigmoid, silu=silu, softplus=softplus,
    elu_slope=_elu_slope, gelu_slope=_gelu_slope, hardswish_slope=_hardswish_slope, mish_slope=_mish_slope,
    sigmoid_slope=_sigmoid_slope, silu_slope=_silu_slope, softplus_slope=_softplus_slope,
)  # fmt: skip
