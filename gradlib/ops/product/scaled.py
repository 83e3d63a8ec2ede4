"""Products of 8-bit floats, scaled in their epilogue: scaled_sm90.cu."""

from __future__ import annotations

from typing import Any

from ... import backend as backends
from ...kernel import Kernel, ctype
from ...spec import STORAGE, float32
from . import choose_scaled, sm90
from .choice import config_for
from .choose_sm90 import Config, completed, shared_bytes
from .finish import finish
from .problem import ARRAYS, LIMITS, Outputs, Problem, Steps, Totals, paired_of

__all__ = ["scaled", "serves"]

Array = Any

_scaled = Kernel(
    "scaled_sm90.cu",
    "scaled",
    f"a_scale b_scale {ARRAYS} totals | {LIMITS} m n k splits group a_map b_map y_map z_map fetched_map",
)


def serves(*operands: Array) -> bool:
    """Whether bulk copies can take matrices: 8-bit floats, contiguous rows that begin at multiples of 16 bytes."""
    backend = backends.backend_of(operands[0])
    return (
        backend.runs_kernels
        and backend.limits.architecture == "sm_90a"
        and all(
            x.dtype in STORAGE and x.strides[1] == 1 and x.strides[0] % 16 == 0 and backend.pointer(x) % 16 == 0
            for x in operands
        )
    )


def scaled(
    a: Array, b: Array, a_scale: Array, b_scale: Array, out: Outputs, problem: Problem, config: Config | None = None
) -> Totals | None:
    """Compute out.y (m, n) = steps(a_scale b_scale a b^T) of a (m, k) and b (n, k); return the totals of its columns.

    The operands must be ones that `serves` takes, the scales arrays of one float32; `config` overrides the choice.
    """
    backend = backends.backend_of(out.y)
    p = problem._replace(k=-(-problem.k // 2))  # steps of the main loop are 128 bytes of k
    if config is None:
        c = config_for(choose_scaled, _scaled, p, backend.limits)
    else:
        c = completed(config, p, backend.limits.multiprocessors)
    operands = a, b, a_scale, b_scale
    if c.splits == 1:
        return _launch(*operands, out, p, problem.k, c)
    part = backend.empty((c.splits, p.m, p.n), float32)  # of sums that are scaled already
    _launch(*operands, Outputs(part), p._replace(steps=Steps()), problem.k, c)
    finish(part, out, p, c.splits)
    return None


def _launch(
    a: Array, b: Array, a_scale: Array, b_scale: Array, out: Outputs, p: Problem, k: int, c: Config
) -> Totals | None:
    backend, y = backends.backend_of(out.y), out.y
    direct = y.dtype == float32 or p.n % 8 != 0
    maps = [backend.tensor_map(x[None], (1, rows, 128), 128) for x, rows in ((a, c.bm), (b, c.bn // c.cluster))]
    for array in (y, out.z, out.fetched):
        if array is None or direct:
            maps.append(maps[0])  # not looked at
        else:
            maps.append(backend.tensor_map(array[None], (1, c.rows, 64), 128))
    totals = Totals.room(p, c.rows, y)
    tiles = -(-p.m // (c.bm * c.cluster)) * -(-p.n // c.bn) * c.splits
    _scaled(
        sm90.grid_of(tiles, c, backend), 384, a_scale, b_scale, *out.arrays,
        None if totals is None else totals.array, *out.limits, p.m, p.n, k, c.splits, c.group, *maps,
        shared=shared_bytes(c, direct=direct, totals=p.steps.totals), **sm90.config_macros(c), **p.steps.macros,
        OPERAND=ctype(a.dtype), OPERAND_B=ctype(b.dtype), T=ctype(y.dtype), OUT=ctype(y.dtype), DIRECT=direct,
        PAIRED=paired_of(p.n, p.n, out),
    )  # fmt: skip
    return totals
