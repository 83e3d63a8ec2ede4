"""The command: what it refuses, what it writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import gradlib as gl
from gradlib import backend
from gradlib.bench import command, engine, main, results
from gradlib.bench.machine import slug
from gradlib.bench.suites import SUITES

ROOT = Path(__file__).resolve().parents[2]
LIMITS = {"copy_bytes": 1e10, "float32_flops": 1e11, "by": "nobody"}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """The roofline of a test machine is not worth a second."""
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setattr(command, "roofline", lambda *_: dict(LIMITS))


def run(tmp_path, *more):
    code = main(["--size", "tiny", "--device", "cpu", "--seconds", "1e-6", "--out", str(tmp_path), *more])
    (path,) = tmp_path.glob("*/*.json")
    return code, path


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["dens"], "unknown suite 'dens'\n  need one of dense, conv"),
        (["--device", "gpu"], "unknown device 'gpu'\n  need one of cpu, sim, cuda"),
        (["--dtype", "int32", "--device", "cpu"], "unknown dtype 'int32'"),
        (["--seconds", "0"], "--seconds 0: need more than 0"),
        (["dense", "--device", "cpu", "--case", "nosuch"], "no case matches --case 'nosuch'"),
        (["--clock", "processor", "--device", "cpu"], "need OPENBLAS_NUM_THREADS=1"),
        (["--table", "nosuch.json"], "nosuch.json: not a result file"),
    ],
)
def test_wrong_calls_are_told_apart_and_end_with_2(capsys, arguments, text):
    assert main(arguments) == 2
    assert text in capsys.readouterr().err


def test_a_device_that_is_not_there_says_why(capsys, monkeypatch):
    monkeypatch.setattr(backend, "available", lambda name: (False, "there is no NVIDIA GPU"))
    assert main(["--device", "cuda"]) == 2
    assert "device 'cuda' cannot be used here\n  there is no NVIDIA GPU" in capsys.readouterr().err


def test_every_suite_runs_and_is_recorded(tmp_path, capsys):
    code, path = run(tmp_path, "--no-peers")
    document = results.load(path)
    failures = [r for r in document["records"] if "error" in r]
    assert (code, failures) == (0, [])
    assert {r["suite"] for r in document["records"]} == set(SUITES) - {"sim"}  # which is for that device alone
    assert {r["who"] for r in document["records"]} == {"gradlib"}
    for r in document["records"]:
        assert r["seconds"] > 0
        assert r["samples"] >= 3
    dense = next(r for r in document["records"] if r["suite"] == "dense")
    assert dense["floor"] == max(dense["flops"] / 1e11, dense["bytes"] / 1e10)
    assert document["runs"][0]["rooflines"]["cpu"] == LIMITS
    assert {"commit", "dirty", "date", "machine"} <= set(document)
    printed = capsys.readouterr().out
    assert "**dense** on cpu, float32" in printed
    assert str(path) in printed


def test_peers_take_part_where_installed(tmp_path):
    _, path = run(tmp_path, "conv", "--case", "2x6x6 3->4")
    document = results.load(path)
    found = {r["who"] for r in document["records"]}
    assert {"gradlib", "numpy"} <= found
    for name in ("torch", "jax"):
        assert (name in found) != (name in document["runs"][0]["absent"]["cpu"])
    assert not any(who.endswith("tf32") for who in found)  # a GPU's


def test_a_second_run_adds_to_the_file_of_the_same_commit(tmp_path):
    run(tmp_path, "dense", "--no-peers", "--pass", "forward")
    _, path = run(tmp_path, "dense", "--no-peers", "--pass", "backward")
    document = results.load(path)
    assert len(document["runs"]) == 2
    assert sorted({(r["pass"], r["run"]) for r in document["records"]}) == [("backward", 1), ("forward", 0)]


def test_table_worst_and_once(tmp_path, capsys):
    _, path = run(tmp_path, "dense", "--no-peers")
    capsys.readouterr()
    assert main(["--table", str(path)]) == 0
    assert "| 5x7x3 relu" in capsys.readouterr().out
    assert main(["--worst", str(path), "--count", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    suite, device, dtype, which, case = lines[0].split("\t")
    assert (suite, device, dtype) == ("dense", "cpu", "float32")
    assert main([suite, "--device", device, "--size", "tiny", "--case", case, "--pass", which, "--once"]) == 0
    assert capsys.readouterr().out == f"cpu dense {case} float32 {which}: ran\n"


def test_repeated_runs_are_held_to_the_bits_of_the_first(monkeypatch, capsys):
    call = ["dense", "--device", "cpu", "--size", "tiny", "--case", "5x7x3", "--repeat", "3"]
    assert main(call) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"cpu dense 5x7x3 relu float32 {p}: the same bits 3 times" for p in ("forward", "backward")]
    dense, calls = gl.nn.functional.dense, []

    def other(*args, **kwargs):
        calls.append(1)
        y = dense(*args, **kwargs)
        return gl.where(gl.arange(3) == 1, -y, y) if len(calls) == 3 else y

    monkeypatch.setattr("gradlib.nn.functional.dense", other)
    assert main([*call, "--pass", "forward"]) == 1
    assert "forward: failed: run 3 differs from the first in" in capsys.readouterr().out
    assert main([*call[:-1], "-1"]) == 2


def test_gradlibs_failure_is_recorded_and_makes_the_exit_code_1(tmp_path, monkeypatch, capsys):
    def broken(*args, **kwargs):
        raise ValueError("nothing works")

    monkeypatch.setattr("gradlib.nn.functional.dense", broken)
    code, path = run(tmp_path, "dense", "--case", "5x7x3")
    assert code == 1
    by = {(r["who"], r["pass"]): r for r in results.load(path)["records"]}
    assert by["gradlib", "forward"]["error"] == "ValueError: nothing works"
    assert by["numpy", "forward"]["seconds"] > 0
    assert "nothing works" in capsys.readouterr().out
    assert main(["dense", "--device", "cpu", "--size", "tiny", "--once"]) == 1
    assert capsys.readouterr().out.count("failed: ValueError: nothing works") == 4


def test_an_interrupted_run_keeps_what_it_had(tmp_path, monkeypatch):
    real, count = engine.run_case, []

    def interrupted(*args):
        count.append(1)
        if len(count) == 2:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(command, "run_case", interrupted)
    code, path = run(tmp_path, "dense", "--no-peers")
    assert code == 1
    assert {r["case"] for r in results.load(path)["records"]} == {"5x7x3 relu"}


def test_on_sim_the_kernels_are_launched(tmp_path, sim):
    code = main(["dense", "--device", sim, "--case", "5x7x3", "--seconds", "1e-6", "--out", str(tmp_path)])
    (path,) = tmp_path.glob("*/*.json")
    records = results.load(path)["records"]
    assert (code, [r.get("error") for r in records if "error" in r]) == (0, [])
    assert all(r["launches"] > 0 for r in records)


def test_the_front_runs_from_a_checkout(tmp_path):
    command = [sys.executable, str(ROOT / "bench" / "run.py"), "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "cross_entropy" in done.stdout


@pytest.mark.parametrize(
    ("dtype", "device", "who"),
    [
        ("float32", "cpu", ["gradlib", "numpy", "torch", "jax"]),
        ("float64", "cpu", ["gradlib", "numpy", "torch"]),  # JAX would compute in float32
        ("bfloat16", "cpu", ["gradlib", "torch", "jax"]),  # NumPy has no bfloat16
        ("float32", "cuda", ["gradlib", "torch", "jax", "torch tf32"]),
        ("bfloat16", "cuda", ["gradlib", "torch", "jax", "torch compile"]),
    ],
)
def test_who_takes_part(dtype, device, who):
    case = SUITES["dense"]("tiny", dtype)[0]
    there = ["gradlib", "torch", "jax"] + (["numpy"] if device == "cpu" else [])
    assert engine.competitors(case, dict.fromkeys(there), device) == who


def test_machine_slug():
    assert slug("NVIDIA H200") == "nvidia-h200"
    assert slug("Intel(R) Xeon(R) CPU @ 2.20GHz") == "intel-r-xeon-r-cpu-2-20ghz"
    assert slug("") == "unknown"


def test_results_are_json_all_the_way(tmp_path):
    _, path = run(tmp_path, "tape", "--no-peers")
    json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_limits_are_measured_alone(tmp_path, capsys):
    code, path = run(tmp_path, "--no-peers", "--limits")
    document = results.load(path)
    assert code == 0
    assert document["records"] == []
    assert document["runs"][0]["rooflines"]["cpu"] == LIMITS
    assert "Measured on cpu: copy 10.0 GB/s; float32 0.10 TFLOP/s" in capsys.readouterr().out
