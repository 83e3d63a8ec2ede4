"""Every declared op, on its own samples, on every device that is here."""

from __future__ import annotations

from pathlib import Path

import pytest

import gradlib as gl
from gradlib import backend as backends
from gradlib.core import PRIMITIVES, UPDATES
from gradlib.testing import check_op, check_update

from .devices import device_params

PRIMITIVE_NAMES = sorted(name for name, p in PRIMITIVES.items() if p.module.startswith("gradlib."))
UPDATE_NAMES = sorted(UPDATES)

# Calls that a launcher hands back to the definition, as `Report.declined` words them.  Nothing else may decline.
DECLINED = [
    line for line in (Path(__file__).parent / "declined.txt").read_text().splitlines() if line and line[0] != "#"
]

# Run in the checked build of sim every time: one op of each family of kernels.  The products on tensor cores and the
# convolutions are so in their own tests (ops/product, ops/test_conv.py).
CHECKED = [
    "add",
    "attention",
    "batch_norm",
    "conv",
    "cross_entropy",
    "dense",
    "dropout",
    "grouped_matmul",
    "index_add",
    "layer_norm",
    "matmul",
    "max_pool",
    "softmax",
    "sum",
]

# Ops of core that only rename or move, and have their own tests.
WITHOUT_SAMPLES = {"alias", "to_device"}


def test_every_primitive_has_samples() -> None:
    missing = {name for name in PRIMITIVE_NAMES if PRIMITIVES[name].samples is None}
    assert missing == WITHOUT_SAMPLES


@pytest.mark.parametrize("name", [n for n in PRIMITIVE_NAMES if n not in WITHOUT_SAMPLES])
def test_on_cpu(name: str) -> None:
    check_op(PRIMITIVES[name], device="cpu")


@pytest.mark.parametrize("device", device_params())
@pytest.mark.parametrize("name", [n for n in PRIMITIVE_NAMES if "sim" in PRIMITIVES[n].launchers])
def test_kernels(name: str, device: str) -> None:
    report = check_op(PRIMITIVES[name], device=device)
    assert report.launched, f"{name} has a launcher, and no sample launched a kernel"
    planner = None if backends.checking.current() else PRIMITIVES[name].planner  # the checked build takes no plan
    assert planner is None or planner.plans, f"{name} is declared as planned, and no sample has a plan"
    own = (f"{name}(", f"{name}_backward(")
    assert sorted(report.declined) == sorted(d for d in DECLINED if d.startswith(own))


@pytest.mark.parametrize("name", CHECKED)
def test_kernels_are_free_of_faults(name: str, sim: str) -> None:
    """Bounds, races and thread orders of the kernels that share memory; `GRADLIB_SIM=checked` does it for all."""
    with backends.checked():
        assert check_op(PRIMITIVES[name], device=sim, dtypes=["float32"]).launched


def test_update_kernels_are_free_of_faults(sim: str) -> None:
    with backends.checked():
        check_update(UPDATES["adam"], device=sim)


@pytest.mark.parametrize("name", UPDATE_NAMES)
def test_updates_on_cpu(name: str) -> None:
    check_update(UPDATES[name], device="cpu")


@pytest.mark.parametrize("device", device_params())
@pytest.mark.parametrize("name", UPDATE_NAMES)
def test_update_kernels(name: str, device: str) -> None:
    check_update(UPDATES[name], device=device)


def test_public_names_are_documented() -> None:
    for name in PRIMITIVE_NAMES:
        assert PRIMITIVES[name].__doc__, f"{name} has no docstring"
    assert gl.__doc__
