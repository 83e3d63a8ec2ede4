"""There is no optimizer and no schedule that nothing holds to PyTorch's values or to its paper."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib import optim
from gradlib.nn import Parameter

TESTS = Path(__file__).parent.parent
REFERENCE = TESTS / "reference"

# Without a stored value of PyTorch's: why, and the test that holds it.
WITHOUT = {
    "AveragedModel": ("no optimizer: PyTorch's values", "optim/test_more_optimizers.py::test_averages_are_pytorchs"),
    "ExponentialMovingAverage": ("PyTorch's values", "optim/test_more_optimizers.py::test_averages_are_pytorchs"),
    "GradientDescent": ("of the lecture notes", "optim/test_lbfgs.py::test_gradient_descent_stops"),
    "LAMB": ("the paper's formula", "optim/test_more_optimizers.py::test_twenty_steps_are_the_papers"),
    "Lion": ("the paper's formula", "optim/test_more_optimizers.py::test_twenty_steps_are_the_papers"),
    "Muon": ("the paper's in float64: PyTorch rounds to bfloat16",
             "optim/test_more_optimizers.py::test_twenty_steps_are_the_papers"),
    "TrustRegionGradientDescent": ("of the lecture notes", "optim/test_trust_region.py::test_steps_are_the_books"),
}  # fmt: skip
BASES = {"LRScheduler", "Optimizer", "ParameterGroup", "Schedule"}


def stored() -> set[str]:
    names: set[str] = {"LBFGS", "ReduceLROnPlateau"}  # lbfgs.npz, and "plateaus" of schedule.npz
    for file in ("optim.npz", "update.npz", "schedule.npz"):
        names |= {case[0] for case in json.loads(str(np.load(REFERENCE / file)["cases"]))}
    assert (REFERENCE / "lbfgs.npz").exists()
    assert "plateaus" in np.load(REFERENCE / "schedule.npz")
    return names


def test_there_is_none_without() -> None:
    public = {n for n in optim.__all__ if inspect.isclass(getattr(optim, n))} - BASES
    assert public - stored() == WITHOUT.keys()
    for _, where in WITHOUT.values():
        path, _, name = where.partition("::")
        assert re.search(rf"^def {name}\(", (TESTS / path).read_text(), re.MULTILINE), where


def test_all_of_pytorchs_are_here() -> None:
    torch = pytest.importorskip("torch")
    theirs = {n for n in dir(torch.optim) if inspect.isclass(getattr(torch.optim, n))}
    assert {n for n in theirs if not hasattr(optim, n)} == {"SparseAdam"}  # gradients are dense
    assert {n for n in torch.optim.swa_utils.__all__ if not hasattr(optim.swa_utils, n)} == set()
    assert set(torch.optim.lr_scheduler.__all__) <= set(optim.lr_scheduler.__all__)


OPTIMIZERS = [
    n for n in optim.__all__ if inspect.isclass(getattr(optim, n)) and issubclass(getattr(optim, n), optim.Optimizer)
]


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - {"LBFGS", "Muon", "Optimizer", "TrustRegionGradientDescent"}))
@pytest.mark.parametrize("device", ["cpu", "sim"])
def test_a_parameter_without_axes(name: str, device: str, request: pytest.FixtureRequest) -> None:
    """As a vector of one element, which Adafactor and the others treat alike."""
    if device == "sim":
        request.getfixturevalue("sim")
    found: list[Any] = []
    for value in (2.0, [2.0]):
        p = Parameter(gl.tensor(value, device=device))
        optimizer = getattr(optim, name)([p], lr=0.1)
        for _ in range(3):
            p.grad = gl.ones_like(p) * 0.5
            optimizer.step()
        found.append(float(p))
    assert found[0] == found[1] != 2.0


@pytest.mark.parametrize("name", [n for n in OPTIMIZERS if "ignored" in str(inspect.signature(getattr(optim, n)))])
def test_what_chooses_an_implementation_is_ignored_with_a_warning(name: str) -> None:
    p = Parameter(gl.tensor([1.0]))
    for key in ("foreach", "fused", "capturable", "differentiable"):
        with pytest.warns(UserWarning, match=rf"{name}\({key}\) is ignored"):
            getattr(optim, name)([p], **{key: True})
        getattr(optim, name)([p], **{key: None})
    with pytest.raises(TypeError, match="speed"):
        getattr(optim, name)([p], speed=2)
