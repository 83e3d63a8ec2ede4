"""The configuration of product_sm90.cu for a problem: an analytic table, which needs no GPU.

Every candidate is given the cycles that it should take, from what one multiprocessor multiplies and what it gets from
the L2 cache per cycle; the least wins.  The constants were fitted to an H200 (bench/results); the answer depends on
the shapes and the number of multiprocessors alone.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from .problem import Problem, Steps

__all__ = ["CANDIDATES", "Config", "candidates", "choose", "cycles", "shared_bytes"]

TILE_K = 64
SHARED = 232448  # bytes of shared memory of a block

_PRODUCTS = 2048 * 0.93  # multiplications of a multiprocessor per cycle, as far as they were reached
_L2 = 38.0  # bytes per cycle that a multiprocessor gets from the L2 cache
_MEMORY = 2400.0  # bytes per cycle of the whole GPU
_LAUNCH = 5000.0  # cycles of a launch, and of a block's first tile until it is there
_TURN = 600.0  # cycles between two tiles of a warpgroup


class Config(NamedTuple):
    """Macros of sm90/shape.cuh, and how the sum is split."""

    bm: int
    bn: int
    cluster: int = 1
    pingpong: bool = False
    stages: int = 0  # 0: as many as fit
    splits: int = 1
    group: int = 0  # rows of tiles computed together; 0: so that what runs at once is square

    @property
    def rows(self) -> int:
        """Rows of a warpgroup."""
        return self.bm if self.pingpong else self.bm // 2


CANDIDATES = (
    Config(128, 256, 1),
    Config(128, 256, 2),
    Config(256, 128, 1),
    Config(128, 192, 1),
    Config(128, 128, 1),
    Config(128, 128, 2),
    Config(128, 64, 1),
    Config(128, 128, 1, True),
    Config(128, 128, 2, True),
    Config(64, 256, 1, True),
    Config(64, 128, 1, True),
    Config(64, 64, 1, True),
)
_SPLITS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)


def ceil_div(a: int, b: int) -> int:
    """Return a / b, rounded up."""
    return -(-a // b)


def stage_bytes(config: Config) -> int:
    """Return the bytes of one stage of the ring."""
    return (config.bm + config.bn) * TILE_K * 2


def shared_bytes(config: Config, *, direct: bool, totals: int) -> int:
    """Return the dynamic shared memory of a block: stages, staging of the results, column sums, barriers."""
    staging = 0 if direct else 2 * 2 * config.rows * 128
    return config.stages * stage_bytes(config) + staging + 2048 * totals + 16 * config.stages + 32


def with_stages(config: Config, *, direct: bool, totals: int) -> Config:
    """Return the config with as many stages as fit, eight at most."""
    room = SHARED - shared_bytes(config._replace(stages=0), direct=direct, totals=totals)
    return config._replace(stages=min(8, room // (stage_bytes(config) + 16)))


def _work(steps: Steps) -> float:
    """Instructions of a thread for each element that passes out."""
    work = (
        3.0
        + steps.bias
        + steps.scale
        + 2.0 * steps.save
        + 3.0 * bool(steps.residual)
        + 4.0 * steps.totals
        + 12.0 * steps.dropout
    )
    for name in (steps.activation, steps.slope):
        work += 0.0 if name is None else 2.0 if name in ("relu", "leaky_relu", "relu6") else 18.0
    return work + (3.0 if steps.slope else 0.0)


def cycles(problem: Problem, config: Config, multiprocessors: int) -> float:
    """Estimate the cycles of the whole product, and of what finishes a split one."""
    p, c = problem, config
    depth = ceil_div(ceil_div(p.k, TILE_K), c.splits)
    step = max(c.bm * c.bn * TILE_K / _PRODUCTS, (c.bm + c.bn / c.cluster) * TILE_K * 2 / _L2)
    if p.passes > 1:
        step += c.bm * c.bn / 128 / p.passes + 60  # the sums leave the tensor core, once for all passes
    main = depth * p.passes * step
    out = c.bm * c.bn / 128 * (_work(p.steps) if c.splits == 1 else 3.0) + _TURN
    tile = max(main + _TURN / 3, (main + out) / 2) if c.pingpong else main + out
    tiles = ceil_div(p.m, c.bm * c.cluster) * ceil_div(p.n, c.bn) * p.products * c.splits
    places = multiprocessors // c.cluster
    total = _LAUNCH + ceil_div(tiles, places) * tile + (out if c.pingpong else 0.0)
    if c.splits > 1:
        total += _LAUNCH / 2 + p.products * p.m * p.n * (8.0 * c.splits + p.itemsize) / _MEMORY
    return total


def _crowded(steps: Steps) -> bool:
    """Whether the way out wants more registers than sums of 128 rows by 128 columns leave a warpgroup."""
    return steps.dropout or steps.save + bool(steps.residual) + bool(steps.totals) > 1


def fits(problem: Problem, config: Config) -> bool:
    """Whether registers and the shape allow a config."""
    accumulators = config.rows // 64 * config.bn // 2 * (2 if problem.passes > 1 else 1)
    depth = ceil_div(problem.k, TILE_K)
    return (
        accumulators <= 128
        and (problem.passes == 1 or config.cluster == 1 or not problem.a_transposed)  # it spills
        and not (config.pingpong and config.bm == 128 and problem.b_transposed and problem.steps.save)  # it spills
        and (config.rows == 64 or accumulators < 128 or config.splits > 1 or not _crowded(problem.steps))  # it spills
        and (config.splits == 1 or (depth >= 4 * config.splits and not problem.steps.totals))
        and ceil_div(depth, config.splits) * (config.splits - 1) < depth  # no part is empty
    )


def candidates(problem: Problem, multiprocessors: int, splits: int | None = None) -> list[Config]:
    """Return every config that can be launched, of those with so many splits, with stages and group filled in."""
    return [
        completed(config._replace(splits=count), problem, multiprocessors)
        for config in CANDIDATES
        for count in (_SPLITS if splits is None else (splits,))
        if fits(problem, config._replace(splits=count))
    ]


@lru_cache(4096)
def choose(problem: Problem, multiprocessors: int, splits: int | None = None) -> Config:
    """Return the candidate that should be the fastest."""
    found = candidates(problem, multiprocessors, splits)
    return min(found, key=lambda config: cycles(problem, config, multiprocessors))


def completed(config: Config, problem: Problem, multiprocessors: int) -> Config:
    """Return the config with its stages and group filled in where they are left open."""
    if not config.stages:
        direct = problem.itemsize != 2 or config.splits > 1
        config = with_stages(config, direct=direct, totals=problem.steps.totals)
    square = (multiprocessors * config.bn / config.bm) ** 0.5
    return config if config.group else config._replace(group=max(1, round(square / config.cluster)))
