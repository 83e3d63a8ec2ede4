"""A convolution and the batch normalisation of its result, whose statistics the convolution takes on its way out."""

from __future__ import annotations

from typing import Any

from .. import backend as backends
from ..core import Saved, between, fused, op, sample
from ..spec import Spec
from . import conv_launch, conv_tensor, norm_launch
from .activation import Activation
from .conv_arguments import Padding, Size, window_arguments
from .conv_host import Ints, Pairs, out_sizes
from .conv_tensor import window_of
from .conv_triad import conv, infer
from .norm import batch_norm, infer_batch_norm
from .norm_launch import Plan

__all__ = ["conv2d_batch_norm"]

Array = Any


def _infer(
    input: Spec,
    weight: Spec,
    gamma: Spec | None = None,
    beta: Spec | None = None,
    residual: Spec | None = None,
    *,
    eps: float,
    activation: Activation = None,
    **window: Any,
) -> tuple[Spec, Spec, Spec]:
    y = infer(input, weight, **window)
    return infer_batch_norm(y, gamma, beta, residual, eps=eps, activation=activation)


def _samples() -> list[Any]:
    window: dict[str, Any] = {
        "stride": (1, 1),
        "padding": ((1, 1), (1, 1)),
        "dilation": (1, 1),
        "groups": 1,
        "eps": 1e-3,
    }
    one = {**window, "padding": ((0, 0), (0, 0))}
    return [
        sample((2, 5, 4, 8), (3, 3, 8, 16), (16,), (16,), (2, 5, 4, 16), activation="gelu", **window),
        sample((3, 4, 5, 8), (1, 1, 8, 8), (8,), (8,), None, **one),
        sample((2, 5, 5, 8), (3, 3, 8, 8), None, between(0.05, 0.1, 8), activation="relu", smooth=False,
               **{**window, "stride": (2, 2)}),
        sample((2, 4, 4, 6), (3, 3, 2, 6), (6,), None, (2, 4, 4, 6), activation="silu", **{**window, "groups": 3}),
    ]  # fmt: skip


@fused("conv_batch_norm", infer=_infer, samples=_samples, outputs=3)
def _conv_batch_norm(
    input: Array,
    weight: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    residual: Array | None = None,
    *,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int,
    eps: float = 1e-5,
    activation: Activation = None,
) -> tuple[Array, Array, Array]:
    """y = act(batch_norm(conv(input, weight)) + residual), mean and biased variance of the convolution's channels."""
    window = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    if callable(activation):
        y, mean, var = _conv_batch_norm(input, weight, gamma, beta, residual, eps=eps, **window)
        return activation(y), mean, var
    c = conv(input, weight, **window)
    found: tuple[Array, Array, Array] = batch_norm(c, gamma, beta, residual, eps=eps, activation=activation)
    return found


def conv2d_batch_norm(
    input: Array,
    weight: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    residual: Array | None = None,
    *,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    eps: float = 1e-5,
    activation: Activation = None,
) -> tuple[Array, Array, Array]:
    """y = act((c - mean) / sqrt(var + eps) * gamma + beta + residual), c = conv(input, weight).

    Returns (y, mean, var): mean and biased variance of c's channels over the batch.

    Shapes: input (batch, height, width, channels); weight (kh, kw, channels / groups, features); gamma, beta
    (features,); residual as y.  Dtypes: floating; gamma and beta may be float32 beside 16-bit floats.
    Raises: ShapeError, DTypeError.  Derivative: every order, the first by backward kernels.
    Kernel: on tensor cores the convolution (conv_sm90.cu, conv_mma.cu, or the plain product of a 1x1) leaves means and
    squared deviations of its tiles' columns behind, so that the normalisation (batch_norm.cu) reads its result once
    instead of twice (not where its sum is better split); elsewhere, and with groups, a composition.
    Source: Ioffe and Szegedy, "Batch normalization", ICML 2015, Algorithm 1.

    >>> import numpy as np
    >>> x, w = np.array([1.0, 3.0]).reshape(1, 1, 2, 1), np.ones((1, 1, 1, 1))
    >>> y, mean, var = conv2d_batch_norm(x, w, eps=0.0, activation="relu")
    >>> y.ravel(), mean, var
    (array([0., 1.]), array([2.]), array([1.]))
    """
    kernel = getattr(weight, "shape", ())[:-2]
    window = window_arguments("conv2d_batch_norm(input, weight)", 2, kernel, stride, padding, dilation)
    found: tuple[Array, Array, Array] = _conv_batch_norm(
        input, weight, gamma, beta, residual, groups=groups, eps=eps, activation=activation, **window
    )
    return found


# -- kernels


@_conv_batch_norm.kernel("cuda", planned=True)
def _launch(
    input: Array,
    weight: Array,
    gamma: Array | None,
    beta: Array | None,
    residual: Array | None,
    *,
    eps: float,
    activation: Activation,
    save: bool,
    **window: Any,
) -> Any:
    if window["groups"] != 1:
        return NotImplemented
    kernel = weight.shape[:-2]
    size = out_sizes(input.shape[1:-1], kernel, window["stride"], window["padding"], window["dilation"])
    c = backends.backend_of(input).empty((input.shape[0], *size, weight.shape[-1]), input.dtype)
    plan = Plan(c, activation, gamma, beta)
    if not plan.fits:
        return NotImplemented
    totals = conv_tensor.forward(input, weight, c, window_of(kernel, **window), moments=True)
    if totals is NotImplemented:
        return NotImplemented
    if totals is None:
        found = norm_launch.statistics(plan, c, eps)
    else:
        found = norm_launch.finish(plan, c.dtype, totals.array[0], totals.array[1], totals.rows, eps)
    y, kept = norm_launch.apply(plan, c, found.mean, found.rstd, gamma, beta, residual, save)
    return Saved((y, found.mean_out, found.var_out), (c, found.mean, found.rstd, *kept))


@_conv_batch_norm.backward.kernel("cuda", planned=True)
def _launch_backward(
    input: Array,
    weight: Array,
    gamma: Array | None,
    beta: Array | None,
    residual: Array | None,
    g: Array | None,
    g_mean: Array | None,
    g_var: Array | None,
    *residuals: Array,
    eps: float,
    activation: Activation,
    needs: tuple[bool, ...],
    **window: Any,
) -> Any:
    if not residuals:
        return NotImplemented
    c, *kept = residuals
    plan = Plan(c, activation, gamma, beta)
    if g is None:  # only the statistics are differentiated
        g = plan.backend.zeros(c.shape, c.dtype)
    wanted = {"input": needs[0] or needs[1], "weight": needs[2], "bias": needs[3], "residual": needs[4]}
    found = norm_launch.gradients(plan, c, g, tuple(kept), gamma, wanted, (g_mean, g_var), True)
    dx = dw = None
    if wanted["input"]:
        there = conv_launch.gradients(
            input, weight, weight, found["input"], None, (needs[0], needs[1]), False, None, window
        )
        if there is None:
            return NotImplemented
        dx, dw = there.dx, there.dw
    return dx, dw, found["weight"], found["bias"], found.get("residual")


op.register(conv2d_batch_norm=conv2d_batch_norm)
