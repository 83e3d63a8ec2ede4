"""Launches of product_sm90.cu: tensor maps, grids, and the second launch of a sum that is split."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from ... import backend as backends
from ...kernel import Kernel, ctype
from ...spec import bfloat16, float16, float32
from . import choose_sm90
from .choice import config_for
from .choose_sm90 import Config, completed, shared_bytes
from .finish import finish
from .problem import ARRAYS, LIMITS, Matrix, Outputs, Problem, Steps, Totals, paired_of

__all__ = ["config_macros", "grid_of", "product", "serves"]

Array = Any

_product = Kernel(
    "product_sm90.cu",
    "product",
    f"{ARRAYS} totals | {LIMITS} m n k products splits group a_batch b_batch a_map b_map y_map z_map fetched_map",
)


def serves(array: Array) -> bool:
    """Whether bulk copies can take a batch of matrices: 16-bit elements, rows that begin at multiples of 16 bytes."""
    backend = backends.backend_of(array)
    if array.dtype not in (float16, bfloat16) or not backend.runs_kernels or backend.limits.architecture != "sm_90a":
        return False
    *outer, last = array.strides
    return last == 2 and not any(stride % 16 for stride in outer) and backend.pointer(array) % 16 == 0


@lru_cache(4096)
def config_macros(config: Config) -> dict[str, Any]:
    """Return the macros of sm90/shape.cuh that a config stands for."""
    return {
        "BM": config.bm,
        "BN": config.bn,
        "STAGES": config.stages,
        "CLUSTER": config.cluster,
        "PINGPONG": config.pingpong,
    }


def grid_of(tiles: int, config: Config, backend: Any) -> int:
    """Return the blocks that share so many tiles (or pairs of them, in clusters)."""
    return int(min(tiles, backend.limits.multiprocessors // config.cluster)) * config.cluster


class _Plan(NamedTuple):
    """All of a launch that depends on shapes and types alone."""

    tiles: int
    shared: int
    boxes: tuple[tuple[int, int, int], ...]  # of a, b, y
    direct: bool
    macros: dict[str, Any]


@lru_cache(4096)
def _plan(problem: Problem, config: Config, operand: Any, out: Any, paired: bool) -> _Plan:
    p, c = problem, config
    direct = out == float32 or p.n % 8 != 0
    a_box = (1, 64, 64) if p.a_transposed else (1, c.bm, 64)
    b_box = (1, c.bn // c.cluster, 64) if p.b_transposed else (1, 64, 64)
    macros = {
        "OPERAND": ctype(operand),
        "T": ctype(out),
        "OUT": ctype(out),
        "A_TRANSPOSED": p.a_transposed,
        "B_TRANSPOSED": p.b_transposed,
        "PASSES": p.passes,
        "DIRECT": direct,
        "PAIRED": paired,
        **config_macros(c),
        **p.steps.macros,
    }
    return _Plan(
        -(-p.m // (c.bm * c.cluster)) * -(-p.n // c.bn) * p.products * c.splits,
        shared_bytes(c, direct=direct, totals=p.steps.totals),
        (a_box, b_box, (1, c.rows, 64)),
        direct,
        macros,
    )


def product(problem: Problem, a: Matrix, b: Matrix, out: Outputs, config: Config | None = None) -> Totals | None:
    """Compute out.y (products, m, n); return the totals of its columns, where they are asked for.

    The operands must be ones that `serves` takes.  `config` overrides the choice.
    """
    backend, p = backends.backend_of(out.y), problem
    limits = backend.limits
    if config is None:
        c = config_for(choose_sm90, _product, p, limits)
    else:
        c = completed(config, p, limits.multiprocessors)
    if c.splits == 1:
        return _launch(p, a, b, out, c)
    part = backend.empty((p.products * c.splits, p.m, p.n), float32)
    _launch(p._replace(steps=Steps()), a, b, Outputs(part), c)
    finish(part, out, p, c.splits)
    return None


def _launch(p: Problem, a: Matrix, b: Matrix, out: Outputs, config: Config) -> Totals | None:
    backend = backends.backend_of(out.y)
    plan = _plan(p, config, a.array.dtype, out.y.dtype, paired_of(p.n, p.n, out))
    shape = (p.products * config.splits, p.m, p.n)
    maps = [backend.tensor_map(x.array, box, 128) for x, box in zip((a, b), plan.boxes, strict=False)]
    for array in (out.y, out.z, out.fetched):
        if array is None or plan.direct:
            maps.append(maps[0])  # not looked at
        else:
            maps.append(backend.tensor_map(array.reshape(shape), plan.boxes[2], 128))
    totals = Totals.room(p, config.rows, out.y)
    _product(
        grid_of(plan.tiles, config, backend), 384, *out.arrays, None if totals is None else totals.array, *out.limits,
        p.m, p.n, p.k, p.products, config.splits, config.group, a.planes if a.batch > 1 else 0,
        b.planes if b.batch > 1 else 0, *maps, shared=plan.shared, **plan.macros,
    )  # fmt: skip
    return totals
