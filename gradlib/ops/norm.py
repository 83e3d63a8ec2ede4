"""Batch normalisation over (batch, ..., channels), with the statistics of the batch (training) or given ones."""

from __future__ import annotations

import math
from typing import Any

from ..core import Saved, between, fused, leaf, op, sample
from ..errors import DTypeError, ShapeError, message, operand
from ..spec import Spec, is_floating
from . import norm_launch
from .activation import Activation, activate
from .activation import check as check_activation
from .norm_launch import Plan

__all__ = ["batch_norm", "batch_norm_inference"]

Array = Any


def _check(name: str, input: Spec, per_channel: dict[str, Spec | None]) -> None:
    operands = [operand("input", input, "batch, ..., channels")]
    if not is_floating(input.dtype):
        raise DTypeError(message(f"{name}: input is not floating", operands, "need a floating dtype"))
    if len(input.shape) < 2:
        raise ShapeError(message(f"{name}: input has {len(input.shape)} dimensions, expected 2 or more", operands))
    for other, spec in per_channel.items():
        if spec is not None and spec.shape != input.shape[-1:]:
            raise ShapeError(
                message(
                    f"{name}: {other} has shape {spec.shape}, input has {input.shape[-1]} channels",
                    [*operands, operand(other, spec, "channels")],
                    f"need {other}.shape == (input.shape[-1],)",
                )
            )
        if spec is not None and not is_floating(spec.dtype):
            raise DTypeError(
                message(f"{name}: {other} is not floating", [operand(other, spec)], "need a floating dtype")
            )


def _check_steps(name: str, input: Spec, residual: Spec | None, activation: Activation) -> None:
    check_activation(name, activation)
    if residual is not None and residual != input:
        lines = [operand("input", input, "batch, ..., channels"), operand("residual", residual)]
        raise (ShapeError if residual.shape != input.shape else DTypeError)(
            message(f"{name}: residual is no array like input", lines, "need the same shape and dtype")
        )


def _steps(x: Array, residual: Array | None, activation: Activation) -> Array:
    return activate(x if residual is None else op.add(x, residual), activation)


def _scaled(x: Array, weight: Array | None, bias: Array | None) -> Array:
    if weight is not None:
        x = op.multiply(x, op.cast(weight, dtype=x.dtype))
    return x if bias is None else op.add(x, op.cast(bias, dtype=x.dtype))


# -- training


def _infer_standardize(x: Spec, *, eps: float) -> tuple[Spec, Spec, Spec]:
    channels = Spec(x.shape[-1:], x.dtype)
    return x, channels, channels


def _standardize_vjp(gs: Any, ans: Any, x: Array, eps: float) -> Array:
    """dx = r (g - mean(g) - xhat mean(g xhat)) + g_mean / n + 2 g_var (x - mean) / n, with x - mean = xhat / r."""
    (g, g_mean, g_var), (xhat, _, var) = gs, ans
    lead = tuple(range(len(x.shape) - 1))
    n = math.prod(x.shape[:-1])
    deviation = op.sqrt(op.add(var, eps))
    slope = op.divide(op.sum(op.multiply(g, xhat), axis=lead), deviation)
    along = op.subtract(slope, op.multiply(op.multiply(g_var, deviation), 2.0))
    constant = op.subtract(op.divide(op.sum(g, axis=lead), deviation), g_mean)
    back = op.add(op.multiply(xhat, along), constant)
    return op.subtract(op.divide(g, deviation), op.multiply(back, 1.0 / n))


@leaf(
    "standardize",
    infer=_infer_standardize,
    vjp=(_standardize_vjp,),
    saves=("x ans",),
    outputs=3,
    samples=lambda: [sample((6, 5), eps=1e-5), sample((2, 3, 7, 2), eps=1e-3), sample((131, 2), eps=1e-5)],
)
def _standardize(xp: Any, x: Array, *, eps: float) -> tuple[Array, Array, Array]:
    """xhat = (x - mean) / sqrt(var + eps), mean, var (biased) of each channel, in two passes."""
    n = math.prod(x.shape[:-1])
    rows = x.reshape(n, x.shape[-1])
    # NumPy adds up an axis that is not the last one row by row: a long serial sum, so take it in two levels
    mean = _column_sums(xp, rows) / n
    centered = rows - mean
    var = _column_sums(xp, centered * centered) / n
    centered /= xp.sqrt(var + eps)
    return centered.reshape(x.shape), mean.astype(x.dtype, copy=False), var.astype(x.dtype, copy=False)


def _column_sums(xp: Any, rows: Array) -> Array:
    n, channels = rows.shape
    side = math.isqrt(n)
    if side < 8:
        return rows.sum(0)
    whole = n // side * side
    total = rows[:whole].reshape(side, -1, channels).sum(1).sum(0)
    return total + rows[whole:].sum(0) if whole < n else total


def infer_batch_norm(
    input: Spec,
    weight: Spec | None = None,
    bias: Spec | None = None,
    residual: Spec | None = None,
    *,
    eps: float,
    activation: Activation = None,
) -> tuple[Spec, Spec, Spec]:
    name = "batch_norm(input, weight, bias)"
    _check(name, input, {"weight": weight, "bias": bias})
    if math.prod(input.shape[:-1]) == 0:
        raise ShapeError(
            message(f"{name}: an empty batch has no statistics", [operand("input", input, "batch, ..., channels")],
                    "need at least one row")
        )  # fmt: skip
    _check_steps(name, input, residual, activation)
    return _infer_standardize(input, eps=eps)


def _batch_norm_samples() -> list[Any]:
    return [
        sample((6, 5), (5,), (5,), eps=1e-5),
        sample((2, 3, 5, 7), (7,), (7,), eps=1e-5),
        sample((4, 3), None, None, eps=1e-3),
        sample((67, 3), (3,), None, eps=1e-5),
        sample((3, 37), None, (37,), eps=1e-5),
        sample(between(99, 101, 131, 2), (2,), (2,), eps=1e-5, smooth=False),  # mean far above deviation
        sample((5, 0), (0,), (0,), eps=1e-5),
        sample((6, 5), (5,), (5,), (6, 5), eps=1e-5, activation="gelu"),
        sample((2, 3, 5, 7), None, None, (2, 3, 5, 7), eps=1e-5),
        sample((2, 3, 5, 3), (3,), (3,), None, eps=1e-5, activation="silu"),
        sample((67, 3), None, between(0.05, 0.1, 3), eps=1e-5, activation="relu", smooth=False),
    ]


@fused("batch_norm", infer=infer_batch_norm, samples=_batch_norm_samples, outputs=3)
def batch_norm(
    input: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    residual: Array | None = None,
    *,
    eps: float = 1e-5,
    activation: Activation = None,
) -> tuple[Array, Array, Array]:
    """y = act((x - mean) / sqrt(var + eps) * weight + bias + residual), of each channel's mean and biased variance.

    Returns (y, mean, var), those of the batch; a layer updates its running statistics with the latter two.

    Shapes: input and residual (batch, ..., channels); weight, bias (channels,).  Dtypes: floating.
    Raises: ShapeError, DTypeError.  Derivative: every order, also of mean and var.
    Kernel: ``batch_norm.cu``.
    Source: Ioffe and Szegedy, "Batch normalization", ICML 2015, Algorithm 1.
    """
    if callable(activation):
        y, mean, var = batch_norm(input, weight, bias, residual, eps=eps)
        return activation(y), mean, var
    xhat, mean, var = _standardize(input, eps=eps)
    return _steps(_scaled(xhat, weight, bias), residual, activation), mean, var


# -- evaluation


def _infer_inference(
    input: Spec,
    mean: Spec,
    var: Spec,
    weight: Spec | None = None,
    bias: Spec | None = None,
    residual: Spec | None = None,
    *,
    eps: float,
    activation: Activation = None,
) -> Spec:
    name = "batch_norm_inference(input, mean, var)"
    _check(name, input, {"mean": mean, "var": var, "weight": weight, "bias": bias})
    _check_steps(name, input, residual, activation)
    return input


def _inference_samples() -> list[Any]:
    return [
        sample((6, 5), (5,), between(0.5, 2, 5), (5,), (5,), eps=1e-5),
        sample((2, 3, 5, 7), (7,), between(0.5, 2, 7), None, None, eps=1e-5),
        sample((1, 1), (1,), between(0.5, 2, 1), (1,), None, eps=1e-3),
        sample((0, 5), (5,), between(0.5, 2, 5), (5,), (5,), eps=1e-5),
        sample((6, 5), (5,), between(0.5, 2, 5), (5,), (5,), (6, 5), eps=1e-5, activation="tanh"),
    ]


@fused("batch_norm_inference", infer=_infer_inference, samples=_inference_samples)
def batch_norm_inference(
    input: Array,
    mean: Array,
    var: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    residual: Array | None = None,
    *,
    eps: float = 1e-5,
    activation: Activation = None,
) -> Array:
    """y = act((x - mean) / sqrt(var + eps) * weight + bias + residual), with given statistics of each channel.

    Shapes: input and residual (batch, ..., channels); the others (channels,).  Dtypes: floating.
    Raises: ShapeError, DTypeError.  Derivative: every order.  Kernel: ``batch_norm.cu``.
    """
    if callable(activation):
        return activation(batch_norm_inference(input, mean, var, weight, bias, residual, eps=eps))
    rstd = op.divide(1.0, op.sqrt(op.add(op.cast(var, dtype=input.dtype), eps)))
    scale = rstd if weight is None else op.multiply(rstd, op.cast(weight, dtype=input.dtype))
    y = _scaled(op.multiply(op.subtract(input, op.cast(mean, dtype=input.dtype)), scale), None, bias)
    return _steps(y, residual, activation)


# -- kernels


@batch_norm.kernel("cuda", planned=True)
def _(
    input: Array, weight: Array | None, bias: Array | None, residual: Array | None, *, eps: float,
    activation: Activation, save: bool,
) -> Any:  # fmt: skip
    plan = Plan(input, activation, weight, bias)
    if not plan.fits:
        return NotImplemented
    found = norm_launch.statistics(plan, input, eps)
    y, kept = norm_launch.apply(plan, input, found.mean, found.rstd, weight, bias, residual, save)
    return Saved((y, found.mean_out, found.var_out), (found.mean, found.rstd, *kept))


@batch_norm_inference.kernel("cuda", planned=True)
def _(
    input: Array, mean: Array, var: Array, weight: Array | None, bias: Array | None, residual: Array | None, *,
    eps: float, activation: Activation, save: bool,
) -> Any:  # fmt: skip
    plan = Plan(input, activation, mean, var, weight, bias)
    if not plan.fits:
        return NotImplemented
    center, rstd = norm_launch.running(plan, mean, var, eps)
    y, kept = norm_launch.apply(plan, input, center, rstd, weight, bias, residual, save)
    return Saved(y, (center, rstd, *kept))


@batch_norm.backward.kernel("cuda", planned=True)
def _(
    input: Array, weight: Array | None, bias: Array | None, residual: Array | None, g: Array | None,
    g_mean: Array | None, g_var: Array | None, *residuals: Array, eps: float, activation: Activation,
    needs: tuple[bool, ...],
) -> Any:  # fmt: skip
    plan = Plan(input, activation, weight, bias)
    if not plan.fits or not residuals:
        return NotImplemented
    if g is None:  # only the statistics are differentiated
        g = plan.backend.zeros(input.shape, input.dtype)
    names = ("input", "weight", "bias", "residual")
    wanted = dict(zip(names, needs, strict=True))
    found = norm_launch.gradients(plan, input, g, residuals, weight, wanted, (g_mean, g_var), True)
    return tuple(found.get(name) for name in names)


@batch_norm_inference.backward.kernel("cuda", planned=True)
def _(
    input: Array, mean: Array, var: Array, weight: Array | None, bias: Array | None, residual: Array | None, g: Array,
    *residuals: Array, eps: float, activation: Activation, needs: tuple[bool, ...],
) -> Any:  # fmt: skip
    plan = Plan(input, activation, mean, var, weight, bias)
    if not plan.fits or not residuals:
        return NotImplemented
    names = ("input", "mean", "var", "weight", "bias", "residual")
    wanted = dict(zip(names, needs, strict=True))
    found = norm_launch.gradients(plan, input, g, residuals, weight, wanted, (None, None), False)
    return tuple(found.get(name) for name in names)


op.register(batch_norm=batch_norm, batch_norm_inference=batch_norm_inference)
