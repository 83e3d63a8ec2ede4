"""Launches of product_mma.cu: products on tensor cores from sm_80 on, of any alignment."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ... import backend as backends
from ...kernel import Kernel, ctype
from ...spec import float32
from . import choose_mma
from .choice import config_for
from .choose_mma import Config, shared_bytes
from .finish import finish
from .problem import ARRAYS, LIMITS, Matrix, Outputs, Problem, Steps, Totals, paired_of

__all__ = ["aligned", "config_macros", "first_of", "product", "steps_of"]

Array = Any

_product = Kernel(
    "product_mma.cu",
    "product_mma",
    f"a b {ARRAYS} totals | {LIMITS} m n k splits band a_pitch a_batch a_plane b_pitch b_batch b_plane",
)


def aligned(*arrays: Array) -> bool:
    """Whether 8 elements at a time can be copied: every row begins at a multiple of 16 bytes."""
    pointer = backends.backend_of(arrays[0]).pointer
    return all(
        not any(stride % 16 for stride, n in zip(array.strides[:-1], array.shape, strict=False) if n > 1)
        and pointer(array) % 16 == 0
        for array in arrays
    )


@lru_cache(4096)
def config_macros(config: Config) -> dict[str, Any]:
    """Return the macros of mma/shape.cuh that a config stands for."""
    return {"BM": config.bm, "BN": config.bn, "WM": config.wm, "WN": config.wn, "STAGES": config.stages}


def product(problem: Problem, a: Matrix, b: Matrix, out: Outputs, config: Config | None = None) -> Totals | None:
    """Compute out.y (products, m, n); return the totals of its columns, where they are asked for."""
    backend, p = backends.backend_of(out.y), problem
    c = config or config_for(choose_mma, _product, p, backend.limits)
    if c.splits == 1:
        return _launch(p, a, b, out, c)
    part = backend.empty((p.products * c.splits, p.m, p.n), float32)
    _launch(p._replace(steps=Steps()), a, b, Outputs(part), c)
    finish(part, out, p, c.splits)
    return None


def _launch(p: Problem, a: Matrix, b: Matrix, out: Outputs, c: Config) -> Totals | None:
    totals = Totals.room(p, c.bm, out.y)
    tiles = -(-p.m // c.bm) * -(-p.n // c.bn)
    _product(
        (tiles, 1, p.products * c.splits), c.threads, first_of(a), first_of(b), *out.arrays,
        None if totals is None else totals.array,
        *out.limits, p.m, p.n, p.k, c.splits, c.band, *steps_of(a), *steps_of(b),
        shared=shared_bytes(c, a_transposed=p.a_transposed, b_transposed=p.b_transposed), **config_macros(c),
        **p.steps.macros, OPERAND=ctype(a.array.dtype), T=ctype(out.y.dtype), OUT=ctype(out.y.dtype),
        A_TRANSPOSED=p.a_transposed, B_TRANSPOSED=p.b_transposed, PASSES=p.passes,
        ALIGNED=aligned(a.array, b.array), PAIRED=paired_of(p.n, p.n, out),
    )  # fmt: skip
    return totals


def first_of(matrix: Matrix) -> Array:
    """Return a contiguous view that carries the pointer."""
    return matrix.array[:1, :1, :1]


def steps_of(matrix: Matrix) -> tuple[int, int, int]:
    """Return the elements between rows, between products (0: one for all) and between planes."""
    item = matrix.array.dtype.itemsize
    plane, row, _ = (stride // item for stride in matrix.array.strides)
    return row, plane * matrix.planes if matrix.batch > 1 else 0, plane
