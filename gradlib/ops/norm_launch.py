"""Launches of batch_norm.cu: statistics, normalisation and gradients of (rows, channels)."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from .. import backend as backends
from ..kernel import Kernel, ctype
from ..spec import REDUCED, float32
from .activation import Activation, fusible, saves_input

__all__ = ["Plan", "Statistics", "apply", "finish", "fold", "gradients", "running", "statistics"]

Array = Any

_partial = Kernel("batch_norm.cu", "batch_norm_partial", "x mean m2 | rows channels share")
_finish = Kernel(
    "batch_norm.cu",
    "batch_norm_finish",
    "part_mean part_m2 mean_out var_out mean rstd | rows channels share segments eps",
)
_running = Kernel("batch_norm.cu", "batch_norm_running", "running_mean running_var mean rstd | channels eps")
_fold = Kernel("batch_norm.cu", "batch_norm_fold", "running_mean running_var weight bias scale shift | channels eps")
_apply = Kernel("batch_norm.cu", "batch_norm_apply", "x mean rstd weight bias residual y z | rows channels")
_back_partial = Kernel(
    "batch_norm.cu", "batch_norm_backward_partial", "x g s mean rstd dz part_g part_gx | rows channels share"
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


class Statistics(NamedTuple):
    """Of each channel: mean and variance for the user, in the input's dtype; mean and 1 / deviation for kernels."""

    mean_out: Array
    var_out: Array
    mean: Array
    rstd: Array


class Plan:
    """Shapes of the launches over (rows, channels): column tiles, and the rows cut into segments."""

    def __init__(self, x: Array, activation: Activation, *params: Array | None) -> None:
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
        self.fits = not mixed and self.rows < 2**30 and x.size > 0 and fusible(activation)
        self.macros: dict[str, Any] = {"T": ctype(x.dtype), "PARAM": ctype(self.param)}
        self.steps: dict[str, Any] = {
            **self.macros,
            "ACT": activation or "none",
        }  # of the kernels that know the activation
        self.activation = activation
        self.backend = backends.backend_of(x)

    def vectors(self, count: int, dtype: Any = None, lead: tuple[int, ...] = ()) -> list[Array]:
        """Return arrays (*lead, channels)."""
        return [self.backend.empty((*lead, self.channels), dtype or self.wide) for _ in range(count)]


def statistics(plan: Plan, x: Array, eps: float) -> Statistics:
    """Return the statistics of x."""
    mean, m2 = plan.vectors(2, lead=(plan.segments,))
    grid = (plan.tiles, plan.segments)
    _partial(grid, plan.block, x, mean, m2, plan.rows, plan.channels, plan.share, **plan.macros)
    return finish(plan, x.dtype, mean, m2, plan.share, eps)


def finish(plan: Plan, dtype: Any, mean: Array, m2: Array, share: int, eps: float) -> Statistics:
    """Return the statistics from means and squared deviations (segments, channels) of `share` rows each."""
    found = Statistics(*plan.vectors(2, dtype), *plan.vectors(2))
    segments = mean.shape[0]
    tiles, block = plan.tiles, plan.block
    if segments > 256:  # of a convolution: narrow tiles, so that no thread has many
        tiles, block = -(-plan.channels // 8), (8, 32)
    _finish(tiles, block, mean, m2, *found, plan.rows, plan.channels, share, segments, eps, **plan.macros)
    return found


def running(plan: Plan, mean: Array, var: Array, eps: float) -> tuple[Array, Array]:
    """Return mean and 1 / deviation from running statistics."""
    center, rstd = plan.vectors(2)
    _running(-(-plan.channels // 256), 256, mean, var, center, rstd, plan.channels, eps, **plan.macros)
    return center, rstd


def fold(mean: Array, var: Array, weight: Array | None, bias: Array | None, eps: float, dtype: Any) -> Any:
    """Return scale and shift in `dtype` of a normalisation by running statistics."""
    scale, shift = (backends.backend_of(mean).empty(mean.shape, dtype) for _ in range(2))
    plan = Plan(scale[None], None, mean, var, weight, bias)
    if not plan.fits:
        return NotImplemented
    _fold(-(-plan.channels // 256), 256, mean, var, weight, bias, scale, shift, plan.channels, eps, **plan.macros)
    return scale, shift


def apply(
    plan: Plan,
    x: Array,
    mean: Array,
    rstd: Array,
    weight: Array | None,
    bias: Array | None,
    residual: Array | None,
    save: bool,
) -> tuple[Array, tuple[Array, ...]]:
    """Return y, and what the backward pass keeps of it: y or the pre-activation, or nothing without an activation."""
    y, kept = plan.backend.empty(x.shape, x.dtype), plan.activation if save else None
    z = plan.backend.empty(x.shape, x.dtype) if saves_input(kept, True) else None
    _apply(
        (plan.tiles, plan.spread), plan.block, x, mean, rstd, weight, bias, residual, y, z, plan.rows, plan.channels,
        **plan.steps,
    )  # fmt: skip
    return y, () if kept is None else (y if z is None else z,)


def gradients(
    plan: Plan, x: Array, g: Array, residuals: tuple[Array, ...], weight: Array | None, wanted: dict[str, bool],
    outer: tuple[Array | None, Array | None], training: bool,
) -> dict[str, Array | None]:  # fmt: skip
    """Return the gradients that are wanted: of input, weight, bias, residual, mean and var."""
    mean, rstd, *saved = residuals
    part_g, part_gx = plan.vectors(2, lead=(plan.segments,))
    sum_g, sum_gx = plan.vectors(2)
    found: dict[str, Array | None] = {
        name: plan.vectors(1, plan.param)[0] if wanted.get(name) else None for name in ("weight", "bias", "mean", "var")
    }
    dz = None
    if saved and (wanted["input"] or wanted["residual"]):
        dz = plan.backend.empty(x.shape, x.dtype)
    _back_partial(
        (plan.tiles, plan.segments), plan.block, x, g, saved[0] if saved else None, mean, rstd, dz, part_g, part_gx,
        plan.rows, plan.channels, plan.share, **plan.steps,
    )  # fmt: skip
    _back_finish(
        plan.tiles, plan.block, part_g, part_gx, rstd, weight, sum_g, sum_gx, found["weight"], found["bias"],
        found["mean"], found["var"], plan.channels, plan.segments, **plan.macros,
    )  # fmt: skip
    before = g if dz is None else dz
    if wanted["residual"]:
        found["residual"] = before
    if wanted["input"]:
        found["input"] = dx = plan.backend.empty(x.shape, x.dtype)
        _back_apply(
            (plan.tiles, plan.spread), plan.block, x, before, mean, rstd, weight, sum_g, sum_gx, *outer, dx, plan.rows,
            plan.channels, int(training), **plan.macros,
        )  # fmt: skip
    return found
