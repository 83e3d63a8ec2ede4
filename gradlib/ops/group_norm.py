"""Group normalisation over (batch, ..., channels); with as many groups as channels, instance normalisation."""

from __future__ import annotations

import math
from typing import Any

from .. import backend as backends
from ..core import Saved, between, fused, op, sample
from ..errors import DTypeError, ShapeError, message, operand
from ..kernel import Kernel
from ..spec import REDUCED, Spec, float32, is_floating

__all__ = ["group_norm"]

Array = Any

_CALL = "group_norm(input, weight, bias)"


def _infer(input: Spec, weight: Spec | None, bias: Spec | None, *, num_groups: int, eps: float) -> Spec:
    operands = [operand("input", input, "batch, ..., channels")]
    if not is_floating(input.dtype):
        raise DTypeError(message(f"{_CALL}: input is not floating", operands, "need a floating dtype"))
    if input.ndim < 2:
        raise ShapeError(message(f"{_CALL}: input has {input.ndim} dimensions, expected 2 or more", operands))
    channels = input.shape[-1]
    if num_groups < 1 or channels % num_groups:
        what = f"{_CALL}: {channels} channels do not divide into {num_groups} groups"
        raise ShapeError(message(what, operands, "need input.shape[-1] a multiple of num_groups"))
    for name, spec in (("weight", weight), ("bias", bias)):
        if spec is not None and spec.shape != (channels,):
            what = f"{_CALL}: {name} has shape {spec.shape}, input has {channels} channels"
            raise ShapeError(message(what, [*operands, operand(name, spec)], f"need {name}.shape == ({channels},)"))
        if spec is not None and not is_floating(spec.dtype):
            raise DTypeError(message(f"{_CALL}: {name} is not floating", [operand(name, spec)], "need floats"))
    return input


def _samples() -> list[Any]:
    far = between(29, 31, 2, 37, 4)  # the mean far above the deviation
    return [
        sample((2, 3, 5, 6), (6,), (6,), num_groups=3, eps=1e-5),
        sample((3, 8), (8,), None, num_groups=2, eps=1e-5),
        sample((2, 7, 5), None, (5,), num_groups=1, eps=1e-3),
        sample((2, 11, 4), (4,), (4,), num_groups=4, eps=1e-5),
        sample((1, 300, 70), (70,), (70,), num_groups=35, eps=1e-5),
        sample(far, None, None, num_groups=2, eps=1e-5, smooth=False),
        sample((0, 3, 4), (4,), (4,), num_groups=2, eps=1e-5),
    ]


@fused("group_norm", infer=_infer, samples=_samples)
def group_norm(
    input: Array, weight: Array | None = None, bias: Array | None = None, *, num_groups: int, eps: float = 1e-5
) -> Array:
    """y = (x - mean) / sqrt(var + eps) weight + bias; mean and biased variance of an example's channels of one group.

    Shapes: input (batch, ..., channels); weight, bias (channels,).  Dtypes: floating; statistics of float16 and
    bfloat16 are taken in float32.
    Raises: ShapeError, DTypeError.  Derivative: every order.  Kernel: ``group_norm.cu``.
    Source: Wu, He, "Group normalization", ECCV 2018, equation 3; Ulyanov, Vedaldi, Lempitsky, "Instance
    normalization", 2016, equation 2 (as many groups as channels).
    """
    channels = input.shape[-1]
    shape = (input.shape[0], math.prod(input.shape[1:-1]), num_groups, channels // num_groups)
    x = op.reshape(input, shape=shape)
    centered = op.subtract(x, op.mean(x, axis=(1, 3), keepdims=True))
    var = op.mean(op.multiply(centered, centered), axis=(1, 3), keepdims=True)
    y = op.reshape(op.multiply(centered, op.rsqrt(op.add(var, eps))), shape=tuple(input.shape))
    if weight is not None:
        y = op.multiply(y, op.cast(weight, dtype=y.dtype))
    return y if bias is None else op.add(y, op.cast(bias, dtype=y.dtype))


# -- kernels


def _kernel(entry: str, parameters: str) -> Kernel:
    return Kernel("group_norm.cu", f"group_norm_{entry}", parameters)


_partial = _kernel("partial", "x mean m2 | rows channels share")
_finish = _kernel("finish", "part_mean part_m2 mean rstd | rows channels groups share segments eps")
_apply = _kernel("apply", "x mean rstd weight bias y | rows channels groups")
_back_partial = _kernel("backward_partial", "x g mean rstd part_g part_gx | rows channels groups share")
_back_finish = _kernel("backward_finish", "part_g part_gx weight sum_g sum_gx | channels groups segments")
_weights = _kernel("weights", "part_g part_gx dweight dbias | channels lines")
_back_apply = _kernel("backward_apply", "x g mean rstd weight sum_g sum_gx dx | rows channels groups")


class _Plan:
    """Shapes of the launches over (batch, rows, channels): column tiles, and the rows cut into segments."""

    def __init__(self, x: Array, groups: int, *params: Array | None) -> None:
        self.batch, self.channels, self.groups = x.shape[0], x.shape[-1], groups
        self.rows = math.prod(x.shape[1:-1])
        bx = min(32, 1 << max(self.channels - 1, 0).bit_length())
        self.block = (bx, 256 // bx)
        self.tiles = -(-self.channels // bx)
        wanted = max(1, 256 // max(self.batch, 1))  # segments of an example that keep a GPU busy
        self.share = max(32 * self.block[1], -(-self.rows // wanted))
        self.segments = max(1, -(-self.rows // self.share))
        self.spread = max(1, min(-(-self.rows // (8 * self.block[1])), 4096))  # of a pass without a reduction
        self.wide = float32 if x.dtype in REDUCED else x.dtype
        dtypes = {p.dtype for p in params if p is not None} or {x.dtype}
        self.param = dtypes.pop()
        mixed = bool(dtypes) or not (self.param == x.dtype or (x.dtype in REDUCED and self.param == float32))
        self.fits = not mixed and 0 < self.batch < 2**16 and self.rows < 2**30 and x.size > 0
        self.macros: dict[str, Any] = {"T": x.dtype}
        if self.param != x.dtype:
            self.macros["PARAM"] = self.param
        self.backend = backends.backend_of(x)

    def parts(self) -> list[Array]:
        return [self.backend.empty((self.batch, self.segments, self.channels), self.wide) for _ in range(2)]

    def statistics(self) -> list[Array]:
        return [self.backend.empty((self.batch, self.groups), self.wide) for _ in range(2)]


@group_norm.kernel("cuda", planned=True)
def _(input: Array, weight: Array | None, bias: Array | None, *, num_groups: int, eps: float) -> Any:
    plan = _Plan(input, num_groups, weight, bias)
    if not plan.fits:
        return NotImplemented
    rows, channels, groups = plan.rows, plan.channels, plan.groups
    parts, (mean, rstd) = plan.parts(), plan.statistics()
    y = plan.backend.empty(input.shape, input.dtype)
    grid = (plan.tiles, plan.segments, plan.batch)
    _partial(grid, plan.block, input, *parts, rows, channels, plan.share, **plan.macros)
    sizes = (rows, channels, groups, plan.share, plan.segments, eps)
    _finish((groups, plan.batch), (1, 256), *parts, mean, rstd, *sizes, **plan.macros)
    grid = (plan.tiles, plan.spread, plan.batch)
    _apply(grid, plan.block, input, mean, rstd, weight, bias, y, rows, channels, groups, **plan.macros)
    return Saved(y, (mean, rstd))


@group_norm.backward.kernel("cuda", planned=True)
def _(
    input: Array, weight: Array | None, bias: Array | None, g: Array, *residuals: Array, num_groups: int, eps: float,
    needs: tuple[bool, ...],
) -> Any:  # fmt: skip
    plan = _Plan(input, num_groups, weight, bias)
    if not plan.fits or not residuals:
        return NotImplemented
    rows, channels, groups = plan.rows, plan.channels, plan.groups
    parts, (mean, rstd) = plan.parts(), residuals
    grid = (plan.tiles, plan.segments, plan.batch)
    _back_partial(grid, plan.block, input, g, mean, rstd, *parts, rows, channels, groups, plan.share, **plan.macros)
    dx = None
    if needs[0]:
        dx, sums = plan.backend.empty(input.shape, input.dtype), plan.statistics()
        _back_finish(
            (groups, plan.batch), (1, 256), *parts, weight, *sums, channels, groups, plan.segments, **plan.macros
        )
        grid = (plan.tiles, plan.spread, plan.batch)
        _back_apply(grid, plan.block, input, g, mean, rstd, weight, *sums, dx, rows, channels, groups, **plan.macros)
    dweight, dbias = (
        plan.backend.empty((channels,), plan.param) if p is not None and need else None
        for p, need in ((weight, needs[1]), (bias, needs[2]))
    )
    if dweight is not None or dbias is not None:
        lines = plan.batch * plan.segments
        _weights(plan.tiles, plan.block, *parts, dweight, dbias, channels, lines, **plan.macros)
    return dx, dweight, dbias


op.register(group_norm=group_norm)
