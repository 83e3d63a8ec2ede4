"""bench/gpu.sh, rehearsed on tiny shapes: the first minute on a GPU is not to be lost to a typo."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gradlib.bench import results

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
        "passed compute-sanitizer memcheck, kernel tests",
        "passed compute-sanitizer memcheck, bfloat16",
        "passed compute-sanitizer memcheck, float32",
        "passed compute-sanitizer racecheck, float32",
        "passed copy bandwidth and matrix peak",
        "passed bench dense and conv",
        "passed tuning",
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
    assert "say nothing of a GPU" in (tmp_path / "tune.txt").read_text()


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
