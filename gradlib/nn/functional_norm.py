"""Normalisations; users reach them as `nn.functional`.

Differentiable to every order.  Channels are the last axis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..core import Tensor, no_grad, op
from ..errors import ShapeError, message, operand
from ..spec import REDUCED, float32
from .running import check_statistics, move_towards, track

__all__ = [
    "batch_norm",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "normalize",
    "rms_norm",
]

Array = Any


def _wide(x: Array) -> Array:
    """Return float16 and bfloat16 as float32, in which the statistics are taken."""
    return op.cast(x, dtype="float32") if x.dtype in REDUCED else x


def _affine(y: Array, weight: Array | None, bias: Array | None, like: Array) -> Array:
    if weight is not None:
        y = op.multiply(y, weight)
    if bias is not None:
        y = op.add(y, bias)
    return op.cast(y, dtype=like.dtype)


def _shape(normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    return (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)


def batch_norm(
    input: Array,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    weight: Array | None = None,
    bias: Array | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    residual: Array | None = None,
    activation: Any = None,
) -> Array:
    """y = activation((x - mean) / sqrt(var + eps) * weight + bias + residual), per channel (last axis).

    In training (or without running statistics) mean and variance are those of the batch, and the
    running ones, if given, are overwritten: r <- (1 - momentum) r + momentum s, with the unbiased
    variance.  That happens to their values, off the tape, and once where `checkpoint` runs the layer again.

    Shapes: input and residual (batch, ..., channels); the others (channels,).
    Raises: ShapeError (also for a single row in training, whose variance is no variance), DTypeError.
    Derivative: every order.  Kernel: ``batch_norm.cu``.
    Source: Ioffe and Szegedy, "Batch normalization", ICML 2015, Algorithms 1 and 2.

    >>> import numpy as np
    >>> batch_norm(np.array([[1.0], [3.0]]), training=True, eps=0.0)
    array([[-1.],
           [ 1.]])
    """
    steps: dict[str, Any] = {"eps": eps, "activation": activation}
    if not training:
        check_statistics("batch_norm(input, running_mean, running_var)", running_mean, running_var)
        return ops.batch_norm_inference(input, running_mean, running_var, weight, bias, residual, **steps)
    y, mean, var = ops.batch_norm(input, weight, bias, residual, **steps)
    track("batch_norm(input, training=True)", "input", input, running_mean, running_var, mean, var, momentum)
    return y


def layer_norm(
    input: Array,
    normalized_shape: int | Sequence[int],
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
) -> Array:
    """y = (x - mean) / sqrt(var + eps) weight + bias, over the last axes, those of `normalized_shape`; biased var.

    Shapes: input (..., *normalized_shape); weight, bias normalized_shape.  Dtypes: float16 and bfloat16 are
    computed in float32.  Raises: ShapeError, DTypeError.  Kernel: ``layer_norm.cu``.
    Source: Ba, Kiros, Hinton, "Layer normalization", 2016, equation 4.

    >>> import numpy as np
    >>> layer_norm(np.array([[1.0, 3.0]]), 2, eps=0.0)
    array([[-1.,  1.]])
    """
    return op.layer_norm(input, weight, bias, normalized_shape=_shape(normalized_shape), eps=eps)


def rms_norm(
    input: Array, normalized_shape: int | Sequence[int], weight: Array | None = None, eps: float | None = None
) -> Array:
    """y = x / sqrt(mean(x^2) + eps) weight, the mean over the last axes, `normalized_shape`.

    `eps` is by default the spacing at 1 of the dtype that is computed in: float32 for the reduced ones.
    Shapes: input (..., *normalized_shape); weight normalized_shape.  Raises: ShapeError, DTypeError.
    Kernel: ``layer_norm.cu``.
    Source: Zhang, Sennrich, "Root mean square layer normalization", NeurIPS 2019, equation 4.

    >>> import numpy as np
    >>> rms_norm(np.array([[3.0, 3.0]]), 2, eps=0.0)
    array([[1., 1.]])
    """
    if eps is None:
        eps = float(np.finfo(float32 if input.dtype in REDUCED else input.dtype).eps)
    return op.rms_norm(input, weight, normalized_shape=_shape(normalized_shape), eps=eps)


def group_norm(
    input: Array, num_groups: int, weight: Array | None = None, bias: Array | None = None, eps: float = 1e-5
) -> Array:
    """y = (x - mean) / sqrt(var + eps) weight + bias; mean and variance of an example's channels of one group.

    Shapes: input (batch, ..., channels); weight, bias (channels,).  Raises: ShapeError unless num_groups
    divides the channels.  Kernel: ``group_norm.cu``.
    Source: Wu, He, "Group normalization", ECCV 2018, equation 3.

    >>> import numpy as np
    >>> group_norm(np.array([[1.0, 3.0, 5.0, 9.0]]), 2, eps=0.0)
    array([[-1.,  1., -1.,  1.]])
    """
    return op.group_norm(input, weight, bias, num_groups=num_groups, eps=eps)


def instance_norm(
    input: Array,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    weight: Array | None = None,
    bias: Array | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Array:
    """y = (x - mean) / sqrt(var + eps) weight + bias, mean and variance of each channel of each example.

    Without `use_input_stats` they are the running ones; with, the running ones, if given, are overwritten off the
    tape: r <- (1 - momentum) r + momentum s, s the batch's average, of the unbiased variances.

    Shapes: input (batch, ..., channels); the others (channels,).  Raises: ShapeError for a single value per
    channel.  Kernel: ``group_norm.cu``; composition with running statistics.
    Source: Ulyanov, Vedaldi, Lempitsky, "Instance normalization", 2016, equation 2.

    >>> import numpy as np
    >>> instance_norm(np.array([[[1.0], [3.0]]]), eps=0.0).ravel()
    array([-1.,  1.])
    """
    x = _wide(input)
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise ShapeError("instance_norm(use_input_stats=False): need running_mean and running_var")
        y = op.multiply(op.subtract(x, running_mean), op.rsqrt(op.add(running_var, eps)))
        return _affine(y, weight, bias, input)
    axes = tuple(range(1, len(input.shape) - 1))
    count = math.prod(input.shape[1:-1])
    if count < 2:
        lines = [operand("input", input, "batch, ..., channels")]
        raise ShapeError(message("instance_norm(input): one value per channel has no variance", lines))
    if running_mean is not None and running_var is not None:
        with no_grad():
            values = x.detach() if isinstance(x, Tensor) else x
            mean = op.mean(op.mean(values, axis=axes), axis=0)
            var = op.mean(op.var(values, axis=axes, correction=1.0), axis=0)
            move_towards(running_mean, mean, momentum)
            move_towards(running_var, var, momentum)
    return op.group_norm(input, weight, bias, num_groups=input.shape[-1], eps=eps)


def normalize(input: Array, p: float = 2.0, dim: int = -1, eps: float = 1e-12) -> Array:
    """y = x / max(|x|, eps), |x| the p-norm along axis `dim`, by default the last.

    >>> import numpy as np
    >>> normalize(np.array([3.0, 4.0]))
    array([0.6, 0.8])
    """
    if p == 2:
        norm = op.sqrt(op.sum(op.multiply(input, input), axis=dim, keepdims=True))
    elif p == 1:
        norm = op.sum(op.abs(input), axis=dim, keepdims=True)
    else:
        norm = op.power(op.sum(op.power(op.abs(input), p), axis=dim, keepdims=True), 1.0 / p)
    return op.divide(input, op.maximum(norm, eps))
