"""Every library does the same thing: the baselines by hand, PyTorch and gradlib agree on every small case."""

from __future__ import annotations

import numpy as np
import pytest

from gradlib.bench import by_hand
from gradlib.bench.libraries import Gradlib, Jax, Numpy, Torch
from gradlib.bench.suites import SUITES

CASES = [case for suite in SUITES for case in SUITES[suite]("tiny", "float32")]
NAMES = [f"{case.suite} {case.name}" for case in CASES]
DERIVED = [case for case in CASES if "backward" in case.work]


def ours(case, values, torch):
    """Return results as NumPy arrays in gradlib's layouts."""
    library = Torch("cpu") if torch else None
    found = []
    for i, value in enumerate(values):
        value = library.host(value) if torch else value.numpy() if hasattr(value, "numpy") else np.asarray(value)
        if torch and value.ndim == 4:
            value = value.transpose((2, 3, 1, 0) if i == 1 else (0, 2, 3, 1))
        if torch and case.suite == "dense" and i == 1:
            value = value.T
        found.append(value)
    return found


def agree(case, found, expected):
    assert len(found) == len(expected) > 0
    for f, e in zip(found, expected, strict=True):
        assert f.shape == e.shape
        np.testing.assert_allclose(f, e, rtol=2e-4, atol=2e-5, err_msg=case.name)


def results(case, library, who):
    passes = case.entries[who](library, case.inputs())
    torch = who.startswith("torch")
    gradients = passes["backward"]()
    passes["backward"]()  # the graph is kept
    return ours(case, [passes["forward"]()], torch), ours(case, gradients, torch)


@pytest.mark.parametrize("case", DERIVED, ids=[f"{c.suite} {c.name}" for c in DERIVED])
def test_gradlib_agrees_with_numpy_by_hand(case):
    for found, expected in zip(
        results(case, Gradlib("cpu"), "gradlib"), results(case, Numpy("cpu"), "numpy"), strict=True
    ):
        agree(case, found, expected)


@pytest.mark.parametrize("case", DERIVED, ids=[f"{c.suite} {c.name}" for c in DERIVED])
def test_torch_agrees_with_numpy_by_hand(case):
    pytest.importorskip("torch")
    expected = results(case, Numpy("cpu"), "numpy")
    for who in case.entries:
        if who.startswith("torch"):
            for found, wanted in zip(results(case, Torch("cpu"), who), expected, strict=True):
                agree(case, found, wanted)


@pytest.mark.parametrize("case", DERIVED, ids=[f"{c.suite} {c.name}" for c in DERIVED])
def test_jax_agrees_with_numpy_by_hand(case):
    pytest.importorskip("jax")
    expected = results(case, Numpy("cpu"), "numpy")
    library = Jax("cpu")
    passes = case.entries["jax"](library, case.inputs())
    agree(case, [library.host(passes["forward"]())], expected[0])
    agree(case, [library.host(gradient) for gradient in passes["backward"]()], expected[1])


def losses(case, library, who, count=3):
    step = case.entries[who](library, case.inputs())["step"]
    return [float(np.asarray(library.host(step()))) for _ in range(count)]


@pytest.mark.parametrize("case", SUITES["step"]("tiny", "float32"), ids=lambda case: case.name)
def test_training_steps_agree(case):
    expected = losses(case, Numpy("cpu"), "numpy")
    assert expected[0] > expected[2]  # it learns
    assert losses(case, Gradlib("cpu"), "gradlib") == pytest.approx(expected, rel=1e-4)
    pytest.importorskip("torch")
    assert losses(case, Torch("cpu"), "torch") == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("case", SUITES["step"]("tiny", "float32"), ids=lambda case: case.name)
def test_training_steps_of_jax_agree(case):
    pytest.importorskip("jax")
    library = Jax("cpu")
    step = case.entries["jax"](library, case.inputs())["step"]
    expected = losses(case, Numpy("cpu"), "numpy")
    assert [float(step()[0]) for _ in range(3)] == pytest.approx(expected, rel=1e-4)


def test_tape_chain_agrees():
    (case,) = SUITES["tape"]("tiny", "float32")
    own = case.entries["gradlib"](Gradlib("cpu"), case.inputs())["forward + backward"]()
    baseline = case.entries["numpy"](Numpy("cpu"), case.inputs())["forward + backward"]()
    for found, expected in zip(own, baseline, strict=True):
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4)


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_no_library_writes_into_the_inputs(case):
    arrays = case.inputs()
    before = {name: value.copy() for name, value in arrays.items()}
    for who, library in (("gradlib", Gradlib("cpu")), ("numpy", Numpy("cpu"))):
        for run in case.entries[who](library, arrays).values():
            run()
    for name, value in arrays.items():
        assert (value == before[name]).all(), name


def test_erf_of_the_baseline_is_accurate_enough_for_float32():
    from math import erf

    x = np.linspace(-4, 4, 101)
    np.testing.assert_allclose(by_hand.erf(x), [erf(v) for v in x], atol=2e-7)
