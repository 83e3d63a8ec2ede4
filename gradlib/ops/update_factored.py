"""Adafactor's step, whose second moment of a matrix is a row and a column.

As in `update`: the composite is the definition and follows PyTorch's arithmetic.  Kernel: composition.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core import between, op, sample, update
from ..errors import ShapeError, message, operand
from .update_rule import number

__all__ = ["adafactor", "factored_shapes"]

Array = Any
_LR, _FIRST, _LATER = np.array([0.1]), np.array([1]), np.array([7])


def factored_shapes(shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Return the shapes of row_var, col_var and variance; what a parameter of this shape has no use for is empty."""
    if len(shape) > 1:
        return (*shape[:-1], 1), (*shape[:-2], 1, shape[-1]), (0,)
    return (0,), (0,), shape


def _samples() -> list[Any]:
    def case(*shape: int, step: Any, **settings: Any) -> Any:
        buffers = [between(0.1, 1, *part) for part in factored_shapes(shape)]
        return sample(shape, *buffers, shape, _LR, step, **settings)

    return [
        case(5, 7, step=_FIRST),
        case(2, 3, 4, step=_LATER, weight_decay=0.1, maximize=True),
        case(13, step=_LATER, beta2_decay=-0.5, eps=(1e-6, 1e-2), d=2.0),
    ]


def _root_mean_square(x: Array) -> Array:
    return op.sqrt(op.divide(op.sum(op.multiply(x, x)), float(max(math.prod(x.shape), 1))))


def _check(*arrays: Array, **params: Any) -> None:
    shape = tuple(arrays[0].shape)
    wanted = (shape, *factored_shapes(shape), shape, (1,), (1,))
    if any(tuple(x.shape) != w for x, w in zip(arrays, wanted, strict=True)):
        names = ("param", "row_var", "col_var", "variance", "grad", "lr", "step")
        lines = [operand(name, x) for name, x in zip(names, arrays, strict=True)]
        raise ShapeError(message("adafactor(...): the shapes do not fit", lines, f"need {', '.join(map(str, wanted))}"))


@update("adafactor", writes="param row_var col_var variance", shares="lr step", check=_check, samples=_samples)
def adafactor(
    param: Array,
    row_var: Array,
    col_var: Array,
    variance: Array,
    grad: Array,
    lr: Array,
    step: Array,
    *,
    beta2_decay: float = -0.8,
    eps: tuple[float | None, float] = (None, 1e-3),
    d: float = 1.0,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> tuple[Array, Array, Array, Array]:
    """p <- (1 - lr weight_decay) p - a u / max(1, rms(u) / d), u = g / sqrt(v).

    a = max(eps2, rms(p)) min(lr, t^(-1/2)); v <- v + t^beta2_decay (g^2 - v).  Of a matrix only its mean over each
    row, r, and each column, c, is kept, and v = r c^T / mean(r).  v is at least eps1^2, mean(r) at least eps1, by
    default the spacing of the dtype at 1.
    Shapes: grad as param; the others `factored_shapes`.  Kernel: composition.
    Source: Shazeer, Stern, "Adafactor", ICML 2018, Algorithms 4 and 5.
    """
    eps1 = float(np.finfo(param.dtype).eps) if eps[0] is None else eps[0]
    rate = op.reshape(lr, shape=())
    t = op.cast(op.reshape(step, shape=()), dtype="float64")
    keep = number(op.power(t, beta2_decay), param)
    g = op.negative(grad) if maximize else grad
    size = number(op.minimum(rate, op.divide(1.0, op.sqrt(t))), param)
    alpha = op.multiply(op.maximum(_root_mean_square(param), eps[1]), size)
    if weight_decay:
        param = op.multiply(param, number(op.subtract(1.0, op.multiply(rate, weight_decay)), param))
    squares = op.multiply(g, g)
    if len(param.shape) > 1:
        row_var = _towards(row_var, op.mean(squares, axis=-1, keepdims=True), keep)
        col_var = _towards(col_var, op.mean(squares, axis=-2, keepdims=True), keep)
        mean = op.maximum(op.mean(row_var, axis=-2, keepdims=True), eps1)
        estimate = op.divide(op.multiply(row_var, col_var), mean)
    else:
        variance = _towards(variance, squares, keep)
        estimate = variance
    u = op.multiply(op.rsqrt(op.maximum(estimate, eps1 * eps1)), g)
    clipped = op.maximum(op.divide(_root_mean_square(u), d), 1.0)
    return op.subtract(param, op.multiply(u, op.divide(alpha, clipped))), row_var, col_var, variance


def _towards(old: Array, new: Array, way: Array) -> Array:
    """Return old + way (new - old)."""
    return op.add(old, op.multiply(op.subtract(new, old), way))
