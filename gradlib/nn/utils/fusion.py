"""Batch normalisation in evaluation as part of the layer before it."""

from __future__ import annotations

import copy
from typing import Any

from ...core import no_grad, op
from ...errors import ShapeError
from ..conv_transpose import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from ..module import Module
from ..parameter import Parameter

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]

Array = Any


def fuse_linear_bn_weights(
    linear_w: Array, linear_b: Array | None, bn_rm: Array, bn_rv: Array, bn_eps: float, bn_w: Array, bn_b: Array
) -> tuple[Parameter, Parameter]:
    """Return weight and bias of the layer that does what a layer (weight (..., out)) and batch normalisation do.

    weight s and (bias - mean) s + bn_b, s = bn_w / sqrt(var + eps), for each output.

    >>> import gradlib as gl
    >>> one = gl.tensor([1.0])
    >>> w, b = fuse_linear_bn_weights(gl.tensor([[6.0]]), None, one, one * 3.0, 1.0, one * 2.0, one)
    >>> w.item(), b.item()
    (6.0, 0.0)
    """
    with no_grad():
        scale = op.rsqrt(op.add(bn_rv, bn_eps))
        scale = scale if bn_w is None else op.multiply(bn_w, scale)
        shift = op.negative(bn_rm) if linear_b is None else op.subtract(linear_b, bn_rm)
        bias = op.multiply(shift, scale)
        return Parameter(op.multiply(linear_w, scale)), Parameter(bias if bn_b is None else op.add(bias, bn_b))


def fuse_conv_bn_weights(
    conv_w: Array,
    conv_b: Array | None,
    bn_rm: Array,
    bn_rv: Array,
    bn_eps: float,
    bn_w: Array | None,
    bn_b: Array | None,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """Return weight and bias of the convolution that does what one and batch normalisation after it do.

    Weights are (*kernel, in, out); with `transpose` those of a transposed convolution of one group, (*kernel, out, in).

    >>> import gradlib as gl
    >>> one = gl.ones((1,))
    >>> w, b = fuse_conv_bn_weights(gl.ones((1, 1, 1, 1)) * 6.0, None, one, one * 3.0, 1.0, one * 2.0, one)
    >>> w.item(), b.item()
    (6.0, 0.0)
    """
    if not transpose:
        return fuse_linear_bn_weights(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)
    weight, bias = fuse_linear_bn_weights(op.swapaxes(conv_w, -1, -2), conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)
    with no_grad():
        return Parameter(op.swapaxes(weight, -1, -2)), bias


def _fused(name: str, layer: Any, bn: Any, transpose: bool) -> Any:
    if layer.training or bn.training or bn.running_mean is None or getattr(layer, "activation", None) is not None:
        raise ShapeError(
            f"{name}: a layer in training, without running statistics, or with an activation before the normalisation\n"
            f"  need both in eval(), with statistics, and activation=None"
        )
    if transpose and layer.groups != 1:
        raise ShapeError(f"{name}: a transposed convolution of {layer.groups} groups\n  need one")
    fused = copy.deepcopy(layer)
    settings = (bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias)
    fused.weight, fused.bias = fuse_conv_bn_weights(layer.weight, layer.bias, *settings, transpose=transpose)
    return fused


def fuse_conv_bn_eval(conv: Module, bn: Module, transpose: bool | None = None) -> Any:
    """Return a copy of a convolution that does what it and the batch normalisation after it do in evaluation.

    Raises: ShapeError for layers in training, or without running statistics.

    >>> import gradlib as gl, numpy as np
    >>> conv, bn, x = gl.nn.Conv2d(1, 2, 3).eval(), gl.nn.BatchNorm2d(2).eval(), gl.ones((1, 4, 4, 1))
    >>> bool(abs(fuse_conv_bn_eval(conv, bn)(x) - bn(conv(x))).max() < 1e-6)
    True
    """
    transposed = isinstance(conv, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d))
    return _fused("fuse_conv_bn_eval(conv, bn)", conv, bn, transposed if transpose is None else transpose)


def fuse_linear_bn_eval(linear: Module, bn: Module) -> Any:
    """Return a copy of a dense layer that does what it and the batch normalisation after it do in evaluation.

    >>> import gradlib as gl
    >>> layer, bn, x = gl.nn.Dense(3, 2).eval(), gl.nn.BatchNorm1d(2).eval(), gl.ones((1, 3))
    >>> bool(abs(fuse_linear_bn_eval(layer, bn)(x) - bn(layer(x))).max() < 1e-6)
    True
    """
    return _fused("fuse_linear_bn_eval(linear, bn)", linear, bn, False)
