"""Products of 8-bit floats, scaled in their epilogue: scaled_sm90.cu."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ... import backend as backends
from ...kernel import Kernel, ctype
from ...spec import STORAGE, float32
from . import sm90
from .choose_sm90 import CANDIDATES, Config, completed, cycles, shared_bytes
from .problem import ARRAYS, LIMITS, Outputs, Problem, Totals, paired_of

__all__ = ["CONFIGS", "scaled", "serves"]

Array = Any

_scaled = Kernel(
    "scaled_sm90.cu",
    "scaled",
    f"a_scale b_scale {ARRAYS} totals | {LIMITS} m n k group a_map b_map y_map z_map fetched_map",
)

# Half of the registers of a sum hold what is on its way out of the tensor core.
CONFIGS = tuple(c for c in CANDIDATES if c.rows // 64 * c.bn // 2 <= 64)


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


@lru_cache(4096)
def _choose(problem: Problem, multiprocessors: int) -> Config:
    return completed(min(CONFIGS, key=lambda c: cycles(problem, c, multiprocessors)), problem, multiprocessors)


def scaled(
    a: Array, b: Array, a_scale: Array, b_scale: Array, out: Outputs, problem: Problem, config: Config | None = None
) -> Totals | None:
    """Compute out.y (m, n) = steps(a_scale b_scale a b^T) of a (m, k) and b (n, k); return the totals of its columns.

    The operands must be ones that `serves` takes, the scales arrays of one float32; `config` overrides the choice.
    """
    backend, y = backends.backend_of(out.y), out.y
    p = problem._replace(k=-(-problem.k // 2))  # steps of the main loop are 128 bytes of k
    count = backend.limits.multiprocessors
    c = _choose(p, count) if config is None else completed(config, p, count)
    direct = y.dtype == float32 or p.n % 8 != 0
    maps = [backend.tensor_map(x[None], (1, rows, 128), 128) for x, rows in ((a, c.bm), (b, c.bn // c.cluster))]
    for array in (y, out.z, out.fetched):
        if array is None or direct:
            maps.append(maps[0])  # not looked at
        else:
            maps.append(backend.tensor_map(array[None], (1, c.rows, 64), 128))
    totals = Totals.room(p, c.rows, y)
    tiles = -(-p.m // (c.bm * c.cluster)) * -(-p.n // c.bn)
    _scaled(
        sm90.grid_of(tiles, c, backend), 384, a_scale, b_scale, *out.arrays,
        None if totals is None else totals.array, *out.limits, p.m, p.n, problem.k, c.group, *maps,
        shared=shared_bytes(c, direct=direct, totals=p.steps.totals), **sm90.config_macros(c), **p.steps.macros,
        OPERAND=ctype(a.dtype), OPERAND_B=ctype(b.dtype), T=ctype(y.dtype), OUT=ctype(y.dtype), DIRECT=direct,
        PAIRED=paired_of(p.n, p.n, out),
    )  # fmt: skip
    return totals
