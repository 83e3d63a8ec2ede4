"""Launches of product_thin.cu: products of which one operand has at most eight rows or columns, in every float dtype.

Their floor is the time that memory takes to deliver the big operand; each of its elements is read once.  The choice is
analytic and needs no GPU: `gains` holds that floor against what the other kernels take.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from ... import backend as backends
from ...kernel import Kernel, ctype
from ...spec import bfloat16, float16, float32, float64
from ..tiling import LARGEST, tiling
from . import choose_mma, choose_sm90
from .choose_sm90 import ceil_div
from .finish import finish
from .mma import aligned
from .problem import ARRAYS, LIMITS, Matrix, Outputs, Problem, Steps, paired_of

__all__ = ["ROWS", "Config", "Shape", "choose", "cycles", "gains", "product", "serves", "shape_of"]

Array = Any

ROWS = 8  # most of the small operand
THREADS, STEP = 256, 64  # of product_thin.cu

_MEMORY = 2400.0  # bytes per cycle of a whole GPU with HBM (choose_sm90.py)
_ALONE = 48.0  # bytes per cycle of one multiprocessor: the loads under way over the latency of memory
_LAUNCH = 5000.0  # cycles of a launch, and until a block's first pieces are there
_PLAIN = 78.0  # multiplications of a multiprocessor per cycle, as the plain kernels reach them; of float64 half
_SPLITS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
_TIE = 1.2  # of estimates: then the kernel that reads nothing twice and needs no tensor maps
_LEAST = 2**16  # bytes to move, below which all kernels take the time of a launch

_product = Kernel(
    "product_thin.cu",
    "product_thin",
    f"small big {ARRAYS} | {LIMITS} count extent k products splits chunk across along small_batch pitch big_batch",
)


class Shape(NamedTuple):
    """A problem as the kernel sees it."""

    rows: int  # of the small operand (columns, if swapped)
    extent: int  # of the big one's
    swapped: bool  # the small operand is on the right
    along: bool  # neighbours in the big operand follow k


class Config(NamedTuple):
    depth: int  # threads beside each other along k, where `along`
    splits: int
    chunk: int  # of k that shared memory holds of the small operand


@lru_cache(4096)
def shape_of(problem: Problem) -> Shape:
    """Return which operand is the small one: the left one, unless only the right one can be or is smaller."""
    p = problem
    if p.m <= min(p.n, ROWS):
        return Shape(p.m, p.n, False, p.b_transposed)
    return Shape(p.n, p.m, True, not p.a_transposed)


def serves(problem: Problem, a: Matrix, b: Matrix) -> bool:
    """Whether the kernel can compute this: floats that are not split into planes, and no totals of columns."""
    p = problem
    return (
        0 < min(p.m, p.n) <= ROWS
        and p.passes == a.planes == b.planes == 1
        and a.array.dtype == b.array.dtype
        and a.array.dtype in (float16, bfloat16, float32, float64)
        and not p.steps.totals
        and max(p.m, p.n, p.k) * p.products <= LARGEST
    )


def rows_of(count: int) -> int:
    """Return the macro ROWS: a power of two."""
    return 1 << (count - 1).bit_length()


def resident_of(shape: Shape) -> int:
    """Return how many blocks a multiprocessor holds: RESIDENT of the kernel."""
    return 1 if shape.along and shape.rows > 4 else 2


def tile_of(shape: Shape, depth: int, item: int, *, whole: bool) -> int:
    """Return how many rows (columns) of the big operand a block takes: TILE of the kernel."""
    if shape.along:
        return THREADS // depth * (2 if rows_of(shape.rows) * item > 32 else 4)
    return THREADS // 32 * (16 // item) if whole else THREADS // 8


def sums_bytes(shape: Shape, depth: int, item: int, *, whole: bool) -> int:
    """Return the bytes of the sums that the warps of a block leave to be added up."""
    lanes = min(depth, 8 if whole else 32) if shape.along else 4 if whole else 1
    warps = (depth if shape.along else 32 if whole else 8) // lanes
    return warps * rows_of(shape.rows) * tile_of(shape, depth, item, whole=whole) * max(item, 4)


def cycles(problem: Problem, config: Config, item: int, multiprocessors: int, *, whole: bool = True) -> float:
    """Estimate the cycles of the whole product, and of what finishes a split one, at memory's speed at best."""
    p, c = problem, config
    s = shape_of(p)
    tile = tile_of(s, c.depth, item, whole=whole)
    tasks = ceil_div(s.extent, tile) * p.products * c.splits
    resident = resident_of(s)
    rounds = ceil_div(tasks, resident * multiprocessors)
    part = ceil_div(ceil_div(p.k, STEP), c.splits) * STEP
    moved = p.products * ((s.rows + s.extent) * p.k * item + p.m * p.n * p.itemsize)
    depth, share = min(part, p.k), _PLAIN / (2 if item == 8 else 1)
    products = ceil_div(tasks, multiprocessors) * tile * depth * rows_of(s.rows) / share
    total = _LAUNCH + max(moved / _MEMORY, rounds * tile * depth * item * resident / _ALONE, products)
    if c.splits > 1:
        total += _LAUNCH / 2 + p.products * p.m * p.n * (2.0 * max(item, 4) * c.splits + p.itemsize) / _MEMORY
    return total


@lru_cache(4096)
def choose(
    problem: Problem,
    item: int,
    multiprocessors: int,
    shared: int = 232448,
    *,
    whole: bool = True,
    splits: int | None = None,
) -> Config:
    """Return the config that should be fastest, of those with so many splits."""
    p, s = problem, shape_of(problem)
    pieces = 16 // item if whole else 1
    depth = 32 if p.k >= 64 * pieces or not whole else 8 if p.k >= 8 * pieces else 2
    room = shared // 3 - sums_bytes(s, depth, item, whole=whole)  # so that a multiprocessor holds two blocks or more
    most = room // (rows_of(s.rows) * max(item, 4)) // STEP * STEP
    steps = ceil_div(p.k, STEP)

    def of(count: int) -> Config:
        return Config(depth, count, max(min(ceil_div(steps, count) * STEP, most), STEP))

    counts = [
        count
        for count in (_SPLITS if splits is None else (splits,))
        if count == 1 or (ceil_div(steps, count) * (count - 1) < steps and p.products * p.m * p.n * count <= LARGEST)
    ]
    return min(map(of, counts), key=lambda config: cycles(p, config, item, multiprocessors, whole=whole))


@lru_cache(4096)
def gains(problem: Problem, item: int, multiprocessors: int, architecture: str) -> bool:
    """Whether this kernel is no slower than those that would take the problem: on tensor cores, of 16 bits, or plain.

    None is faster than the bytes are moved; beside that the others multiply 64 rows or more, even where 8 are used.
    """
    p = problem
    moved = p.products * ((p.m + p.n) * p.k * item + p.m * p.n * p.itemsize)
    if not p.k or moved < _LEAST:
        return False
    if item == 2:
        family: Any = choose_sm90 if architecture == "sm_90a" else choose_mma
        other = family.cycles(p, family.choose(p, multiprocessors), multiprocessors)
    else:
        tile = tiling(p.m, p.n)
        rounds = ceil_div(tile.blocks(p.m, p.n) * p.products, multiprocessors)
        other = _LAUNCH + rounds * tile.BM * tile.BN * p.k / _PLAIN * (2 if item == 8 else 1)
    mine = cycles(p, choose(p, item, multiprocessors), item, multiprocessors)
    return bool(mine <= _TIE * max(other, _LAUNCH + moved / _MEMORY))


def product(problem: Problem, a: Matrix, b: Matrix, out: Outputs, splits: int | None = None) -> None:
    """Compute out.y (products, m, n) of operands that `serves` allows.  `splits` overrides the choice."""
    backend, p, s = backends.backend_of(out.y), problem, shape_of(problem)
    limits, big, item = backend.limits, (a if s.swapped else b).array, a.array.dtype.itemsize
    whole = big.shape[-1] * item % 16 == 0 and aligned(big)
    c = choose(p, item, limits.multiprocessors, limits.shared, whole=whole, splits=splits)
    if c.splits == 1:
        _launch(p, s, a, b, out, c, whole=whole)
        return
    part = backend.empty((p.products * c.splits, p.m, p.n), float64 if item == 8 else float32)
    _launch(p._replace(steps=Steps()), s, a, b, Outputs(part), c, whole=whole)
    finish(part, out, p, c.splits)


def _launch(p: Problem, s: Shape, a: Matrix, b: Matrix, out: Outputs, c: Config, *, whole: bool) -> None:
    small, big = (b.array, a.array) if s.swapped else (a.array, b.array)
    item = big.dtype.itemsize
    tasks = ceil_div(s.extent, tile_of(s, c.depth, item, whole=whole)) * p.products * c.splits
    across, along = (small.strides[2], small.strides[1])[:: 1 if s.swapped else -1]
    if (b if s.swapped else a).transposed:
        across, along = along, across
    shared = rows_of(s.rows) * c.chunk * max(item, 4) + sums_bytes(s, c.depth, item, whole=whole)
    most = resident_of(s) * backends.backend_of(big).limits.multiprocessors
    _product(
        min(tasks, most), THREADS, small[:1, :1, :1], big[:1, :1, :1],
        *out.arrays, *out.limits, s.rows, s.extent, p.k, p.products, c.splits, c.chunk, across // item,
        along // item, _batch(small), big.strides[1] // item, _batch(big), shared=shared, **p.steps.macros,
        T=ctype(out.y.dtype), OUT=ctype(out.y.dtype), OPERAND=ctype(big.dtype), ROWS=rows_of(s.rows),
        SWAPPED=s.swapped, ALONG=s.along, ALIGNED=whole, DEPTH=c.depth if s.along else 32,
        PAIRED=paired_of(p.n, p.n, out),
    )  # fmt: skip


def _batch(array: Array) -> int:
    """Return the elements between products; 0: one for all."""
    return int(array.strides[0] // array.dtype.itemsize) if array.shape[0] > 1 else 0
