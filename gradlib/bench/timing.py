"""How time is taken: warm-up, interleaved repeats within a budget, median and spread."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .case import Run

LEAST = 5  # samples of a measurement, unless they take several times its budget
MOST = 200
SAMPLE = 1e-3  # seconds; a shorter run is repeated within one sample


def _nothing(result: Any = None) -> None:
    """The result is there when the call returns."""


def wall() -> float:
    """Return the wall clock, in seconds."""
    return time.perf_counter()


def processor() -> float:
    """Return the processor seconds of this process, all threads together, and of the compilers that it ran."""
    spent = os.times()
    return time.process_time() + spent.children_user + spent.children_system


CLOCKS: dict[str, Callable[[], float]] = {"wall": wall, "processor": processor}


@dataclass(frozen=True)
class Timer:
    """How a library tells the time.

    Without events (CPU, and libraries that have none) it is the wall clock around runs that `finish` waits for.  With
    events it is the device's own clock, and `flush` allows a run to be timed alone with a cold L2 cache.
    """

    finish: Callable[[Any], None] = _nothing  # wait for a result
    event: Callable[[], Any] | None = None
    elapsed: Callable[[Any, Any], float] | None = None  # seconds between two events
    flush: Callable[[], Any] | None = None  # queue a write of more than the L2 cache holds
    clock: Callable[[], float] = wall  # where there are no events

    @property
    def caches(self) -> tuple[str, ...]:
        """Which cache states this timer can measure; the first is the one compared with the floor."""
        return ("cold", "warm") if self.flush and self.event and self.elapsed else ("warm",)

    def warm(self, run: Run, calls: int) -> float:
        """Return the seconds per run of `calls` runs back to back: what a loop sees, launch overhead included."""
        if self.event is not None and self.elapsed is not None:
            start = self.event()
            for _ in range(calls):
                run()
            return self.elapsed(start, self.event()) / calls
        result = None
        begin = self.clock()
        for _ in range(calls):
            result = None  # freed before the next is made, as in a loop that uses it
            result = run()
        self.finish(result)
        return (self.clock() - begin) / calls

    def cold(self, run: Run) -> float:
        """Return the device's seconds for one run that finds nothing in the L2 cache.

        The flush is still under way while Python launches the run, so launch overhead hides behind it.
        """
        assert self.flush is not None
        assert self.event is not None
        assert self.elapsed is not None
        self.flush()
        start = self.event()
        run()
        return self.elapsed(start, self.event())


@dataclass
class _Entry:
    run: Run
    timer: Timer
    cache: str
    once: float = 0.0
    calls: int = 1
    spent: float = 0.0

    def __post_init__(self) -> None:
        self.samples: list[float] = []

    def warm_up(self) -> None:
        """Compile, allocate and fill caches, then see how long a run takes."""
        self.timer.finish(self.run())
        self.once = self.timer.warm(self.run, 1)
        for _ in range(3):
            if self.once > 0.1:
                break
            self.once = min(self.once, self.timer.warm(self.run, 1))
        self.calls = max(1, min(1000, math.ceil(SAMPLE / max(self.once, 1e-7))))

    def sample(self) -> None:
        begin = wall()
        if self.cache == "cold":
            self.samples.append(self.timer.cold(self.run))
        else:
            if self.once < 0.02:  # the one before left its threads spinning and the caches full
                self.timer.finish(self.run())
            self.samples.append(self.timer.warm(self.run, self.calls))
        self.spent += wall() - begin

    def done(self, seconds: float) -> bool:
        count = len(self.samples)
        if count >= MOST:
            return True
        return self.spent >= seconds and (count >= LEAST or (count >= 3 and self.spent >= 5 * seconds))


@dataclass(frozen=True)
class Measured:
    """The samples of one measurement, each in seconds per run."""

    samples: tuple[float, ...]
    calls: int  # runs per sample

    @property
    def median(self) -> float:
        return float(np.median(self.samples))

    @property
    def spread(self) -> float:
        """Interquartile range."""
        low, high = np.percentile(self.samples, (25, 75))
        return float(high - low)


def interleave(runs: Mapping[str, tuple[Run, Timer]], cache: str, seconds: float) -> dict[str, Measured | str]:
    """Time competing runs in turns, so that whatever else the machine does falls on all of them.

    Parameters
    ----------
    runs
        By competitor: what to run, and the timer of its library.
    cache
        ``"cold"`` or ``"warm"``.
    seconds
        Budget of each competitor; at least `LEAST` samples are taken, or three if those take five budgets.

    Returns
    -------
    dict
        By competitor the measurement, or the text of the error that ended it.
    """
    failed: dict[str, Measured | str] = {}
    entries: dict[str, _Entry] = {}
    for who, (run, timer) in runs.items():
        entry = _Entry(run, timer, cache)
        if _attempt(entry.warm_up, who, failed):
            entries[who] = entry
    waiting = list(entries)
    while waiting:
        for who in waiting:
            _attempt(entries[who].sample, who, failed)
        waiting = [who for who in waiting if who not in failed and not entries[who].done(seconds)]
        waiting = waiting[1:] + waiting[:1]  # nobody always goes first
    timed = {who: Measured(tuple(e.samples), e.calls if cache == "warm" else 1) for who, e in entries.items()}
    return {who: failed.get(who) or timed[who] for who in runs}


def _attempt(act: Callable[[], None], who: str, failed: dict[str, Measured | str]) -> bool:
    try:
        act()
    except Exception as error:  # one competitor's failure must not cost the others their numbers
        failed[who] = describe(error)
        return False
    return True


def describe(error: BaseException) -> str:
    """Return an error in at most 300 characters."""
    return f"{type(error).__name__}: {error}".strip()[:300]
