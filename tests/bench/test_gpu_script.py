"""bench/gpu.sh, rehearsed on tiny shapes: the first minute on a GPU is not to be lost to a typo."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gradlib.bench import results
from gradlib.bench.suites import SUITES

SCRIPT = Path(__file__).resolve().parents[2] / "bench" / "gpu.sh"


def call(out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    unset = ("PYTEST_XDIST_WORKER", "PYTEST_CURRENT_TEST", "PYTEST_ADDOPTS", "GRADLIB_DEVICE", "GRADLIB_DEBUG")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    environment |= {"OUT": str(out), "PYTHON": sys.executable}
    command = ["bash", str(SCRIPT), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.exhaustive
def test_the_rehearsal_runs_every_part(tmp_path: Path, sim: str) -> None:
    done = call(tmp_path, "--device", sim, "--minutes", "20")
    summary = (tmp_path / "summary.txt").read_text().splitlines()
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    parts = [line.partition("(")[0].split(maxsplit=1) for line in summary[:-1]]
    assert [" ".join(words).strip() for words in parts] == [
        "passed environment",
        "passed device sim",
        "passed tests of the tensor-core kernels",
        "passed the same bits, again and again",
        "passed compute-sanitizer memcheck, kernel tests",
        "passed compute-sanitizer memcheck, bfloat16",
        "passed compute-sanitizer memcheck, float32",
        "passed compute-sanitizer racecheck, float32",
        "passed copy bandwidth and matrix peak",
        "passed bench dense and conv, float32",
        "passed tuning",
        "passed launches of dense 5x7x3 relu float32 forward",
        "passed ncu dense 5x7x3 relu float32 forward",
        "passed the other tests",
        "passed bench of the other suites",
        "passed train digits",
    ]
    (path,) = tmp_path.glob("*/*.json")
    document = results.load(path)
    assert {r["suite"] for r in document["records"]} == {"dense", "conv", "elementwise"}
    assert not [r for r in document["records"] if "error" in r]
    assert len(document["runs"]) == 3
    assert "without ncu --clock-control none" in (tmp_path / "ncu.txt").read_text()
    assert re.search(r"MB +0.0\d+ GFLOP", (tmp_path / "ncu.txt").read_text())
    assert (tmp_path / "repeat.txt").read_text().count("the same bits 3 times") == 2
    assert "say nothing of a GPU" in (tmp_path / "tune.txt").read_text()


def of_a_gpu(name: str) -> list[str]:
    """What the script runs on a GPU alone: the words of its first array of that name."""
    done = re.search(rf"^ *{name}=\(([^)]*)\)", SCRIPT.read_text(), re.MULTILINE)
    assert done
    return done[1].split()


def test_what_a_rehearsal_leaves_out_is_there_too() -> None:
    """The files and suites of a run on a GPU: a wrong name would end a part there."""
    named = [*of_a_gpu("of_products"), *of_a_gpu("of_tensor_cores")]
    text = " ".join(word.replace('"$root"', str(SCRIPT.parents[1])) for word in named if "[@]" not in word)
    done = subprocess.run(["bash", "-c", f"ls -d {text}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) > 20
    for name in ("repeated", "bench_first", "bench_rest"):
        suites = list(itertools.takewhile(lambda word: not word.startswith("-"), of_a_gpu(name)))
        assert suites
        assert set(suites) <= set(SUITES)
    assert set(of_a_gpu("bench_dtypes")) == {"bfloat16", "float32"}


def test_a_part_that_runs_out_of_time_tells_what_it_had_seen(tmp_path: Path) -> None:
    """pytest, interrupted, still says what failed."""
    text = SCRIPT.read_text()
    functions = text[text.index("say() {") : text.index("skip() {")]
    (tmp_path / "test_x.py").write_text("import time\ndef test_a(): assert not 'wrong'\ndef test_b(): time.sleep(60)\n")
    head = f"logs={tmp_path}; summary={tmp_path}/summary.txt; failures=0; shares_left=100; end=$((SECONDS + 10)); "
    body = f"part 100 tests slow {sys.executable} -m pytest -q -p no:cacheprovider -p no:xdist {tmp_path}/test_x.py"
    subprocess.run(["bash", "-c", f"{head}\n{functions}\n{body}"], capture_output=True, check=False, cwd=tmp_path)
    assert (tmp_path / "summary.txt").read_text().startswith("FAILED   slow: stopped after 10 s (1 failed")
    assert "wrong" in (tmp_path / "tests.txt").read_text()


@pytest.mark.parametrize("arguments", [["--devise", "sim"], ["--device", "tpu"]])
def test_wrong_calls_end_with_2(tmp_path: Path, arguments: list[str]) -> None:
    done = call(tmp_path, *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("gpu.sh: ")


def test_without_a_gpu_it_stops_at_once_and_says_why(tmp_path: Path) -> None:
    from gradlib import backend

    if backend.available("cuda")[0]:
        pytest.skip("there is a GPU")
    done = call(tmp_path)
    assert done.returncode == 1
    assert "nothing to do without the device" in done.stdout
    assert "device cuda cannot be used" in (tmp_path / "environment.txt").read_text()
