"""Which configuration a product is launched with: the one that `gradlib tune` measured to be the fastest, else the one
that the chooser's table names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import ModuleType
from typing import Any, NamedTuple

from ...backend import Limits
from ...kernel import Kernel, Planner, tuned, without_plans
from .problem import Problem

__all__ = ["Question", "answering", "config_for", "remember"]

Config = Any  # choose_sm90.Config or choose_mma.Config


class Question(NamedTuple):
    """What a launcher asks: which configuration of a family (choose_sm90, choose_mma) a kernel should have."""

    family: ModuleType
    file: str
    problem: Problem
    limits: Limits
    splits: int | None = None  # so many only

    @property
    def candidates(self) -> list[Config]:
        """The configurations that can be the answer, those first that should be the fastest."""
        count = self.limits.multiprocessors
        found: list[Config] = self.family.candidates(self.problem, count, self.splits)
        return sorted(found, key=lambda config: float(self.family.cycles(self.problem, config, count)))

    @property
    def text(self) -> str:
        """For which problems an answer counts: layout, dtypes, sizes within an eighth, and what follows the sum.

        bfloat16 and float16 take the same time.
        """
        p = self.problem
        layout = ("t" if p.a_transposed else "n") + ("t" if p.b_transposed else "n")
        sizes = "x".join(str(rounded(n)) for n in (p.m, p.n, p.k))
        number = f"{rounded(p.products)} of " if p.products > 1 else ""
        of = "16-bit" if p.passes == 1 else f"float32 in {p.passes}"
        steps = [f"{name}={value}" for name, value in p.steps._asdict().items() if value]
        return " ".join([layout, f"{of} to {8 * p.itemsize}-bit", f"{number}{sizes}", *steps])


def rounded(n: int) -> int:
    """Return n with three binary digits: at most an eighth more or less.

    >>> [rounded(n) for n in (7, 9, 100, 768, 800, 8191)]
    [7, 10, 96, 768, 768, 8192]
    """
    step: int = 1 << max(n.bit_length() - 3, 0)
    return (2 * n + step) // (2 * step) * step


_answer: Callable[[Question], Config | None] | None = None


def config_for(family: ModuleType, kernel: Kernel, problem: Problem, limits: Limits, splits: int | None = None) -> Any:
    """Return the configuration with which `kernel` computes a problem; with so many splits, if that is given."""
    if _answer is not None:
        found = _answer(Question(family, kernel.file, problem, limits, splits))
        if found is not None:
            return found
    return _config(family, kernel.file, problem, limits, splits)


@lru_cache(4096)
def _config(family: ModuleType, file: str, problem: Problem, limits: Limits, splits: int | None) -> Config:
    question = Question(family, file, problem, limits, splits)
    entry = tuned.store(limits).find(file, question.text)
    if entry is not None:
        for config in question.candidates:  # of this problem: a neighbour's may not fit it
            if config._asdict() == entry["config"]:
                return config
    return family.choose(problem, limits.multiprocessors, splits)


@contextmanager
def answering(answer: Callable[[Question], Config | None]) -> Iterator[None]:
    """Let `answer` hear every question of the block, and decide those to which it returns a configuration."""
    global _answer
    before, _answer = _answer, answer
    try:
        with without_plans():
            yield
    finally:
        _answer = before


def remember(question: Question, config: Config, **about: Any) -> None:
    """Keep the fastest configuration on disk, with `about` it, and use it from now on."""
    entry = {"config": config._asdict(), **about}
    tuned.store(question.limits).put(question.file, question.text, entry)
    _config.cache_clear()
    Planner.forget()
