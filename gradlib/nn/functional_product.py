"""Bilinear forms, grouped and scaled products, distances to centres and of all pairs, and the loss of a linear map.

Users reach them as `nn.functional`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..core import op
from ..errors import ShapeError, message, operand
from .host import beside

__all__ = ["bilinear", "grouped_dense", "linear_cross_entropy", "pdist", "rbf", "scaled_mm"]

Array = Any

grouped_dense = ops.grouped_dense
scaled_mm = ops.scaled_mm


def bilinear(input1: Array, input2: Array, weight: Array, bias: Array | None = None) -> Array:
    """y[k] = sum over i, j of x1[i] weight[i, j, k] x2[j] + bias[k].

    Shapes: input1 (..., in1), input2 (..., in2), weight (in1, in2, out), where PyTorch has (out, in1, in2); bias
    (out,); result (..., out).  Raises: ShapeError.  Derivative: every order.  Kernel: composition.

    >>> import numpy as np
    >>> bilinear(np.array([[1.0, 2.0]]), np.array([[3.0]]), np.ones((2, 1, 1)))
    array([[9.]])
    """
    shapes = (tuple(input1.shape), tuple(input2.shape))
    if len(weight.shape) != 3 or (shapes[0][-1:], shapes[1][-1:]) != (
        tuple(weight.shape[:1]),
        tuple(weight.shape[1:2]),
    ):
        lines = [operand("input1", input1, "..., in1"), operand("input2", input2, "..., in2")]
        lines.append(operand("weight", weight, "in1, in2, out"))
        need = "need input1.shape[-1] == weight.shape[0] and input2.shape[-1] == weight.shape[1]"
        raise ShapeError(message("bilinear(input1, input2, weight): the shapes do not fit", lines, need))
    one, two, out = weight.shape
    across = op.matmul(input1, op.reshape(weight, shape=(one, two * out)))
    across = op.reshape(across, shape=(*input1.shape[:-1], two, out))
    y = op.sum(op.multiply(across, op.expand_dims(input2, axis=-1)), axis=-2)
    return y if bias is None else op.add(y, bias)


def pdist(input: Array, p: float = 2.0) -> Array:
    """y = (sum of |x_i - x_j|^p)^(1/p) for all pairs i < j of rows; the largest for an infinite p.

    Shapes: input (n, features); result (n (n - 1) / 2,), in the order (0, 1), (0, 2), ..., (1, 2), ...; the
    derivative at equal rows is 0.  Raises: ShapeError; ValueError for a negative p.  Kernel: composition.

    >>> import numpy as np
    >>> pdist(np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]))
    array([5.        , 1.        , 4.24264069])
    """
    if len(input.shape) != 2:
        raise ShapeError(message("pdist(input): need rows", [operand("input", input, "n, features")], "need 2 axes"))
    if p < 0:
        raise ValueError(f"pdist(p): p is {p}\n  need p >= 0")
    first, second = np.triu_indices(input.shape[0], 1)
    rows = [op.take(input, beside(index, input), axis=0) for index in (first, second)]
    size = op.abs(op.subtract(*rows))
    if p == math.inf:
        return op.max(size, axis=-1)
    if p == 0:
        return op.sum(op.cast(op.greater(size, 0), dtype=size.dtype), axis=-1)
    if p == 1:
        return op.sum(size, axis=-1)
    apart = op.greater(size, 0)  # |x|^p has no second derivative at 0, or no first
    total = op.sum(op.where(apart, op.power(op.where(apart, size, 1.0), p), 0.0), axis=-1)
    there = op.greater(total, 0)
    return op.where(there, op.power(op.where(there, total, 1.0), 1.0 / p), 0.0)


_BASES: dict[str, Callable[[Array], Array]] = {
    "gaussian": lambda s: op.exp(op.negative(s)),
    "multiquadric": lambda s: op.sqrt(op.add(s, 1.0)),
    "inverse_quadratic": lambda s: op.reciprocal(op.add(s, 1.0)),
    "inverse_multiquadric": lambda s: op.rsqrt(op.add(s, 1.0)),
}


def rbf(
    input: Array, centers: Array, gamma: Array | float = 1.0, basis: str | Callable[[Array], Array] = "gaussian"
) -> Array:
    """y[j] = phi(gamma[j]^2 |x - c_j|^2), c_j the centers: radial basis functions.

    `basis` is "gaussian" (phi(s) = exp(-s)), "multiquadric" (sqrt(1 + s)), "inverse_quadratic" (1 / (1 + s)),
    "inverse_multiquadric" (1 / sqrt(1 + s)), or a function of s.

    Shapes: input (..., in), centers (out, in), gamma (out,) or a number, result (..., out).
    Raises: ShapeError, ValueError.  Derivative: every order.  Kernel: composition.
    Source: Broomhead, Lowe, "Multivariable functional interpolation and adaptive networks", 1988, equation 2.

    >>> import numpy as np
    >>> rbf(np.array([[1.0, 2.0]]), np.array([[1.0, 2.0]]))
    array([[1.]])
    """
    if len(centers.shape) != 2 or input.shape[-1] != centers.shape[-1]:
        lines = [operand("input", input, "..., in"), operand("centers", centers, "out, in")]
        raise ShapeError(message("rbf(input, centers): the features differ", lines, "need input.shape[-1] == in"))
    if isinstance(basis, str) and basis not in _BASES:
        raise ValueError(f"rbf(basis): {basis!r} is unknown\n  need one of {', '.join(_BASES)}, or a function")
    apart = op.subtract(op.expand_dims(input, axis=-2), centers)
    squares = op.multiply(op.sum(op.multiply(apart, apart), axis=-1), op.multiply(gamma, gamma))
    return (_BASES[basis] if isinstance(basis, str) else basis)(squares)


def linear_cross_entropy(
    input: Array,
    linear_weight: Array,
    target: Array,
    *,
    linear_bias: Array | None = None,
    weight: Array | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
) -> Array:
    """loss = cross_entropy(input @ linear_weight + linear_bias, target).

    Shapes: input (..., in); linear_weight (in, classes), where PyTorch has (classes, in); linear_bias (classes,); the
    others as `cross_entropy`.  Raises: ShapeError, DTypeError.  Derivative: every order.  Kernel: composition.

    >>> import numpy as np
    >>> round(float(linear_cross_entropy(np.ones((1, 2)), np.zeros((2, 4)), np.array([1]))), 4)
    1.3863
    """
    logits = ops.dense(input, linear_weight, linear_bias)
    ignored = -100 if ignore_index is None else ignore_index
    return ops.cross_entropy(
        logits, target, weight, ignore_index=ignored, reduction=reduction, label_smoothing=label_smoothing
    )
