"""Launches of product_double.cu: products of float64 on the tensor cores of GPUs that multiply doubles faster there."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from ... import backend as backends
from ...kernel import Kernel
from ...spec import float64
from ..tiling import LARGEST, tiling
from .choose_sm90 import ceil_div
from .finish import finish
from .problem import ARRAYS, LIMITS, Matrix, Outputs, Problem, Steps, paired_of

__all__ = ["Config", "choose", "cycles", "gains", "product", "serves"]

Array = Any

TILE, TILE_K, THREADS, STAGES = 64, 16, 128, 3  # of product_double.cu
SHARED = STAGES * 2 * TILE * (TILE_K + 4) * 8

# Multiplications of a multiprocessor per cycle: on tensor cores, and of the plain kernel.  On other architectures than
# these both units are equally slow.
_FAST = frozenset({"sm_80", "sm_90", "sm_90a", "sm_100", "sm_100a"})
_PRODUCTS, _PLAIN = 128 * 0.8, 64 * 0.6
_MEMORY = 1000.0  # bytes per cycle of the whole GPU
_LAUNCH = 4000.0  # cycles of a launch, and of a block's first tile until it is there
_RESIDENT = 2  # blocks of a multiprocessor
_SPLITS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)

_product = Kernel(
    "product_double.cu",
    "product_double",
    f"a b {ARRAYS} | {LIMITS} m n k splits band a_pitch a_batch b_pitch b_batch",
)


class Config(NamedTuple):
    """How the sum is split, and how many rows of tiles are computed together."""

    splits: int
    band: int = 8


def serves(problem: Problem, a: Matrix, b: Matrix) -> bool:
    """Whether the kernel can compute this: float64, and no totals of columns."""
    p = problem
    return (
        a.array.dtype == b.array.dtype == float64
        and min(p.m, p.n) > 0
        and not p.steps.totals
        and p.products * _SPLITS[-1] <= 65535
        and max(p.m, p.n, p.k) <= LARGEST
    )


def cycles(problem: Problem, config: Config, multiprocessors: int) -> float:
    """Estimate the cycles of the whole product, and of what finishes a split one."""
    p, splits = problem, config.splits
    depth = ceil_div(ceil_div(p.k, TILE_K), splits)
    blocks = ceil_div(p.m, TILE) * ceil_div(p.n, TILE) * p.products * splits
    rounds = ceil_div(blocks, multiprocessors * _RESIDENT) * _RESIDENT if blocks > multiprocessors else 1
    total = _LAUNCH + rounds * (depth * TILE * TILE * TILE_K / _PRODUCTS + 16.0 * TILE * TILE / THREADS)
    if splits > 1:
        total += _LAUNCH / 2 + p.products * p.m * p.n * (16.0 * splits + p.itemsize) / _MEMORY
    return total


@lru_cache(4096)
def choose(problem: Problem, multiprocessors: int, splits: int | None = None) -> Config:
    """Return the config that should be fastest, of those with so many splits."""
    depth = ceil_div(problem.k, TILE_K)
    options = [
        Config(count)
        for count in (_SPLITS if splits is None else (splits,))
        if count == 1 or (depth >= 8 * count and ceil_div(depth, count) * (count - 1) < depth)
    ]
    return min(options, key=lambda config: cycles(problem, config, multiprocessors))


@lru_cache(4096)
def gains(problem: Problem, multiprocessors: int, architecture: str) -> bool:
    """Whether this kernel beats the plain one, by what it multiplies and how many blocks share the work."""
    p = problem
    if architecture not in _FAST or not p.k:
        return False
    tile = tiling(p.m, p.n)
    rounds = ceil_div(tile.blocks(p.m, p.n) * p.products, multiprocessors)
    plain = _LAUNCH + rounds * tile.BM * tile.BN * p.k / _PLAIN
    return cycles(p, choose(p, multiprocessors), multiprocessors) < 0.9 * plain


def product(problem: Problem, a: Matrix, b: Matrix, out: Outputs, splits: int | None = None) -> None:
    """Compute out.y (products, m, n) of operands that `serves` allows.  `splits` overrides the choice."""
    backend, p = backends.backend_of(out.y), problem
    c = choose(p, backend.limits.multiprocessors, splits)
    if c.splits == 1:
        _launch(p, a, b, out, c)
        return
    part = backend.empty((p.products * c.splits, p.m, p.n), float64)
    _launch(p._replace(steps=Steps()), a, b, Outputs(part), c)
    finish(part, out, p, c.splits)


def _launch(p: Problem, a: Matrix, b: Matrix, out: Outputs, c: Config) -> None:
    tiles = ceil_div(p.m, TILE) * ceil_div(p.n, TILE)
    _product(
        (tiles, 1, p.products * c.splits), THREADS, a.array[:1, :1, :1], b.array[:1, :1, :1], *out.arrays, *out.limits,
        p.m, p.n, p.k, c.splits, c.band, *_steps(a), *_steps(b), shared=SHARED, **p.steps.macros,
        A_ALONG=not p.a_transposed, B_ALONG=p.b_transposed, PAIRED=paired_of(p.n, p.n, out),
    )  # fmt: skip


def _steps(matrix: Matrix) -> tuple[int, int]:
    """Return the elements between rows and between products; 0: one for all."""
    plane, row, _ = matrix.array.strides
    return row // 8, plane // 8 if matrix.array.shape[0] > 1 else 0
