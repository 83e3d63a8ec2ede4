"""What both families settle before a convolution is launched: its configuration, and where its sums go."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any, NamedTuple

from ... import backend as backends
from ...kernel import Kernel
from ...spec import float32
from . import choose_sm90
from .choice import config_for
from .moments import apart
from .problem import Outputs, Problem, Steps

__all__ = ["Plan", "plan"]

Array = Any


class Plan(NamedTuple):
    """A launch of a convolution; of a sum that is split, of its parts, which `finish` adds up."""

    problem: Problem  # as it is after all launches
    config: Any  # choose_sm90.Config or choose_mma.Config
    target: Outputs  # what the kernel writes
    steps: Steps  # what it does to it


def plan(family: ModuleType, kernel: Kernel, problem: Problem, out: Outputs, groups: int) -> Plan:
    """Choose the configuration of `kernel`, and whether moments are better taken from the result afterwards."""
    backend = backends.backend_of(out.y)
    if problem.steps.moments and apart(problem, backend.limits.multiprocessors, hopper=family is choose_sm90):
        problem = problem._replace(steps=problem.steps._replace(moments=False))
    splits = None if _may_be_split(problem, out.y, groups) else 1
    config = config_for(family, kernel, problem, backend.limits, splits)
    if config.splits == 1:
        return Plan(problem, config, out, problem.steps)
    parts = backend.empty((config.splits, problem.m, problem.n), float32)
    return Plan(problem, config, Outputs(parts), Steps())


def _may_be_split(problem: Problem, y: Array, groups: int) -> bool:
    """Whether the sum of a convolution may be split: one group, whose rows are those of y, and no totals asked for."""
    rows = math.prod(y.shape[:-1])
    return groups == 1 and problem.m == rows and not problem.steps.totals and 64 * problem.m * problem.n < 2**31
