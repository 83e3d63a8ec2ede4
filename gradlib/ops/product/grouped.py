"""Grouped products on tensor cores: rows sorted by group, each group with a matrix of its own.

The sizes of the groups stay on the device.  Grids are made for the most tiles that there can be, and configurations are
chosen for groups of the mean size.
"""

from __future__ import annotations

from typing import Any

from ... import backend as backends
from ...kernel import Kernel, ctype
from ...spec import float32
from . import choose_mma, choose_sm90, mma, sm90
from .finish import finish
from .problem import ARRAYS, LIMITS, Matrix, Outputs, Problem, Steps, paired_of

__all__ = ["columns", "rows"]

Array = Any

_rows_mma = Kernel(
    "grouped_mma.cu",
    "grouped_mma",
    f"x w offsets {ARRAYS} | {LIMITS} rows groups n k band x_pitch x_plane w_pitch w_batch w_plane",
)
_columns_mma = Kernel(
    "grouped_weights_mma.cu",
    "grouped_weights_mma",
    "a b offsets y | m n splits band a_pitch a_plane b_pitch b_plane",
)
_rows_sm90 = Kernel(
    "grouped_sm90.cu",
    "grouped",
    f"offsets {ARRAYS} | {LIMITS} rows groups n k group w_batch x_map w_map y_map z_map fetched_map",
)
_columns_sm90 = Kernel(
    "grouped_weights_sm90.cu", "grouped_weights", "offsets y | m n groups splits group a_map b_map y_map"
)


def _problem(rows: int, groups: int, out: Array, n: int, k: int, passes: int, **rest: Any) -> Problem:
    """Return the problem of as many groups of equal size."""
    return Problem(max(1, -(-rows // groups)), n, k, groups, passes, out.dtype.itemsize, **rest)


def _on_hopper(a: Matrix, b: Matrix) -> bool:
    return sm90.serves(a.array) and sm90.serves(b.array)


def rows(x: Matrix, w: Matrix, offsets: Array, out: Outputs, passes: int, steps: Steps, config: Any = None) -> None:
    """Fill the rows that belong to groups of out.y (rows, n): y[r] = steps(x[r] w[group of r]).

    Of bias and scale each group has a row; of slope and residual each row of y.  `config` overrides the choice.
    """
    total, n = out.y.shape
    p = _problem(total, w.batch, out.y, n, x.array.shape[-1], passes, b_transposed=w.transposed, steps=steps)
    (_rows_on_sm90 if _on_hopper(x, w) else _rows_on_mma)(p, total, x, w, offsets, out, config)


def _rows_on_mma(p: Problem, total: int, x: Matrix, w: Matrix, offsets: Array, out: Outputs, config: Any) -> None:
    c = config or choose_mma.choose(p, backends.backend_of(out.y).limits.multiprocessors, splits=1)
    x_pitch, _, x_plane = mma.steps_of(x)
    slots = total // c.bm + p.products
    _rows_mma(
        slots * -(-p.n // c.bn), c.threads, mma.first_of(x), mma.first_of(w), offsets, *out.arrays, *out.limits, total,
        p.products, p.n, p.k, c.band, x_pitch, x_plane, *mma.steps_of(w),
        shared=choose_mma.shared_bytes(c, a_transposed=False, b_transposed=w.transposed), **mma.config_macros(c),
        **p.steps.macros, OPERAND=ctype(x.array.dtype), T=ctype(out.y.dtype), OUT=ctype(out.y.dtype),
        B_TRANSPOSED=w.transposed, PASSES=p.passes, ALIGNED=mma.aligned(x.array, w.array),
        PAIRED=paired_of(p.n, p.n, out),
    )  # fmt: skip


def _rows_on_sm90(p: Problem, total: int, x: Matrix, w: Matrix, offsets: Array, out: Outputs, config: Any) -> None:
    backend = backends.backend_of(out.y)
    count = backend.limits.multiprocessors
    c = choose_sm90.completed(config or choose_sm90.choose(p, count, splits=1), p, count)
    direct = out.y.dtype == float32 or p.n % 8 != 0
    w_box = (1, c.bn // c.cluster, 64) if w.transposed else (1, 64, 64)
    maps = [backend.tensor_map(x.array, (1, c.bm, 64), 128), backend.tensor_map(w.array, w_box, 128)]
    for array in (out.y, out.z, out.fetched):
        if array is None or direct:
            maps.append(maps[0])  # not looked at
        else:
            maps.append(backend.tensor_map(array[None], (1, c.rows, 64), 128))
    tiles = (total // (c.bm * c.cluster) + p.products) * -(-p.n // c.bn)
    _rows_sm90(
        sm90.grid_of(tiles, c, backend), 384, offsets, *out.arrays, *out.limits, total, p.products, p.n, p.k, c.group,
        w.planes, *maps, shared=choose_sm90.shared_bytes(c, direct=direct, totals=0), **sm90.config_macros(c),
        **p.steps.macros, OPERAND=ctype(x.array.dtype), T=ctype(out.y.dtype), OUT=ctype(out.y.dtype),
        B_TRANSPOSED=w.transposed, PASSES=p.passes, DIRECT=direct, PAIRED=paired_of(p.n, p.n, out),
    )  # fmt: skip


def columns(a: Matrix, b: Matrix, offsets: Array, y: Array, passes: int, config: Any = None) -> None:
    """Fill y (groups, m, n): y[g] = sum over r in group g of a[r]^T b[r].  `config` overrides the choice."""
    groups, m, n = y.shape
    p = _problem(m * groups, groups, y, n, max(1, -(-a.array.shape[-2] // groups)), passes, a_transposed=True)
    count = backends.backend_of(y).limits.multiprocessors
    hopper = _on_hopper(a, b)
    if hopper:
        c: Any = choose_sm90.completed(config or choose_sm90.choose(p, count), p, count)
    else:
        c = config or choose_mma.choose(p, count)
    part = y if c.splits == 1 else backends.backend_of(y).empty((groups * c.splits, m, n), float32)
    (_columns_on_sm90 if hopper else _columns_on_mma)(p, a, b, offsets, part, c)
    if part is not y:
        finish(part, Outputs(y), p, c.splits)


def _columns_on_mma(p: Problem, a: Matrix, b: Matrix, offsets: Array, y: Array, c: Any) -> None:
    a_pitch, _, a_plane = mma.steps_of(a)
    b_pitch, _, b_plane = mma.steps_of(b)
    _columns_mma(
        (-(-p.m // c.bm) * -(-p.n // c.bn), 1, y.shape[0]), c.threads, mma.first_of(a), mma.first_of(b), offsets, y,
        p.m, p.n, c.splits, c.band, a_pitch, a_plane, b_pitch, b_plane,
        shared=choose_mma.shared_bytes(c, a_transposed=True, b_transposed=False), **mma.config_macros(c),
        OPERAND=ctype(a.array.dtype), T=ctype(y.dtype), OUT=ctype(y.dtype), A_TRANSPOSED=True, PASSES=p.passes,
        ALIGNED=mma.aligned(a.array, b.array), PAIRED=paired_of(p.n, p.n, Outputs(y)),
    )  # fmt: skip


def _columns_on_sm90(p: Problem, a: Matrix, b: Matrix, offsets: Array, y: Array, c: Any) -> None:
    backend = backends.backend_of(y)
    direct = y.dtype == float32 or p.n % 8 != 0
    maps = [backend.tensor_map(x.array, (1, 64, 64), 128) for x in (a, b)]
    maps.append(maps[0] if direct else backend.tensor_map(y, (1, c.rows, 64), 128))
    tiles = -(-p.m // (c.bm * c.cluster)) * -(-p.n // c.bn) * y.shape[0]
    _columns_sm90(
        sm90.grid_of(tiles, c, backend), 384, offsets, y, p.m, p.n, p.products, c.splits, c.group, *maps,
        shared=choose_sm90.shared_bytes(c, direct=direct, totals=0), **sm90.config_macros(c),
        OPERAND=ctype(a.array.dtype), T=ctype(y.dtype), OUT=ctype(y.dtype), A_TRANSPOSED=True, PASSES=p.passes,
        DIRECT=direct, PAIRED=paired_of(p.n, p.n, Outputs(y)),
    )  # fmt: skip
