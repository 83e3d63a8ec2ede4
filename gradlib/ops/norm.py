"""Batch normalisation over (batch, ..., channels), with the statistics of the batch (training) or given ones."""

from __future__ import annotations

import math
from typing import Any

from .. import backend as backends
from ..core import Saved, between, fused, leaf, op, sample
from ..errors import DTypeError, ShapeError, message, operand
from ..kernel import Kernel
from ..spec import REDUCED, Spec, float32, is_floating

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


def _infer_batch_norm(input: Spec, weight: Spec | None, bias: Spec | None, *, eps: float) -> tuple[Spec, Spec, Spec]:
    name = "batch_norm(input, weight, bias)"
    _check(name, input, {"weight": weight, "bias": bias})
    if math.prod(input.shape[:-1]) == 0:
        raise ShapeError(
            message(f"{name}: an empty batch has no statistics", [operand("input", input, "batch, ..., channels")],
                    "need at least one row")
        )  # fmt: skip
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
    ]


@fused("batch_norm", infer=_infer_batch_norm, samples=_batch_norm_samples, outputs=3)
def batch_norm(
    input: Array, weight: Array | None = None, bias: Array | None = None, *, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    """y = (x - mean) / sqrt(var + eps) * weight + bias, with mean and biased variance of each channel over the batch.

    Returns (y, mean, var); a layer updates its running statistics with the latter two.

    Shapes: input (batch, ..., channels); weight, bias (channels,).  Dtypes: floating.
    Raises: ShapeError, DTypeError.  Derivative: every order, also of mean and var.
    Kernel: ``batch_norm.cu``.
    Source: Ioffe and Szegedy, "Batch normalization", ICML 2015, Algorithm 1.
    """
    xhat, mean, var = _standardize(input, eps=eps)
    return _scaled(xhat, weight, bias), mean, var


# -- evaluation


def _infer_inference(input: Spec, mean: Spec, var: Spec, weight: Spec | None, bias: Spec | None, *, eps: float) -> Spec:
    _check("batch_norm_inference(input, mean, var)", input, {"mean": mean, "var": var, "weight": weight, "bias": bias})
    return input


def _inference_samples() -> list[Any]:
    return [
        sample((6, 5), (5,), between(0.5, 2, 5), (5,), (5,), eps=1e-5),
        sample((2, 3, 5, 7), (7,), between(0.5, 2, 7), None, None, eps=1e-5),
        sample((1, 1), (1,), between(0.5, 2, 1), (1,), None, eps=1e-3),
        sample((0, 5), (5,), between(0.5, 2, 5), (5,), (5,), eps=1e-5),
    ]


@fused("batch_norm_inference", infer=_infer_inference, samples=_inference_samples)
def batch_norm_inference(
    input: Array, mean: Array, var: Array, weight: Array | None = None, bias: Array | None = None, *, eps: float = 1e-5
) -> Array:
    """y = (x - mean) / sqrt(var + eps) * weight + bias, with given statistics of each channel.

    Shapes: input (batch, ..., channels); the others (channels,).  Dtypes: floating.
    Raises: ShapeError, DTypeError.  Derivative: every order.  Kernel: ``batch_norm.cu``.
    """
    rstd = op.divide(1.0, op.sqrt(op.add(op.cast(var, dtype=input.dtype), eps)))
    scale = rstd if weight is None else op.multiply(rstd, op.cast(weight, dtype=input.dtype))
    return _scaled(op.multiply(op.subtract(input, op.cast(mean, dtype=input.dtype)), scale), None, bias)


# -- kernels

_partial = Kernel("batch_norm.cu", "batch_norm_partial", "x mean m2 | rows channels share")
_finish = Kernel(
    "batch_norm.cu",
    "batch_norm_finish",
    "part_mean part_m2 mean_out var_out mean rstd | rows channels share segments eps",
)
_running = Kernel("batch_norm.cu", "batch_norm_running", "running_mean running_var mean rstd | channels eps")
_apply = Kernel("batch_norm.cu", "batch_norm_apply", "x mean rstd weight bias y | rows channels")
_back_partial = Kernel(
    "batch_norm.cu", "batch_norm_backward_partial", "x g mean rstd part_g part_gx | rows channels share"
)
_back_finish = Kernel(
    "batch_norm.cu",
    "batch_norm_backward_finish",
    "part_g part_gx rstd weight sum_g sum_gx dweight dbias dmean dvar | channels segments",
)
_back_apply = Kernel(
    "batch_norm.cu",
    "batch_norm_backward_apply",
    "x g mean rstd weight sum_g sum_gx g_mean g_var dx | rows channels training",
)


class _Plan:
    """Shapes of the launches over (rows, channels): column tiles, and the rows cut into segments."""

    def __init__(self, x: Array, *params: Array | None) -> None:
        self.channels = x.shape[-1]
        self.rows = math.prod(x.shape[:-1])
        bx = min(32, 1 << max(self.channels - 1, 0).bit_length())
        self.block = (bx, 256 // bx)
        self.tiles = -(-self.channels // bx)
        per_segment = 32 * self.block[1]  # rows of a thread's share that keep it busy
        self.share = max(per_segment, -(-self.rows // 256))
        self.segments = max(1, -(-self.rows // self.share))
        self.spread = max(1, min(-(-self.rows // (8 * self.block[1])), 4096))  # of a pass without a reduction
        self.wide = float32 if x.dtype in REDUCED else x.dtype
        dtypes = {p.dtype for p in params if p is not None} or {x.dtype}
        self.param = dtypes.pop()
        # one dtype for all of them: the input's, or float32 beside a reduced one
        mixed = bool(dtypes) or not (self.param == x.dtype or (x.dtype in REDUCED and self.param == float32))
        self.fits = not mixed and self.rows < 2**30 and x.size > 0
        self.macros = {"T": x.dtype, "PARAM": self.param}
        self.backend = backends.backend_of(x)

    def vectors(self, count: int, dtype: Any = None, lead: tuple[int, ...] = ()) -> list[Array]:
        return [self.backend.empty((*lead, self.channels), dtype or self.wide) for _ in range(count)]


@batch_norm.kernel("cuda")
def _(input: Array, weight: Array | None, bias: Array | None, *, eps: float) -> Any:
    plan = _Plan(input, weight, bias)
    if not plan.fits:
        return NotImplemented
    rows, channels, share, segments = plan.rows, plan.channels, plan.share, plan.segments
    part_mean, part_m2 = plan.vectors(2, lead=(segments,))
    mean_out, var_out = plan.vectors(2, input.dtype)
    mean, rstd = plan.vectors(2)
    y = plan.backend.empty(input.shape, input.dtype)
    _partial((plan.tiles, segments), plan.block, input, part_mean, part_m2, rows, channels, share, **plan.macros)
    _finish(
        plan.tiles, plan.block, part_mean, part_m2, mean_out, var_out, mean, rstd, rows, channels, share, segments, eps,
        **plan.macros,
    )  # fmt: skip
    _apply((plan.tiles, plan.spread), plan.block, input, mean, rstd, weight, bias, y, rows, channels, **plan.macros)
    return Saved((y, mean_out, var_out), (mean, rstd))


@batch_norm_inference.kernel("cuda")
def _(input: Array, mean: Array, var: Array, weight: Array | None, bias: Array | None, *, eps: float) -> Any:
    plan = _Plan(input, mean, var, weight, bias)
    if not plan.fits:
        return NotImplemented
    center, rstd = plan.vectors(2)
    y = plan.backend.empty(input.shape, input.dtype)
    _running(-(-plan.channels // 256), 256, mean, var, center, rstd, plan.channels, eps, **plan.macros)
    _apply(
        (plan.tiles, plan.spread), plan.block, input, center, rstd, weight, bias, y, plan.rows, plan.channels,
        **plan.macros,
    )  # fmt: skip
    return Saved(y, (center, rstd))


def _gradients(
    plan: _Plan, x: Array, g: Array, residuals: tuple[Array, ...], weight: Array | None, wanted: dict[str, bool],
    outer: tuple[Array | None, Array | None], training: bool,
) -> dict[str, Array | None]:  # fmt: skip
    """Return the gradients that are wanted: of input, weight, bias, mean and var."""
    mean, rstd = residuals
    part_g, part_gx = plan.vectors(2, lead=(plan.segments,))
    sum_g, sum_gx = plan.vectors(2)
    found: dict[str, Array | None] = {
        name: plan.vectors(1, plan.param)[0] if wanted.get(name) else None for name in ("weight", "bias", "mean", "var")
    }
    _back_partial(
        (plan.tiles, plan.segments), plan.block, x, g, mean, rstd, part_g, part_gx, plan.rows, plan.channels,
        plan.share, **plan.macros,
    )  # fmt: skip
    _back_finish(
        plan.tiles, plan.block, part_g, part_gx, rstd, weight, sum_g, sum_gx, found["weight"], found["bias"],
        found["mean"], found["var"], plan.channels, plan.segments, **plan.macros,
    )  # fmt: skip
    if wanted["input"]:
        found["input"] = dx = plan.backend.empty(x.shape, x.dtype)
        _back_apply(
            (plan.tiles, plan.spread), plan.block, x, g, mean, rstd, weight, sum_g, sum_gx, *outer, dx, plan.rows,
            plan.channels, int(training), **plan.macros,
        )  # fmt: skip
    return found


@batch_norm.backward.kernel("cuda")
def _(
    input: Array, weight: Array | None, bias: Array | None, g: Array | None, g_mean: Array | None, g_var: Array | None,
    *residuals: Array, eps: float, needs: tuple[bool, ...],
) -> Any:  # fmt: skip
    plan = _Plan(input, weight, bias)
    if not plan.fits or not residuals:
        return NotImplemented
    if g is None:  # only the statistics are differentiated
        g = plan.backend.zeros(input.shape, input.dtype)
    wanted = dict(zip(("input", "weight", "bias"), needs, strict=True))
    found = _gradients(plan, input, g, residuals, weight, wanted, (g_mean, g_var), True)
    return tuple(found.get(name) for name in ("input", "weight", "bias"))


@batch_norm_inference.backward.kernel("cuda")
def _(
    input: Array, mean: Array, var: Array, weight: Array | None, bias: Array | None, g: Array, *residuals: Array,
    eps: float, needs: tuple[bool, ...],
) -> Any:  # fmt: skip
    plan = _Plan(input, mean, var, weight, bias)
    if not plan.fits or not residuals:
        return NotImplemented
    names = ("input", "mean", "var", "weight", "bias")
    found = _gradients(plan, input, g, residuals, weight, dict(zip(names, needs, strict=True)), (None, None), False)
    return tuple(found.get(name) for name in names)


op.register(batch_norm=batch_norm, batch_norm_inference=batch_norm_inference)
