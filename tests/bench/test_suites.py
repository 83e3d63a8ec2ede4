"""Every library does the same thing: the baselines by hand, PyTorch and gradlib agree on every small case."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from gradlib.bench import by_hand
from gradlib.bench.engine import competitors
from gradlib.bench.libraries import Gradlib, Jax, Numpy, Torch, libraries
from gradlib.bench.suites import SUITES

CASES = [case for suite in SUITES if suite not in ("sim", "launch") for case in SUITES[suite]("tiny", "float32")]
NAMES = [f"{case.suite} {case.name}" for case in CASES]
DERIVED = [case for case in CASES if "backward" in case.work]


def ours(case, value, i, torch):
    """Return a result as a NumPy array in gradlib's layouts; `i` counts the gradients."""
    if torch and value.ndim == 4 and case.suite != "attention":
        return value.transpose((2, 3, 1, 0) if i == 1 else (0, 2, 3, 1))
    return value.T if torch and i in {"dense": (1,), "lstm": (1, 2)}.get(case.suite, ()) else value


def agree(what, found, expected):
    assert len(found) == len(expected) > 0
    for f, e in zip(found, expected, strict=True):
        assert f.shape == e.shape
        np.testing.assert_allclose(f, e, rtol=2e-4, atol=2e-5, err_msg=what)


def results(case, library, who):
    passes = case.entries[who](library, case.inputs())
    torch = who.startswith("torch")
    gradients = passes["backward"]()
    passes["backward"]()  # the graph is kept
    y = ours(case, library.host(passes["forward"]()), 0, torch)
    return [y], [ours(case, library.host(gradient), i, torch) for i, gradient in enumerate(gradients)]


def peers(case):
    """Return everybody but NumPy who can run a case here; PyTorch and JAX where installed."""
    there = {"gradlib": Gradlib, "torch": Torch, "jax": Jax}
    found = {name: kind("cpu") for name, kind in there.items() if importlib.util.find_spec(name) or name == "gradlib"}
    return [(who, found[who.split()[0]]) for who in case.entries if who.split()[0] in found]


@pytest.mark.parametrize("case", DERIVED, ids=[f"{c.suite} {c.name}" for c in DERIVED])
def test_everybody_agrees_with_numpy_by_hand(case):
    expected = results(case, Numpy("cpu"), "numpy")
    for who, library in peers(case):
        for found, wanted in zip(results(case, library, who), expected, strict=True):
            agree(f"{case.name}, {who}", found, wanted)


@pytest.mark.parametrize("case", SUITES["step"]("tiny", "float32"), ids=lambda case: case.name)
def test_training_steps_agree(case):
    expected = losses(case, Numpy("cpu"), "numpy")
    assert expected[0] > expected[2]  # it learns
    for who, library in peers(case):
        assert losses(case, library, who) == pytest.approx(expected, rel=1e-4), who


def losses(case, library, who, count=3):
    """Return the loss of the first training steps."""
    step = case.entries[who](library, case.inputs())["step"]
    found = [step() for _ in range(count)]
    return [float(library.host(loss[0] if who == "jax" else loss)) for loss in found]


def test_tape_chain_agrees():
    (case,) = SUITES["tape"]("tiny", "float32")
    there = libraries("cpu")[0]
    assert set(case.entries) == {"gradlib", "numpy", "torch", "jax without jit", "autograd", "mygrad"}
    expected = case.entries["numpy"](there["numpy"], case.inputs())["forward + backward"]()
    for who in competitors(case, there, "cpu"):
        library = there[who.split()[0]]
        passes = case.entries[who](library, case.inputs())
        for _ in range(2):
            for found, wanted in zip(passes["forward + backward"](), expected, strict=True):
                np.testing.assert_allclose(library.host(found), wanted, rtol=1e-4, err_msg=who)


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


@pytest.mark.parametrize("case", SUITES["sim"]("tiny", "float32"), ids=lambda case: case.name)
def test_what_the_simulator_costs_can_be_measured(sim, case):
    passes = case.entries["gradlib"](Gradlib(sim), case.inputs())
    assert set(passes) == set(case.work)
    for run in passes.values():
        run()
