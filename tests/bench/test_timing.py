"""Interleaving, budgets and failures, on a clock that only the runs move."""

from __future__ import annotations

import pytest

from gradlib.bench import timing
from gradlib.bench.timing import LEAST, Measured, Timer, interleave


class Clock:
    def __init__(self):
        self.now = 0.0
        self.trail = []

    def run(self, name, seconds):
        def run():
            self.now += seconds
            self.trail.append(name)

        return run


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock.now)
    return clock


def test_median_is_the_time_of_a_run(clock):
    found = interleave({"a": (clock.run("a", 0.25), Timer()), "b": (clock.run("b", 0.5), Timer())}, "warm", 1.0)
    assert found["a"].median == pytest.approx(0.25)
    assert found["b"].median == pytest.approx(0.5)
    assert found["a"].calls == 1


def test_competitors_take_turns_and_nobody_always_goes_first(clock):
    interleave({name: (clock.run(name, 0.25), Timer()) for name in "abc"}, "warm", 1.0)
    assert "".join(clock.trail).endswith("abcbcacababcbca")


def test_at_least_so_many_samples_but_not_for_ever(clock):
    found = interleave({"quick": (clock.run("q", 0.25), Timer()), "slow": (clock.run("s", 4.0), Timer())}, "warm", 0.5)
    assert len(found["quick"].samples) == LEAST
    assert len(found["slow"].samples) == 3


def test_short_runs_are_repeated_within_a_sample(clock):
    found = interleave({"a": (clock.run("a", 2**-16), Timer())}, "warm", 0.01)
    assert found["a"].calls == 66  # of 15 us make a millisecond
    assert found["a"].median == 2**-16


def test_a_failure_is_told_and_the_others_go_on(clock):
    def broken():
        raise ValueError("no such kernel")

    count = []

    def breaks_later():
        clock.now += 0.25
        count.append(1)
        if len(count) > 4:
            raise RuntimeError("late")

    runs = {"broken": (broken, Timer()), "late": (breaks_later, Timer()), "a": (clock.run("a", 0.25), Timer())}
    found = interleave(runs, "warm", 1.0)
    assert found["broken"] == "ValueError: no such kernel"
    assert found["late"] == "RuntimeError: late"
    assert isinstance(found["a"], Measured)
    assert list(found) == ["broken", "late", "a"]


def test_cold_runs_are_flushed_and_timed_by_events_one_by_one(clock):
    def flush():
        clock.now += 0.5
        clock.trail.append("flush")

    timer = Timer(event=lambda: clock.now, elapsed=lambda a, b: b - a, flush=flush)
    assert timer.caches == ("cold", "warm")
    found = interleave({"a": (clock.run("a", 0.25), timer)}, "cold", 1.0)
    assert set(found["a"].samples) == {0.25}
    assert found["a"].calls == 1
    assert "".join(name[0] for name in clock.trail).endswith("fafafafafa")


def test_without_events_there_is_no_cold_time():
    assert Timer().caches == ("warm",)


def test_spread_is_the_interquartile_range():
    assert Measured((1.0, 2.0, 3.0, 4.0, 5.0), 1).spread == 2.0
