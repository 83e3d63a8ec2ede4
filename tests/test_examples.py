"""Every example runs as it stands and prints what it promises."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[1] / "examples"


def output(name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "argv", [name])
    runpy.run_path(str(FOLDER / name), run_name="__main__")
    return capsys.readouterr().out


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> object:
    return lambda name: output(name, capsys, monkeypatch)


def test_every_example_is_tested() -> None:
    tested = set(re.findall(r'show\("(\w+\.py)"\)', Path(__file__).read_text()))
    assert tested == {path.name for path in FOLDER.glob("*.py")}


def test_linear_regression(show) -> None:  # type: ignore[no-untyped-def]
    out = show("linear_regression.py")
    numbers = [float(n) for n in re.findall(r"-?\d+\.\d*", out)]
    np.testing.assert_allclose(numbers[:4], [2.0, -1.0, 0.5, 3.0], atol=0.011)
    assert numbers[4] < 2e-4


def test_xor(show) -> None:  # type: ignore[no-untyped-def]
    rows = [[float(n) for n in re.findall(r"\d+(?:\.\d+)?", line)] for line in show("xor.py").splitlines()]
    assert len(rows) == 4
    for a, b, predicted in rows:
        assert abs(predicted - (a != b)) < 0.2


def test_mlp_digits(show) -> None:  # type: ignore[no-untyped-def]
    out = show("mlp_digits.py")
    assert "(1): Dense(64, 128, activation='relu')" in out
    assert float(re.findall(r"test accuracy (\S+) %", out)[0]) > 95


def test_cnn_digits(show) -> None:  # type: ignore[no-untyped-def]
    out = show("cnn_digits.py")
    assert "epoch 6/6" in out
    assert float(re.findall(r"test accuracy (\S+) %", out)[0]) > 96


def test_conv_on_bare_array(show) -> None:  # type: ignore[no-untyped-def]
    out = show("conv_on_bare_array.py")
    assert "numpy.ndarray" in out
    rows = np.array([[int(n) for n in re.findall(r"-?\d+", line)] for line in out.splitlines()[1:]])
    image = np.zeros((10, 10), int)
    image[3:7, 3:7] = 1
    difference = image[:, 2:] - image[:, :-2]
    np.testing.assert_array_equal(rows, difference[:-2] + 2 * difference[1:-1] + difference[2:])


def test_bare_arrays(show) -> None:  # type: ignore[no-untyped-def]
    out = show("bare_arrays.py").splitlines()
    assert abs(float(re.findall(r"steepest (\S+) from", out[0])[0]) - 16) < 1
    assert float(re.findall(r"(\S+) %", out[1])[0]) > 97
    assert out[1].endswith("numpy's")


def test_the_filters_of_bare_arrays_are_those_of_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    monkeypatch.setattr(sys, "argv", ["bare_arrays.py"])
    names = runpy.run_path(str(FOLDER / "bare_arrays.py"))
    image = np.random.default_rng(0).standard_normal((40, 31))
    np.testing.assert_allclose(names["blurred"](image, 1.5), ndimage.gaussian_filter(image, 1.5), atol=1e-14)
    sobel = np.hypot(*(ndimage.sobel(image, axis, mode="nearest") for axis in (0, 1)))
    np.testing.assert_allclose(names["edges"](image), sobel, atol=1e-13)


def test_check_reduction(show, sim) -> None:  # type: ignore[no-untyped-def]
    out = show("check_reduction.py").splitlines()
    assert out[0] == "without the barrier: a race on dynamic shared memory in line 5"
    ours, exact = (float(n) for n in re.findall(r"-?\d+\.\d+", out[1]))
    assert abs(ours - exact) < 1e-3


def test_check_stencil(show, sim) -> None:  # type: ignore[no-untyped-def]
    out = show("check_stencil.py").splitlines()
    assert float(out[0].rpartition(" ")[2]) < 1e-5
    assert out[1].startswith("without a halo: out-of-bounds on tile in line 20")


def test_check_histogram(show, sim) -> None:  # type: ignore[no-untyped-def]
    assert show("check_histogram.py").splitlines() == [
        "as NumPy counts: True",
        "without atomics: a race on local in line 7",
    ]
