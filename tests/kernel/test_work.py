"""What GRADLIB_DEBUG=2 says a launch computes and moves, and the lines it prints."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib.backend import Limits
from gradlib.errors import KernelError
from gradlib.kernel import Kernel, kernel_files, load, log, set_debug_level
from gradlib.kernel.signature import entries, parse
from gradlib.kernel.source import from_text
from gradlib.kernel.work import Work, floor, measured, said, work

from ..ops.product.conftest import limits

H200 = Limits(name="H200", clock=1.98e9, bandwidth=4.8e12)
__all__ = ["limits"]

LINE = re.compile(
    r"^ *(?P<time>[\d.]+ us|sim) +(?P<bytes>[\d.]+ (?:GB/s|MB)) +(?P<flops>[\d.]+ (?:TFLOP/s|GFLOP)|-) +"
    r"(?P<floor>\d+ % of floor|-)  (?P<what>\w+: \S+:\w+ grid=.*)$"
)


def source(*lines: str) -> Any:
    head = "".join(f"// {line}\n" for line in lines)
    text = '#ifndef T\n#define T float\n#endif\n#define WIDE 3\nextern "C" __global__ void f(T* x, int n) {}\n'
    return from_text("worked.cu", head + text)


def test_bytes_are_those_passed_unless_the_file_says_otherwise() -> None:
    assert work(source(), "f", {}, {"n": 5}, 40) == Work(0, 40, 0, False)
    counted = work(source("flops: 2 * n * WIDE", "bytes: size(T) * n", "tensor: 6"), "f", {}, {"n": 5}, 40)
    assert counted == Work(30, 20, 6, False)
    double = work(source("bytes: size(T) * max(n, 2) / 2 - 1"), "f", {"T": "double"}, {"n": 5}, 40)
    assert double == Work(0, 19, 0, True)


def test_a_line_of_an_entry_comes_before_that_of_the_file() -> None:
    text = source("flops f: n", "flops: 2 * n", "flops g: 3 * n")
    assert said(text, "f") == {"flops": "n"}
    assert said(text, "h") == {"flops": "2 * n"}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("flops: 2 * nothing", "nothing"),
        ("flops: n ** n", "is no number, name"),
        ("flops: __import__('os')", "is no number, name"),
        ("bytes: size(n)", "n"),
        ("flops: 2 *", "invalid syntax"),
    ],
)
def test_what_is_no_arithmetic_is_told(line: str, why: str) -> None:
    with pytest.raises(KernelError, match=r"worked\.cu: (flops|bytes) of f: .* cannot be worked out") as caught:
        work(source(line), "f", {}, {"n": 5}, 40)
    assert why in str(caught.value)


def test_every_line_of_the_package_can_be_worked_out() -> None:
    found = 0
    for path in kernel_files():
        text = load(path.name)
        for entry in entries(text.text):
            scalars = dict.fromkeys([p.name for p in parse(text.text, entry).parameters if not p.pointer], 8)
            done = work(text, entry, {}, scalars | {"grid_x": 8, "grid_y": 1, "grid_z": 8}, 0)
            found += done.flops > 0
    assert found >= 13


def test_floor_is_the_slower_of_computing_and_moving() -> None:
    peak = 4096 * 132 * 1.98e9
    assert floor(Work(1e12, 0, 1), H200) == pytest.approx(1e12 / peak)
    assert floor(Work(1e12, 0, 6), H200) == pytest.approx(6e12 / peak)
    assert floor(Work(1e12, 0), H200) == pytest.approx(16e12 / peak)
    assert floor(Work(1e12, 0, double=True), H200) == pytest.approx(32e12 / peak)
    assert floor(Work(1e6, 4.8e9, 1), H200) == pytest.approx(1e-3)
    assert floor(Work(1e6, 4.8e9, 1), Limits()) is None
    assert floor(Work(1e6, 1), Limits(architecture="sm_75", clock=1e9, bandwidth=1e12)) is None


def test_a_line_has_time_rates_and_share() -> None:
    line = measured(Work(2.0 * 8192 * 3072 * 768, 1.2e8, 1), 100e-6, H200)
    assert line == "     100.0 us     1200 GB/s     387 TFLOP/s    36 % of floor"
    assert measured(Work(0, 1e6), 2e-6, Limits()) == "       2.0 us      500 GB/s               -                -"
    assert measured(Work(2e6, 1e3), None, H200) == "          sim    0.00100 MB   0.00200 GFLOP                -"
    assert len({len(measured(w, s, H200)) for w in (Work(1e9, 1e6), Work(1e11, 1e9)) for s in (None, 1e-3, 1e-1)}) == 1


@pytest.fixture
def printed(capsys: Any) -> Any:
    """The lines printed at level 2."""
    before = log.debug_level()
    set_debug_level(2)
    yield lambda: capsys.readouterr().err.splitlines()
    set_debug_level(before)


def test_launches_on_sim_say_sim(sim: str, printed: Any) -> None:
    rng = np.random.default_rng(0)
    x, w = (gl.tensor(rng.standard_normal(s).astype(np.float32), device=sim) for s in ((5, 7), (7, 3)))
    gl.nn.functional.dense(x, w, activation="relu")
    (line,) = printed()
    found = LINE.match(line)
    assert found is not None, line
    assert found["time"] == "sim"
    assert float(found["bytes"].split()[0]) == pytest.approx(4 * (35 + 21 + 15) / 1e6, rel=5e-3)
    assert float(found["flops"].split()[0]) == pytest.approx(2 * 5 * 7 * 3 / 1e9, abs=1e-6)
    assert found["what"].startswith("sim: dense.cu:dense_forward grid=")


@pytest.mark.parametrize("shape", [(16, 24, 8), (15, 23, 7)])  # with bulk copies, and of rows that those cannot take
def test_products_on_tensor_cores_are_counted(sim: str, printed: Any, shape: tuple[int, int, int]) -> None:
    m, k, n = shape
    x, w = (gl.zeros(s, dtype="bfloat16", device=sim) for s in ((m, k), (k, n)))
    printed()
    gl.nn.functional.dense(x, w)
    found = LINE.match(printed()[-1])
    assert found is not None
    assert "product_" in found["what"]
    assert float(found["bytes"].split()[0]) == pytest.approx(2 * (m * k + k * n + m * n) / 1e6, rel=5e-3)
    assert float(found["flops"].split()[0]) == pytest.approx(2 * m * k * n / 1e9, abs=1e-6)


def thin(sim: str) -> tuple[Any, Any]:
    """Of few rows: what is read is the bytes."""
    m, k, n = 4, 256, 512
    gl.zeros((m, k), dtype="float32", device=sim) @ gl.zeros((k, n), dtype="float32", device=sim)
    return 4 * (m * k + k * n + m * n), 2 * m * k * n


def double(sim: str) -> tuple[Any, Any]:
    m, k, n = 130, 96, 130
    gl.zeros((m, k), dtype="float64", device=sim) @ gl.zeros((k, n), dtype="float64", device=sim)
    return 8 * (m * k + k * n + m * n), 2 * m * k * n


def scaled(sim: str) -> tuple[Any, Any]:
    m, k, n = 33, 48, 24
    a, b = (gl.zeros(s, device=sim).to("float8_e4m3fn") for s in ((m, k), (n, k)))
    gl.nn.functional.scaled_mm(a, b.T, *[gl.ones((1,), device=sim)] * 2)
    return m * k + k * n + 2 * m * n + 8, 2 * m * k * n


def grouped(sim: str) -> tuple[Any, Any]:
    rows, k, n = 90, 72, 40
    x, w = (gl.zeros(s, dtype="bfloat16", device=sim) for s in ((rows, k), (3, k, n)))
    gl.nn.functional.grouped_dense(x, w, gl.tensor([40, 10, 40], device=sim))
    return 2 * (rows * k + 3 * k * n + rows * n), 2 * rows * k * n


@pytest.mark.parametrize(
    ("launch", "file", "architecture"),
    [
        (thin, "product_thin.cu", "sm_90a"),
        (double, "product_double.cu", "sm_90a"),
        (scaled, "scaled_sm90.cu", "sm_90a"),
        (grouped, "grouped_sm90.cu", "sm_90a"),
        (grouped, "grouped_mma.cu", "sm_80"),
    ],
)
def test_other_products_are_counted(
    sim: str, printed: Any, limits: Any, launch: Any, file: str, architecture: str
) -> None:
    limits(sim, architecture=architecture, multiprocessors=1 if launch is double else 4)
    moved, flops = launch(sim)
    [found] = [m for m in map(LINE.match, printed()) if m and file in m["what"]]
    assert float(found["flops"].split()[0]) == pytest.approx(flops / 1e9, rel=5e-3, abs=1e-6)
    assert float(found["bytes"].split()[0]) == pytest.approx(moved / 1e6, rel=6e-3)


@pytest.mark.parametrize("channels", [8, 5])
def test_convolutions_on_tensor_cores_are_counted(
    sim: str, printed: Any, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gradlib.ops.conv_tensor._goes", lambda *_: True)  # small as it is
    x = gl.zeros((2, 6, 6, channels), dtype="bfloat16", device=sim)
    w = gl.zeros((3, 3, channels, 16), dtype="bfloat16", device=sim)
    printed()
    gl.nn.functional.conv2d(x, w, None, padding=1)
    found = LINE.match(printed()[-1])
    assert found is not None
    assert "conv_" in found["what"]
    assert float(found["flops"].split()[0]) == pytest.approx(2 * 72 * 16 * 9 * channels / 1e9, abs=1e-6)
    assert float(found["bytes"].split()[0]) == pytest.approx(
        2 * (72 * channels + 144 * channels + 72 * 16) / 1e6, rel=0.02
    )


def test_a_comment_that_is_no_arithmetic_does_not_stop_the_launch(fake: Any, printed: Any) -> None:
    text = '// flops: about three\nextern "C" __global__ void f(float* x) {}'
    Kernel.from_source("chatty.cu", text, "f", "x")(1, 1, fake.array(10))
    said, line = printed()
    assert said.startswith("chatty.cu: flops of f: 'about three' cannot be worked out")
    assert line.endswith("fake: chatty.cu:f grid=(1, 1, 1) block=(1, 1, 1) shared=0")
    assert len(fake.calls) == 1


def test_arrays_passed_twice_are_counted_once(fake: Any, printed: Any) -> None:
    kernel = Kernel.from_source(
        "twice.cu", 'extern "C" __global__ void f(float* x, float* y, float* z) {}', "f", "x y z"
    )
    x = fake.array(1000)
    kernel(1, 1, x, x, None)
    (line,) = [line for line in printed() if "twice.cu" in line]
    assert LINE.match(line) is not None
    assert line.startswith("      10.0 us    0.400 GB/s ")
