"""Measuring the candidates of the choosers: one run of an op, each question that its launches ask, each answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import GradlibError
from ..ops.product import Problem
from ..ops.product.choice import Question, answering, remember
from ..testing.tolerance import TOLERANCE, worst
from .case import Run
from .timing import Measured, Timer, describe, interleave

__all__ = ["Outcome", "short", "tune"]

Config = Any
Results = list[np.ndarray[Any, Any]]


@dataclass(frozen=True)
class Outcome:
    """What was measured of one question.  The first config is the one that the table names."""

    question: Question
    seconds: dict[Config, float]  # of the whole run
    rejected: dict[Config, str]  # why: it failed, or computed something else
    fastest: Config | None


def tune(
    run: Run,
    timer: Timer,
    host: Callable[[Any], Any],
    seconds: float,
    count: int,
    keep: bool = True,
    done: set[tuple[str, str]] | None = None,
) -> Iterator[Outcome]:
    """Measure what a run's launches could be configured as, and keep the fastest on disk as it is found.

    A candidate counts only if the run gives what it gives with the table's choice, to the tolerance of its dtype.

    Parameters
    ----------
    run
        What is timed as a whole: an op forward or backward.
    host
        Makes NumPy arrays of its results.
    seconds
        Budget of each candidate.
    count
        How many candidates, those first that should be the fastest.
    keep
        Whether the answers are stored.
    done
        The questions that were measured already, which are left out and added to.
    """
    for question in _questions(run):
        if done is not None:
            if (question.file, question.text) in done:
                continue
            done.add((question.file, question.text))
        expected: Results | None = None
        rejected: dict[Config, str] = {}
        runs: dict[Config, tuple[Run, Timer]] = {}
        for config in question.candidates[:count]:
            answered = _answered(run, question, config)
            try:
                found = _results(answered(), host)
            except GradlibError as error:
                rejected[config] = describe(error)
                continue
            if expected is None:
                expected = found  # the table's choice, whose results the tests hold to float64
            difference = _difference(found, expected)
            if difference:
                rejected[config] = difference
            else:
                runs[config] = answered, timer
        times: dict[Config, float] = {}
        for config, measured in interleave(runs, timer.caches[0], seconds).items():
            if isinstance(measured, Measured):
                times[config] = measured.median
            else:
                rejected[config] = measured
        fastest = min(times, key=lambda config: times[config], default=None)
        if fastest is not None and keep:
            table = times.get(question.candidates[0])
            remember(question, fastest, seconds=times[fastest], seconds_of_table=table)
        yield Outcome(question, times, rejected, fastest)


def short(config: Config) -> str:
    """Return a configuration in a few words: its tile, and what is not as usual."""
    usual = type(config)._field_defaults
    rest = [f"{name}={int(value)}" for name, value in config._asdict().items() if value != usual.get(name, value)]
    return " ".join([f"{config.bm}x{config.bn}", *rest])


def _questions(run: Run) -> list[Question]:
    """Return what a run asks, each kind of question once."""
    heard: dict[tuple[str, str], Question] = {}

    def listen(question: Question) -> None:
        heard.setdefault((question.file, question.text), question)

    with answering(listen):
        run()
    return list(heard.values())


def _answered(run: Run, question: Question, config: Config) -> Run:
    """Return the run with one kind of question answered by a config, where it fits."""
    about = question.file, question.text
    answers: dict[tuple[str, Problem], Config | None] = {}  # found out once: the GPU must not wait for it

    def answer(asked: Question) -> Config | None:
        key = asked.file, asked.problem
        if key not in answers:
            fits = (asked.file, asked.text) == about and config in asked.candidates
            answers[key] = config if fits else None
        return answers[key]

    def answered() -> Any:
        with answering(answer):
            return run()

    return answered


def _results(value: Any, host: Callable[[Any], Any]) -> Results:
    values = value if isinstance(value, (list, tuple)) else [value]
    return [np.array(host(v)) for v in values if v is not None]


def _difference(found: Results, expected: Results) -> str:
    """Say how results differ by more than the rounding of another order of summation; "" if they do not."""
    for i, (f, e) in enumerate(zip(found, expected, strict=True)):
        if f.shape != e.shape or f.dtype != e.dtype:
            return f"result {i} is {f.dtype}{list(f.shape)}, expected {e.dtype}{list(e.shape)}"
        if f.tobytes() != e.tobytes():
            error, index = worst(f, e)
            if error > TOLERANCE[f.dtype]:
                return f"result {i} differs: {f[index]} at {index}, expected {e[index]}"
    return ""
