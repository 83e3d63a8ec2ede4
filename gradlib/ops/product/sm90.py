"""Launches of product_sm90.cu: tensor maps, grids, and the second launch of a sum that is split."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ... import backend as backends
from ...kernel import Kernel, ctype
from ...spec import bfloat16, float16, float32
from .choose_sm90 import Config, choose, shared_bytes
from .problem import Matrix, Problem, Steps

__all__ = ["product", "serves"]

Array = Any

_product = Kernel(
    "product_sm90.cu",
    "product",
    "bias scale slope residual y z sums | m n k products splits group a_batch b_batch a_map b_map y_map z_map fetched_map",
)
_finish = Kernel("finish.cu", "finish", "part bias scale slope residual y z | products splits m n")


def serves(array: Array) -> bool:
    """Whether bulk copies can take a batch of matrices: 16-bit elements, rows that begin at multiples of 16 bytes."""
    backend = backends.backend_of(array)
    if array.dtype not in (float16, bfloat16) or not backend.runs_kernels or backend.limits.architecture != "sm_90a":
        return False
    *outer, last = array.strides
    return last == 2 and not any(stride % 16 for stride in outer) and backend.pointer(array) % 16 == 0


@dataclass(frozen=True)
class _Plan:
    """All of a launch that depends on shapes and types alone."""

    grid: int
    shared: int
    boxes: tuple[tuple[int, int, int], ...]  # of a, b, y
    direct: bool
    macros: dict[str, Any]


@lru_cache(4096)
def _plan(problem: Problem, config: Config, operand: Any, kind: Any, out: Any, paired: bool, places: int) -> _Plan:
    p, c = problem, config
    direct = out == float32 or p.n % 8 != 0
    steps = p.steps if c.splits == 1 else Steps()
    a_box = (1, 64, 64) if p.a_transposed else (1, c.bm, 64)
    b_box = (1, c.bn // c.cluster, 64) if p.b_transposed else (1, 64, 64)
    tiles = -(-p.m // (c.bm * c.cluster)) * -(-p.n // c.bn) * p.products * c.splits
    macros = {
        "OPERAND": ctype(operand),
        "T": ctype(kind),
        "OUT": ctype(out),
        "BM": c.bm,
        "BN": c.bn,
        "STAGES": c.stages,
        "CLUSTER": c.cluster,
        "PINGPONG": c.pingpong,
        "A_TRANSPOSED": p.a_transposed,
        "B_TRANSPOSED": p.b_transposed,
        "PASSES": p.passes,
        "DIRECT": direct,
        "PAIRED": paired,
        **steps.macros,
    }
    return _Plan(
        min(tiles, places // c.cluster) * c.cluster,
        shared_bytes(c, direct=direct, sums=steps.sums),
        (a_box, b_box, (1, c.rows, 64)),
        direct,
        macros,
    )


def product(
    problem: Problem,
    a: Matrix,
    b: Matrix,
    y: Array,
    *,
    bias: Array | None = None,
    scale: Array | None = None,
    slope: Array | None = None,
    residual: Array | None = None,
    z: Array | None = None,
    config: Config | None = None,
) -> Array | None:
    """Compute y (products, m, n); return the column sums, (parts, n) in float32, where they are asked for.

    The operands must be ones that `serves` takes.  `config` overrides the choice.
    """
    backend = backends.backend_of(y)
    p, places = problem, backend.limits.multiprocessors
    c = config or choose(p, places)
    shape = (p.products, p.m, p.n)
    extra = [array for array in (bias, scale, slope, residual, z, y) if array is not None]
    paired = p.n % 2 == 0 and all(backend.pointer(array) % (2 * array.dtype.itemsize) == 0 for array in extra)
    numbers = (p.m, p.n, p.k, p.products, c.splits, c.group)
    steps_of = (int(a.batch > 1) * a.planes, int(b.batch > 1) * b.planes)
    if c.splits > 1:
        part = backend.empty((p.products * c.splits, p.m, p.n), float32)
        plan = _plan(p, c, a.array.dtype, float32, float32, p.n % 2 == 0, places)
        maps = [backend.tensor_map(x.array, box, 128) for x, box in zip((a, b), plan.boxes, strict=False)]
        _product(plan.grid, 384, None, None, None, None, part, None, None, *numbers, *steps_of, *maps, maps[0], maps[0], maps[0],
                 shared=plan.shared, **plan.macros)  # fmt: skip
        blocks = min(-(-p.products * p.m * -(-p.n // 2) // 256), 4096)
        macros = {**p.steps.macros, "SUMS": False, "T": ctype(y.dtype), "PAIRED": paired}
        _finish(blocks, 256, part, bias, scale, slope, residual, y, z, p.products, c.splits, p.m, p.n, **macros)
        return None
    plan = _plan(p, c, a.array.dtype, y.dtype, y.dtype, paired, places)
    maps = [backend.tensor_map(x.array, box, 128) for x, box in zip((a, b), plan.boxes, strict=False)]
    for out in (y, z, slope if slope is not None else residual):
        if out is None or plan.direct:
            maps.append(maps[0])  # not looked at
        else:
            maps.append(backend.tensor_map(out.reshape(shape), plan.boxes[2], 128))
    sums = None
    if p.steps.sums:
        sums = backend.empty((p.products * -(-p.m // c.rows), p.n), float32)
    _product(plan.grid, 384, bias, scale, slope, residual, y, z, sums, *numbers, *steps_of, *maps,
             shared=plan.shared, **plan.macros)  # fmt: skip
    return sums
