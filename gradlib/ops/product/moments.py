"""Whether a product should take the moments of its columns on its way out, or leave them to a pass over its result."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from . import choose_mma, choose_sm90
from .problem import Problem

__all__ = ["apart"]

_LAUNCH, _MEMORY = 5000.0, 2400.0  # cycles; bytes per cycle of the whole GPU, as in choose_sm90.py


@lru_cache(4096)
def apart(problem: Problem, multiprocessors: int, *, hopper: bool) -> bool:
    """Whether a sum that is split, which takes no moments, and a pass for them are faster than one that is not.

    So it is where there are few tiles and long sums: the small maps at the end of a network.
    """
    family: Any = choose_sm90 if hopper else choose_mma
    plain = problem._replace(steps=problem.steps._replace(moments=False))
    config = family.choose(plain, multiprocessors)
    if config.splits == 1:
        return False
    after = _LAUNCH + problem.m * problem.n * problem.itemsize / _MEMORY
    whole = family.cycles(problem, family.choose(problem, multiprocessors, splits=1), multiprocessors)
    return bool(family.cycles(plain, config, multiprocessors) + after < whole)
