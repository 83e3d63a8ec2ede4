"""Launches of conv_mma.cu and conv_weights_mma.cu: convolutions on tensor cores from sm_80 on."""

from __future__ import annotations

import math
from typing import Any

from ... import backend as backends
from ...kernel import Kernel, ctype
from ...spec import float32
from ..tiling import combine
from . import choose_mma
from .choice import config_for
from .choose_mma import shared_bytes
from .finish import finish
from .geometry import Images, Walk, whd
from .mma import aligned, config_macros
from .patches_plan import plan
from .problem import ARRAYS, LIMITS, Outputs, Problem, Steps, Totals, paired_of

__all__ = ["run", "weights"]

Array = Any
Ints = tuple[int, ...]

_AXES = " ".join(f"{name}_{axis}" for name in ("count", "step", "low", "taps", "offset") for axis in "whd")
_convolve = Kernel(
    "conv_mma.cu",
    "convolve_mma",
    f"x w {ARRAYS} totals | {LIMITS} m n band {_AXES} first matrix_w matrix_h matrix_d splits channels x_w x_h x_d "
    "x_pitch x_plane b_planes w_pitch size_w size_h size_d origin_w origin_h origin_d stride_w stride_h stride_d pitch",
)
_weights = Kernel(
    "conv_weights_mma.cu",
    "weight_gradient_mma",
    f"x dz y | n places splits band {_AXES} channels x_w x_h x_d x_pitch x_plane dz_pitch dz_plane pitch",
)


def run(
    x: Images,
    w: Array,
    out: Outputs,
    walk: Walk,
    matrices: Ints,
    groups: int,
    passes: int,
    steps: Steps,
    *,
    transposed: bool = False,
    origin: Ints = (),
    stride: Ints = (),
) -> Totals | None:
    """Launch the kernel for the forward pass, or, transposed, for one class of the gradient in x; group by group."""
    y = out.y
    total, per_group = y.shape[-1], x.channels // groups
    n, size = total // groups, tuple(y.shape[1:-1])
    m, depth = y.shape[0] * math.prod(walk.count), max(math.prod(walk.taps), 1) * -(-per_group // 8) * 8
    problem = Problem(m, n, depth, 1, passes, y.dtype.itemsize, False, transposed, steps)
    problem, config, target, done = plan(choose_mma, _convolve, problem, out, groups)
    item = x.array.dtype.itemsize
    fine = aligned(x.array, w) and (per_group % 8 == 0 or groups == 1) and (n % 8 == 0 or groups == 1)
    tiles = -(-m // config.bm) * -(-n // config.bn)
    first, *matrix = matrices
    macros: dict[str, Any] = {
        **config_macros(config), **done.macros, "OPERAND": ctype(x.array.dtype), "T": ctype(target.y.dtype),
        "OUT": ctype(target.y.dtype), "DIMS": len(size), "B_TRANSPOSED": transposed, "PASSES": passes, "ALIGNED": fine,
        "PAIRED": paired_of(n, total, target),
    }  # fmt: skip
    shared = shared_bytes(config, a_transposed=False, b_transposed=transposed)
    totals = Totals.room(problem, config.bm, y)  # of one group, not split: see `convolve`
    for group in range(groups):
        columns, channels = slice(group * n, group * n + n), group * per_group
        here = [None if a is None else _from(a, columns.start) for a in target.arrays]
        of_w = _from(w, channels if transposed else columns.start)
        _convolve(
            (tiles, 1, config.splits), config.threads, _from(x.array, channels), of_w, *here,
            None if totals is None else totals.array, *out.limits, m, n, config.band, *walk.numbers, first,
            *whd(tuple(matrix), 0), config.splits, per_group, *whd(x.size, 1), x.array.shape[-1], x.plane,
            x.planes, w.strides[1] // item, *whd(size, 1), *whd(origin, 0), *whd(stride, 1),
            total, shared=shared, **macros,
        )  # fmt: skip
    if config.splits > 1:
        finish(target.y, out, problem, config.splits)
    return totals


def _from(array: Array, start: int) -> Array:
    """Return a view of one element, `start` of the last axis, which carries the pointer."""
    return array[(*[slice(1)] * (array.ndim - 1), slice(start, start + 1))]


def weights(x: Images, dz: Images, dw: Array, walk: Walk, groups: int, passes: int) -> None:
    """Launch the kernel for the gradient in the filters, and add up the parts of its sum."""
    backend = backends.backend_of(dw)
    channels, features = dw.shape[-2:]
    n, places = features // groups, math.prod(dz.array.shape[:-1])
    m = math.prod(walk.taps) * -(-channels // 8) * 8
    problem = Problem(m, n, places, groups, passes, 4, True, False)
    config = config_for(choose_mma, _weights, problem, backend.limits)
    fine = aligned(x.array, dz.array) and (groups == 1 or (channels % 8 == 0 and n % 8 == 0))
    if not fine:
        m = math.prod(walk.taps) * channels
    alone = config.splits == 1 and dw.dtype == float32
    part = dw if alone else backend.empty((config.splits, *dw.shape), float32)
    tiles = -(-m // config.bm) * -(-n // config.bn)
    _weights(
        (tiles, 1, groups * config.splits), config.threads, x.array, dz.array, part, n, places, config.splits,
        config.band, *walk.numbers, channels, *whd(x.size, 1), x.array.shape[-1], x.plane, dz.array.shape[-1],
        dz.plane, features, shared=shared_bytes(config, a_transposed=True, b_transposed=False),
        **config_macros(config), OPERAND=ctype(x.array.dtype), T=ctype(float32), OUT=ctype(float32),
        DIMS=len(walk.taps), A_TRANSPOSED=True, PASSES=passes, ALIGNED=fine,
        PAIRED=paired_of(n, features, Outputs(part)),
    )  # fmt: skip
    if not alone:
        combine(part, dw)
