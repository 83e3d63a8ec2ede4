"""The configuration of scaled_sm90.cu for a problem: choose_sm90.py's table, as far as 8-bit floats allow.

A problem's k counts pairs of them here: so many take the bytes, and the cycles, of one product of 16 bits.
"""

from __future__ import annotations

from functools import lru_cache

from . import choose_sm90
from .choose_sm90 import Config, cycles
from .problem import Problem

__all__ = ["CANDIDATES", "Config", "candidates", "choose", "cycles"]


def _fits(config: Config) -> bool:
    """Whether half of a sum's registers are left for what is on its way out of the tensor core."""
    return config.rows // 64 * config.bn // 2 <= 64


CANDIDATES = tuple(config for config in choose_sm90.CANDIDATES if _fits(config))


def candidates(problem: Problem, multiprocessors: int, splits: int | None = None) -> list[Config]:
    """Return every config that can be launched, of those with so many splits; as choose_sm90's."""
    return [config for config in choose_sm90.candidates(problem, multiprocessors, splits) if _fits(config)]


@lru_cache(4096)
def choose(problem: Problem, multiprocessors: int, splits: int | None = None) -> Config:
    """Return the candidate that should be the fastest."""
    found = candidates(problem, multiprocessors, splits)
    return min(found, key=lambda config: cycles(problem, config, multiprocessors))
