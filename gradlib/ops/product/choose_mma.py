"""The configuration of the mma.sync kernels for a problem: an analytic table, which needs no GPU.

As choose_sm90.py; the constants are what `mma.sync` with `ldmatrix` is known to reach (half of a Hopper's tensor cores,
most of an Ampere's), not measured here.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from .choose_sm90 import ceil_div
from .problem import Problem

__all__ = ["CANDIDATES", "Config", "candidates", "choose", "cycles", "shared_bytes"]

TILE_K = 32

_PRODUCTS = 1024 * 0.8  # multiplications of a multiprocessor per cycle
_MEMORY = 1000.0  # bytes per cycle of the whole GPU
_LAUNCH = 4000.0  # cycles of a launch, and of a block's first tile until it is there


class Config(NamedTuple):
    """Macros of mma/shape.cuh, and how the sum is split."""

    bm: int
    bn: int
    wm: int
    wn: int
    stages: int = 4
    splits: int = 1
    band: int = 8

    @property
    def threads(self) -> int:
        return (self.bm // self.wm) * (self.bn // self.wn) * 32


CANDIDATES = (
    Config(128, 128, 64, 32),
    Config(128, 64, 64, 32),
    Config(64, 128, 32, 32),
    Config(64, 64, 32, 32),
)
_SPLITS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)


def shared_bytes(config: Config, *, a_transposed: bool, b_transposed: bool) -> int:
    """Return the dynamic shared memory of a block: the slabs of all stages, with their padding."""
    a = TILE_K * (config.bm + 8) if a_transposed else config.bm * (TILE_K + 8)
    b = config.bn * (TILE_K + 8) if b_transposed else TILE_K * (config.bn + 8)
    return config.stages * (a + b) * 2


def cycles(problem: Problem, config: Config, multiprocessors: int) -> float:
    """Estimate the cycles of the whole product, and of what finishes a split one."""
    p, c = problem, config
    depth = ceil_div(ceil_div(p.k, TILE_K), c.splits) * p.passes
    resident = 1 if c.bm * c.bn > 8192 or p.passes > 1 else 2  # blocks of a multiprocessor at a time
    step = c.bm * c.bn * TILE_K / _PRODUCTS * (1.0 if c.bm * c.bn > 8192 else 1.15)  # small tiles read more for each
    tiles = ceil_div(p.m, c.bm) * ceil_div(p.n, c.bn) * p.products * c.splits
    waves = ceil_div(tiles, multiprocessors * resident) * resident
    total = _LAUNCH + waves * (depth * step + 8.0 * c.bm * c.bn / 128)
    if c.splits > 1:
        total += _LAUNCH / 2 + p.products * p.m * p.n * (8.0 * c.splits + p.itemsize) / _MEMORY
    return total


def fits(problem: Problem, config: Config) -> bool:
    """Whether registers and the shape allow a config."""
    depth = ceil_div(problem.k, TILE_K)
    return (
        (problem.passes == 1 or config.wm == 32)
        and problem.products * config.splits <= 65535  # the grid's third dimension
        and (config.splits == 1 or (depth >= 8 * config.splits and not problem.steps.totals))
        and ceil_div(depth, config.splits) * (config.splits - 1) < depth  # no part is empty
    )


def candidates(problem: Problem, multiprocessors: int, splits: int | None = None) -> list[Config]:
    """Return every config that can be launched, of those with so many splits; as choose_sm90's."""
    return [
        config._replace(splits=count)
        for config in CANDIDATES
        for count in (_SPLITS if splits is None else (splits,))
        if fits(problem, config._replace(splits=count))
    ]


@lru_cache(4096)
def choose(problem: Problem, multiprocessors: int, splits: int | None = None) -> Config:
    """Return the candidate that should be the fastest."""
    found = candidates(problem, multiprocessors, splits)
    return min(found, key=lambda config: cycles(problem, config, multiprocessors))
