"""`gradlib tune`: the fastest right candidate is kept and then chosen; on a clock that only the runs move."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradlib import backend, cli
from gradlib.backend import Limits
from gradlib.bench import timing, tune_command
from gradlib.bench.timing import Timer
from gradlib.bench.tune import short, tune
from gradlib.errors import KernelError
from gradlib.kernel import tuned
from gradlib.ops.product import Problem, Steps, choice, choose_mma, choose_sm90, sm90
from gradlib.ops.product.choice import config_for

KERNEL = sm90._product
LIMITS = Limits(name="A GPU")
PROBLEM = Problem(8192, 3072, 768, steps=Steps(bias=True, activation="gelu"))


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """An empty cache folder; what was chosen with it is forgotten afterwards."""
    monkeypatch.setenv("GRADLIB_CACHE", str(tmp_path / "cache"))
    choice._config.cache_clear()
    yield tmp_path / "cache"
    choice._config.cache_clear()


class Machine:
    """An op whose launch asks for a configuration, takes a time of its own for each, and gives a result."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.seconds: dict[Any, float] = {}
        self.results: dict[Any, Any] = {}
        monkeypatch.setattr(timing.time, "perf_counter", lambda: self.now)

    def run(self, problem: Problem = PROBLEM) -> Any:
        config = config_for(choose_sm90, KERNEL, problem, LIMITS)
        self.now += self.seconds.get(config, 0.01)
        result = self.results.get(config, 1.0)
        if isinstance(result, Exception):
            raise result
        return np.full((3,), result, np.float32)

    def tune(self, **more: Any) -> list[Any]:
        return list(tune(self.run, Timer(), np.asarray, 0.1, **{"count": 5, **more}))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def ranked() -> list[Any]:
    return choice.Question(choose_sm90, KERNEL.file, PROBLEM, LIMITS).candidates


def chosen(problem: Problem = PROBLEM) -> Any:
    return config_for(choose_sm90, KERNEL, problem, LIMITS)


def test_without_a_store_the_table_decides(machine: Machine) -> None:
    assert chosen() == choose_sm90.choose(PROBLEM, 132) == ranked()[0]
    assert not list(tuned.store(LIMITS).path.parent.glob("tuned*"))


def test_the_fastest_is_stored_and_then_chosen(machine: Machine) -> None:
    fast = ranked()[3]
    machine.seconds = {fast: 0.004, ranked()[2]: 0.005}
    (outcome,) = machine.tune()
    assert outcome.fastest == fast
    assert outcome.seconds[fast] == pytest.approx(0.004)
    assert len(outcome.seconds) == 5
    assert chosen() == fast != choose_sm90.choose(PROBLEM, 132)
    assert machine.run() is not None
    entry = tuned.Store(tuned.store(LIMITS).path, tuned.store(LIMITS).gpu).find(KERNEL.file, outcome.question.text)
    assert entry is not None  # on disk
    assert entry["config"] == fast._asdict()
    assert entry["seconds_of_table"] == pytest.approx(0.01)


def test_a_candidate_with_another_result_is_never_stored(machine: Machine) -> None:
    wrong, broken, fast = ranked()[1:4]
    machine.seconds = {wrong: 0.001, broken: 0.001, fast: 0.004}
    machine.results = {wrong: 1.001, broken: KernelError("does not compile")}
    (outcome,) = machine.tune()
    assert outcome.fastest == fast
    assert outcome.rejected == {
        wrong: "result 0 differs: 1.0010000467300415 at (0,), expected 1.0",
        broken: "KernelError: does not compile",
    }
    machine.results = {fast: float("nan")}
    assert machine.tune()[0].fastest != fast


def test_rounding_of_another_order_is_no_difference(machine: Machine) -> None:
    machine.seconds, machine.results = {ranked()[1]: 0.004}, {ranked()[1]: 1 + 2**-20}
    assert machine.tune()[0].fastest == ranked()[1]


def test_nothing_is_stored_unless_asked(machine: Machine) -> None:
    machine.seconds = {ranked()[1]: 0.004}
    (outcome,) = machine.tune(keep=False)
    assert outcome.fastest == ranked()[1]
    assert chosen() == ranked()[0]
    assert not tuned.store(LIMITS).entries


def test_questions_already_answered_are_left_out(machine: Machine) -> None:
    done: set[tuple[str, str]] = set()
    assert len(machine.tune(done=done)) == 1
    assert machine.tune(done=done) == []


def test_an_answer_counts_for_neighbours_but_not_for_other_epilogues(machine: Machine) -> None:
    machine.seconds = {ranked()[3]: 0.004}
    machine.tune()
    assert chosen(PROBLEM._replace(m=8100)) == chosen()
    for other in (
        PROBLEM._replace(m=4096),
        PROBLEM._replace(steps=Steps(bias=True)),
        PROBLEM._replace(b_transposed=True),
        PROBLEM._replace(passes=6, itemsize=4),
        PROBLEM._replace(products=2),
    ):
        assert chosen(other) == choose_sm90.choose(other, 132)


def test_a_stored_answer_that_does_not_fit_the_problem_is_not_used() -> None:
    near = Problem(128, 128, 4096)
    question = choice.Question(choose_sm90, KERNEL.file, near, LIMITS)
    illegal = question.candidates[0]._replace(bm=256, bn=256)
    choice.remember(question, illegal)
    assert config_for(choose_sm90, KERNEL, near, LIMITS) == choose_sm90.choose(near, 132)
    parts = next(c for c in question.candidates if c.splits > 1)
    choice.remember(question, parts)
    assert config_for(choose_sm90, KERNEL, near, LIMITS) == parts
    assert config_for(choose_sm90, KERNEL, near, LIMITS, splits=1).splits == 1


def test_a_corrupt_store_is_named_and_the_table_decides(machine: Machine) -> None:
    path = tuned.store(Limits(name="Another")).path
    path.write_text("{half")
    limits = Limits(name="another")  # the same file, not yet read
    with pytest.warns(RuntimeWarning, match="tuned-another-132.json"):
        assert config_for(choose_sm90, KERNEL, PROBLEM, limits) == choose_sm90.choose(PROBLEM, 132)


def test_short_names() -> None:
    assert short(choose_sm90.Config(128, 256, 2, stages=3)) == "128x256 cluster=2 stages=3"
    assert short(choose_mma.Config(64, 64, 32, 32, splits=2)) == "64x64 splits=2"


# -- the command


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--device", "sim", "8192x768"], "'8192x768' is no shape\n  need one like '8192x768x3072 gelu'"),
        (["--device", "sim", "--seconds", "0"], "need --seconds above 0"),
        (["--device", "sim", "--candidates", "0"], "--candidates of 1 or more"),
    ],
)
def test_wrong_calls(sim: str, capsys: Any, arguments: list[str], text: str) -> None:
    assert cli.main(["tune", *arguments]) == 2
    assert text in capsys.readouterr().err


def test_without_a_gpu_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(backend, "available", lambda name: (False, "device cuda cannot be used: no NVIDIA GPU"))
    assert cli.main(["tune"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("gradlib tune: device cuda cannot be used: no NVIDIA GPU\n")
    assert "--device sim" in error


def test_shapes_are_written_as_the_benches_write_them() -> None:
    for case in tune_command._cases(tune_command._parser().parse_args(["--dtype", "bfloat16"])):
        if "depthwise" not in case.name:
            again = tune_command._case(case.name, "bfloat16")
            assert (again.suite, again.name, again.work) == (case.suite, case.name, case.work)


def test_a_rehearsal_on_sim_stores_nothing_unless_asked(sim: str, capsys: Any, cache: Path) -> None:
    calls = ["tune", "--device", sim, "16x24x8", "--seconds", "1e-6"]
    assert cli.main(calls) == 0
    text = capsys.readouterr().out
    assert "say nothing of a GPU" in text
    assert "product_sm90.cu nn 16-bit to 16-bit 16x8x24 bias=True" in text
    assert "product_sm90.cu tn 16-bit to 16-bit 24x8x16" in text
    assert not list(cache.glob("tuned*"))
    assert cli.main([*calls, "--store"]) == 0
    capsys.readouterr()
    assert cli.main(["tune", "--device", sim, "--show"]) == 0
    assert "product_sm90.cu nn 16-bit to 16-bit 16x8x24 bias=True: bm=" in capsys.readouterr().out


def test_show_marks_what_is_stale(sim: str, capsys: Any) -> None:
    assert cli.main(["tune", "--device", sim, "--show"]) == 0
    assert "nothing is stored" in capsys.readouterr().out
    store = tuned.store(backend.get(sim).limits)
    store.put("product_mma.cu", "nn", {"config": {"bm": 64}})
    store.entries["product_mma.cu nn"]["digest"] = "other"
    assert cli.main(["tune", "--device", sim, "--show"]) == 0
    assert "product_mma.cu nn: bm=64  (of other sources, not used)" in capsys.readouterr().out
