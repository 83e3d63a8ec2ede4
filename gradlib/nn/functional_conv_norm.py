"""Convolution and batch normalisation as one function; users reach it as `nn.functional`."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..ops.conv_arguments import Padding, Size
from .running import check_statistics, track

__all__ = ["conv2d_batch_norm"]

Array = Any


def conv2d_batch_norm(
    input: Array,
    weight: Array,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    gamma: Array | None = None,
    beta: Array | None = None,
    residual: Array | None = None,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    *,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    activation: Any = None,
) -> Array:
    """y = activation((c - mean) / sqrt(var + eps) gamma + beta + residual), c = conv2d(input, weight).

    In training mean and variance are those of c's channels over the batch, which the convolution takes on its way out,
    and the running ones, if given, are overwritten as `batch_norm` does.  In evaluation they are the running ones, and
    they go into the convolution as its scale and bias (`ops.batch_norm_fold`, a tiny launch), in the input's dtype.

    Shapes: input (batch, height, width, in); weight (kh, kw, in / groups, out); gamma, beta and the statistics (out,);
    result and residual (batch, h', w', out) as of `conv2d`.
    Raises: ShapeError (also for a single place in training, and for missing statistics in evaluation), DTypeError.
    Derivative: every order.  Kernel: ``conv_sm90.cu``, ``conv_mma.cu`` and ``batch_norm.cu``; else a composition.
    Source: Ioffe and Szegedy, "Batch normalization", ICML 2015, Algorithms 1 and 2.

    >>> import numpy as np
    >>> x, one = np.array([1.0, 3.0]).reshape(1, 1, 2, 1), np.ones(1)
    >>> conv2d_batch_norm(x, np.ones((1, 1, 1, 1)), 2 * one, one, eps=0.0, activation="relu").ravel()
    array([0., 1.])
    """
    window: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    name = "conv2d_batch_norm(input, weight, running_mean, running_var)"
    if training:
        y, mean, var = ops.conv2d_batch_norm(
            input, weight, gamma, beta, residual, eps=eps, activation=activation, **window
        )
        track(name, "result", y, running_mean, running_var, mean, var, momentum)
        return y
    check_statistics(name, running_mean, running_var)
    scale, shift = ops.batch_norm_fold(running_mean, running_var, gamma, beta, eps=eps, dtype=input.dtype)
    return ops.conv2d(input, weight, shift, scale=scale, residual=residual, activation=activation, **window)
