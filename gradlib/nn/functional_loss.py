"""Losses between arrays of equal shapes, and for probabilities; users reach them as `nn.functional`.

Every one is a composition of ops, differentiable to every order; ``reduction`` is "mean", "sum" or "none".
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ..core import op
from ..errors import ShapeError, message, operand
from ..ops.operands import of_arrays
from .host import device_of, known, plain

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "gaussian_nll_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "l2_divergence",
    "mse_loss",
    "poisson_nll_loss",
    "regularizer",
    "smooth_l1_loss",
    "soft_margin_loss",
]

Array = Any


def reduced(name: str, losses: Array, reduction: str, weight: Array | None = None) -> Array:
    """Return the losses, their sum or their mean, each times its weight."""
    if weight is not None:
        losses = op.multiply(losses, weight)
    if reduction == "none":
        return losses
    if reduction not in ("mean", "sum"):
        known = "'mean', 'batchmean', 'sum' or 'none'" if name == "kl_div" else "'mean', 'sum' or 'none'"
        raise ValueError(f"{name}(reduction): {reduction!r} is unknown\n  need {known}")
    return op.mean(losses) if reduction == "mean" else op.sum(losses)


def same_shape(name: str, input: Array, target: Array) -> None:
    """Refuse shapes that differ: a column beside a vector would broadcast to a matrix unnoticed."""
    if tuple(input.shape) != tuple(target.shape):
        operands = [operand("input", input), operand("target", target)]
        raise ShapeError(message(f"{name}(input, target): shapes differ", operands, "need equal shapes"))


def positive_part(x: Array) -> Array:
    """Return max(x, 0)."""
    return op.relu(x)


def log1p_exp(x: Array) -> Array:
    """Return log(1 + e^x) as max(x, 0) + log(1 + e^-|x|), without the straight part that `softplus` has from 20 on."""
    right = op.greater(x, 0)
    return op.add(op.where(right, x, 0.0), op.softplus(op.where(right, op.negative(x), x)))


def l1_loss(input: Array, target: Array, reduction: str = "mean", weight: Array | None = None) -> Array:
    """loss = |input - target|, with `weight` times it, and "mean" is the weighted mean.

    Shapes: input, target and weight equal.  Raises: ShapeError.  Derivative: every order, 0 at equality.

    >>> import numpy as np
    >>> float(l1_loss(np.array([1.0, 2.0]), np.array([1.0, 5.0])))
    1.5
    """
    same_shape("l1_loss", input, target)
    return _weighted_mean("l1_loss", op.abs(op.subtract(input, target)), reduction, weight)


def _weighted_mean(name: str, losses: Array, reduction: str, weight: Array | None) -> Array:
    """Reduce; the mean with weights is the weighted one, as PyTorch has it for these losses."""
    _same_weight(name, losses, weight)
    if weight is None or reduction != "mean":
        return reduced(name, losses, reduction, weight)
    return op.divide(op.sum(op.multiply(losses, weight)), op.sum(weight))


@of_arrays
def mse_loss(input: Array, target: Array, reduction: str = "mean", weight: Array | None = None) -> Array:
    """loss = (input - target)^2; with `weight`, times it, and "mean" is the weighted mean.

    Shapes: input, target and weight equal: a column beside a vector would broadcast to a matrix unnoticed.
    Raises: ShapeError.  Derivative: every order.  Kernel: composition.

    >>> import numpy as np
    >>> float(mse_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0])))
    2.0
    """
    same_shape("mse_loss", input, target)
    d = op.subtract(input, target)
    return _weighted_mean("mse_loss", op.multiply(d, d), reduction, weight)


def _same_weight(name: str, losses: Array, weight: Array | None) -> None:
    if weight is not None and tuple(weight.shape) != tuple(losses.shape):
        lines = [operand("input", losses), operand("weight", weight)]
        raise ShapeError(message(f"{name}(input, target, weight): shapes differ", lines, "need equal shapes"))


def huber_loss(
    input: Array, target: Array, reduction: str = "mean", delta: float = 1.0, weight: Array | None = None
) -> Array:
    """loss = d^2 / 2 for |d| <= delta, else delta (|d| - delta / 2), times `weight`; d = input - target.

    Raises: ShapeError; ValueError unless delta > 0.  Source: Huber, "Robust estimation of a location
    parameter", 1964.

    >>> import numpy as np
    >>> huber_loss(np.array([0.5, 3.0]), np.zeros(2), reduction="none")
    array([0.125, 2.5  ])
    """
    same_shape("huber_loss", input, target)
    if not delta > 0:
        raise ValueError(f"huber_loss(delta): delta is {delta}\n  need delta > 0")
    d = op.subtract(input, target)
    size = op.abs(d)
    outer = op.multiply(op.subtract(size, 0.5 * delta), delta)
    losses = op.where(op.less_equal(size, delta), op.multiply(op.multiply(d, d), 0.5), outer)
    _same_weight("huber_loss", input, weight)
    return reduced("huber_loss", losses, reduction, weight)


def smooth_l1_loss(input: Array, target: Array, reduction: str = "mean", beta: float = 1.0) -> Array:
    """loss = d^2 / (2 beta) for |d| < beta, else |d| - beta / 2; d = input - target.

    Raises: ShapeError; ValueError for a negative beta (0 is `l1_loss`).  Source: Girshick, "Fast R-CNN",
    ICCV 2015, equation 3.

    >>> import numpy as np
    >>> smooth_l1_loss(np.array([0.5, 3.0]), np.zeros(2), reduction="none")
    array([0.125, 2.5  ])
    """
    if beta == 0:
        return l1_loss(input, target, reduction)
    if not beta > 0:
        raise ValueError(f"smooth_l1_loss(beta): beta is {beta}\n  need beta >= 0")
    same_shape("smooth_l1_loss", input, target)
    d = op.subtract(input, target)
    size = op.abs(d)
    inner = op.multiply(op.multiply(d, d), 0.5 / beta)
    return reduced("smooth_l1_loss", op.where(op.less(size, beta), inner, op.subtract(size, 0.5 * beta)), reduction)


def l2_divergence(input: Array, target: Array, reduction: str = "mean") -> Array:
    """loss = 1/2 |y - d|^2 for each example, y the input and d the target: the sum over all axes but the first.

    Shapes: input, target equal; result () or, with ``reduction="none"``, (batch,).  "mean" is that over the
    batch.  Raises: ShapeError.

    >>> import numpy as np
    >>> l2_divergence(np.array([[1.0, 2.0], [0.0, 0.0]]), np.zeros((2, 2)), reduction="none")
    array([2.5, 0. ])
    """
    same_shape("l2_divergence", input, target)
    d = op.subtract(input, target)
    axes = tuple(range(1, len(input.shape)))
    squares = op.multiply(op.multiply(d, d), 0.5)
    return reduced("l2_divergence", op.sum(squares, axis=axes) if axes else squares, reduction)


def regularizer(parameters: Iterable[Array], l1: float = 0.0, l2: float = 0.0) -> Array:
    """gamma(w) = l1 sum |w| + l2 / 2 sum w^2, over all elements of all parameters.

    The gradient of the second part is the weight decay l2 w.

    >>> import numpy as np
    >>> float(regularizer([np.array([3.0, -4.0])], l1=1.0, l2=2.0))
    32.0
    """
    total: Array = 0.0
    for w in parameters:
        part = op.multiply(op.sum(op.multiply(w, w)), 0.5 * l2)
        if l1:
            part = op.add(part, op.multiply(op.sum(op.abs(w)), l1))
        total = part if isinstance(total, float) else op.add(total, part)
    return total


# -- probabilities


def _log_at_least(x: Array) -> Array:
    """Return max(log x, -100), -100 at 0 with the derivative 0."""
    inside = op.greater(x, 0)
    return op.where(inside, op.maximum(op.log(op.where(inside, x, 1.0)), -100.0), -100.0)


def binary_cross_entropy(input: Array, target: Array, weight: Array | None = None, reduction: str = "mean") -> Array:
    """loss = -(t log x + (1 - t) log(1 - x)), x = input a probability, t = target; logarithms are at least -100.

    Shapes: input and target equal; weight broadcasts.  Raises: ShapeError; ValueError (on ``cpu``) for an input that
    is no probability.  Derivative: 0 where a logarithm is cut off.
    For x = sigmoid(z), `binary_cross_entropy_with_logits` of z is more accurate.

    >>> import numpy as np
    >>> round(float(binary_cross_entropy(np.array([0.5]), np.array([1.0]))), 4)
    0.6931
    """
    same_shape("binary_cross_entropy", input, target)
    if known(input) and device_of(input) == "cpu" and input.size:
        low, high = float(plain(input).min()), float(plain(input).max())
        if not (low >= 0 and high <= 1):
            raise ValueError(
                f"binary_cross_entropy(input, target): input has values from {low:g} to {high:g}\n"
                f"  need probabilities: sigmoid(input), or binary_cross_entropy_with_logits"
            )
    yes = op.multiply(target, _log_at_least(input))
    no = op.multiply(op.subtract(1.0, target), _log_at_least(op.subtract(1.0, input)))
    return reduced("binary_cross_entropy", op.negative(op.add(yes, no)), reduction, weight)


def binary_cross_entropy_with_logits(
    input: Array,
    target: Array,
    weight: Array | None = None,
    reduction: str = "mean",
    pos_weight: Array | None = None,
) -> Array:
    """loss = -(w t log sigmoid(z) + (1 - t) log(1 - sigmoid(z))), z = input, t = target, w = pos_weight or 1.

    Computed as (1 - t) z + (1 + (w - 1) t) log(1 + exp(-z)), exact for large |z|.
    Shapes: input and target equal; weight and pos_weight broadcast.  Raises: ShapeError.

    >>> import numpy as np
    >>> float(binary_cross_entropy_with_logits(np.array([1000.0]), np.array([0.0])))
    1000.0
    """
    same_shape("binary_cross_entropy_with_logits", input, target)
    tail = log1p_exp(op.negative(input))
    if pos_weight is not None:
        tail = op.multiply(tail, op.add(op.multiply(op.subtract(pos_weight, 1.0), target), 1.0))
    losses = op.add(op.multiply(op.subtract(1.0, target), input), tail)
    return reduced("binary_cross_entropy_with_logits", losses, reduction, weight)


def kl_div(input: Array, target: Array, reduction: str = "mean", log_target: bool = False) -> Array:
    """loss = p (log p - q), q = input log-probabilities, p = target; with `log_target` the target is log p.

    The divergence of one example is the sum over its classes: ``reduction="batchmean"`` gives the mean of those
    over the first axis, "mean" that over all elements.  p = 0 gives 0.  Raises: ShapeError.

    >>> import numpy as np
    >>> p = np.array([[0.5, 0.5]])
    >>> float(kl_div(np.log(p), p, reduction="batchmean"))
    0.0
    """
    same_shape("kl_div", input, target)
    if log_target:
        losses = op.multiply(op.exp(target), op.subtract(target, input))
    else:
        present = op.greater(target, 0)
        log_p = op.log(op.where(present, target, 1.0))
        losses = op.subtract(op.multiply(target, log_p), op.multiply(target, input))
    if reduction == "batchmean":
        return op.divide(op.sum(losses), float(input.shape[0]))
    return reduced("kl_div", losses, reduction)


def poisson_nll_loss(
    input: Array,
    target: Array,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Array:
    """loss = exp(x) - t x, x = input the logarithm of the rate; without `log_input`, x - t log(x + eps).

    With `full`, Stirling's t log t - t + log(2 pi t) / 2 is added where t > 1.  Raises: ShapeError.

    >>> import numpy as np
    >>> float(poisson_nll_loss(np.array([0.0]), np.array([3.0])))
    1.0
    """
    same_shape("poisson_nll_loss", input, target)
    if log_input:
        losses = op.subtract(op.exp(input), op.multiply(target, input))
    else:
        losses = op.subtract(input, op.multiply(target, op.log(op.add(input, eps))))
    if full:
        large = op.greater(target, 1)
        t = op.where(large, target, 1.0)
        stirling = op.add(
            op.subtract(op.multiply(t, op.log(t)), t), op.multiply(op.log(op.multiply(t, 2 * math.pi)), 0.5)
        )
        losses = op.add(losses, op.where(large, stirling, 0.0))
    return reduced("poisson_nll_loss", losses, reduction)


def gaussian_nll_loss(
    input: Array, target: Array, var: Array, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Array:
    """loss = (log v + (input - target)^2 / v) / 2, v = max(var, eps); with `full`, + log(2 pi) / 2.

    Shapes: input and target equal; var broadcasts (an axis of size 1 at the end is one variance for all).
    Raises: ShapeError.

    >>> import numpy as np
    >>> float(gaussian_nll_loss(np.array([1.0]), np.array([3.0]), np.array([1.0])))
    2.0
    """
    same_shape("gaussian_nll_loss", input, target)
    v = op.maximum(var, eps)
    d = op.subtract(input, target)
    if len(v.shape) == len(d.shape) - 1 and tuple(v.shape) == tuple(d.shape[:-1]):
        v = op.expand_dims(v, axis=-1)
    losses = op.multiply(op.add(op.log(v), op.divide(op.multiply(d, d), v)), 0.5)
    if full:
        losses = op.add(losses, 0.5 * math.log(2 * math.pi))
    return reduced("gaussian_nll_loss", losses, reduction)


def soft_margin_loss(input: Array, target: Array, reduction: str = "mean") -> Array:
    """loss = log(1 + exp(-t x)), t = target 1 or -1.  Raises: ShapeError.

    >>> import numpy as np
    >>> round(float(soft_margin_loss(np.array([0.0]), np.array([1.0]))), 4)
    0.6931
    """
    same_shape("soft_margin_loss", input, target)
    return reduced("soft_margin_loss", log1p_exp(op.negative(op.multiply(target, input))), reduction)
