"""Launches of product_sm90.cu: tensor maps, grids, and the second launch of a sum that is split."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from ... import backend as backends
from ...kernel import Kernel, ctype
from ...spec import bfloat16, float16, float32
from .choose_sm90 import Config, choose, shared_bytes
from .problem import Matrix, Problem, Steps

__all__ = ["Outputs", "config_macros", "grid_of", "paired_of", "product", "serves"]

Array = Any

_product = Kernel(
    "product_sm90.cu",
    "product",
    "bias scale slope residual y z sums | m n k products splits group a_batch b_batch "
    "a_map b_map y_map z_map fetched_map",
)
_finish = Kernel("finish.cu", "finish", "part bias scale slope residual y z | products splits m n")


def serves(array: Array) -> bool:
    """Whether bulk copies can take a batch of matrices: 16-bit elements, rows that begin at multiples of 16 bytes."""
    backend = backends.backend_of(array)
    if array.dtype not in (float16, bfloat16) or not backend.runs_kernels or backend.limits.architecture != "sm_90a":
        return False
    *outer, last = array.strides
    return last == 2 and not any(stride % 16 for stride in outer) and backend.pointer(array) % 16 == 0


class Outputs(NamedTuple):
    """The arrays around a product's results."""

    y: Array
    z: Array | None = None
    slope: Array | None = None
    residual: Array | None = None
    bias: Array | None = None
    scale: Array | None = None
    sums: Array | None = None

    @property
    def fetched(self) -> Array | None:
        """What comes by bulk copies: output.cuh."""
        return self.slope if self.slope is not None else self.residual


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


def paired_of(n: int, pitch: int, out: Outputs) -> bool:
    """Whether two neighbours of every array around a product can be read and written at once."""
    if n % 2 or pitch % 2:
        return False
    pointer = backends.backend_of(out.y).pointer
    return all(pointer(array) % (2 * array.dtype.itemsize) == 0 for array in out[:6] if array is not None)


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
        shared_bytes(c, direct=direct, sums=p.steps.sums),
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
    p = problem
    c = config or choose(p, backend.limits.multiprocessors)
    out = Outputs(y, z, slope, residual, bias, scale)
    if c.splits == 1:
        return _launch(p, a, b, out, c)
    part = backend.empty((p.products * c.splits, p.m, p.n), float32)
    _launch(p._replace(steps=Steps()), a, b, Outputs(part), c)
    blocks = min(-(-p.products * p.m * -(-p.n // 2) // 256), 4096)
    macros = {**p.steps.macros, "SUMS": False, "T": ctype(y.dtype), "PAIRED": paired_of(p.n, p.n, out)}
    _finish(blocks, 256, part, bias, scale, slope, residual, y, z, p.products, c.splits, p.m, p.n, **macros)
    return None


def _launch(p: Problem, a: Matrix, b: Matrix, out: Outputs, config: Config) -> Array | None:
    backend = backends.backend_of(out.y)
    plan = _plan(p, config, a.array.dtype, out.y.dtype, paired_of(p.n, p.n, out))
    shape = (p.products * config.splits, p.m, p.n)
    maps = [backend.tensor_map(x.array, box, 128) for x, box in zip((a, b), plan.boxes, strict=False)]
    for array in (out.y, out.z, out.fetched):
        if array is None or plan.direct:
            maps.append(maps[0])  # not looked at
        else:
            maps.append(backend.tensor_map(array.reshape(shape), plan.boxes[2], 128))
    sums = backend.empty((p.products * -(-p.m // config.rows), p.n), float32) if p.steps.sums else None
    _product(
        grid_of(plan.tiles, config, backend), 384, out.bias, out.scale, out.slope, out.residual, out.y, out.z, sums,
        p.m, p.n, p.k, p.products, config.splits, config.group, a.planes if a.batch > 1 else 0,
        b.planes if b.batch > 1 else 0, *maps, shared=plan.shared, **plan.macros,
    )  # fmt: skip
    return sums
