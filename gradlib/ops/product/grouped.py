"""Grouped products on tensor cores: rows sorted by group, each group with a matrix of its own.

The sizes of the groups stay on the device.  Grids are made for the most tiles that there can be, and configurations are
chosen for groups of the mean size.
"""

from __future__ import annotations

from typing import Any

from ... import backend as backends
from ...kernel import Kernel, ctype
from ...spec import float32
from . import choose_mma
from .finish import finish
from .mma import aligned, config_macros, first_of, steps_of
from .problem import ARRAYS, LIMITS, Matrix, Outputs, Problem, Steps, paired_of

__all__ = ["columns", "rows"]

Array = Any

_rows = Kernel(
    "grouped_mma.cu",
    "grouped_mma",
    f"x w offsets {ARRAYS} | {LIMITS} rows groups n k band x_pitch x_plane w_pitch w_batch w_plane",
)
_columns = Kernel(
    "grouped_weights_mma.cu",
    "grouped_weights_mma",
    "a b offsets y | m n splits band a_pitch a_plane b_pitch b_plane",
)


def _mean(rows: int, groups: int) -> int:
    return max(1, -(-rows // groups))


def rows(
    x: Matrix, w: Matrix, offsets: Array, out: Outputs, passes: int, steps: Steps, config: Any = None
) -> None:
    """Fill the rows that belong to groups of out.y (rows, n): y[r] = steps(x[r] w[group of r])."""
    total, n = out.y.shape
    k, groups = x.array.shape[-1], w.batch
    backend = backends.backend_of(out.y)
    problem = Problem(_mean(total, groups), n, k, groups, passes, out.y.dtype.itemsize, False, w.transposed, steps)
    c = config or choose_mma.choose(problem, backend.limits.multiprocessors, splits=1)
    x_pitch, _, x_plane = steps_of(x)
    slots = total // c.bm + groups
    _rows(
        slots * -(-n // c.bn), c.threads, first_of(x), first_of(w), offsets, *out.arrays, *out.limits, total, groups,
        n, k, c.band, x_pitch, x_plane, *steps_of(w),
        shared=choose_mma.shared_bytes(c, a_transposed=False, b_transposed=w.transposed), **config_macros(c),
        **steps.macros, OPERAND=ctype(x.array.dtype), T=ctype(out.y.dtype), OUT=ctype(out.y.dtype),
        B_TRANSPOSED=w.transposed, PASSES=passes, ALIGNED=aligned(x.array, w.array), PAIRED=paired_of(n, n, out),
    )  # fmt: skip


def columns(a: Matrix, b: Matrix, offsets: Array, y: Array, passes: int, config: Any = None) -> None:
    """Fill y (groups, m, n): y[g] = sum over r in group g of a[r]^T b[r]."""
    groups, m, n = y.shape
    backend = backends.backend_of(y)
    problem = Problem(m, n, _mean(a.array.shape[-2], groups), groups, passes, y.dtype.itemsize, True, False)
    c = config or choose_mma.choose(problem, backend.limits.multiprocessors)
    part = y if c.splits == 1 else backend.empty((groups * c.splits, m, n), float32)
    a_pitch, _, a_plane = steps_of(a)
    b_pitch, _, b_plane = steps_of(b)
    _columns(
        (-(-m // c.bm) * -(-n // c.bn), 1, groups * c.splits), c.threads, first_of(a), first_of(b), offsets, part, m, n,
        c.splits, c.band, a_pitch, a_plane, b_pitch, b_plane,
        shared=choose_mma.shared_bytes(c, a_transposed=True, b_transposed=False), **config_macros(c),
        OPERAND=ctype(a.array.dtype), T=ctype(part.dtype), OUT=ctype(part.dtype), A_TRANSPOSED=True, PASSES=passes,
        ALIGNED=aligned(a.array, b.array), PAIRED=paired_of(n, n, Outputs(part)),
    )  # fmt: skip
    if c.splits > 1:
        finish(part, Outputs(y), problem, c.splits)
