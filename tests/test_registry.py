"""Every declared op, on its own samples, on every device that is here."""

from __future__ import annotations

from pathlib import Path

import pytest

import gradlib as gl
from gradlib import backend as backends
from gradlib.core import PRIMITIVES, UPDATES
from gradlib.testing import check_op, check_update

PRIMITIVE_NAMES = sorted(name for name, p in PRIMITIVES.items() if p.module.startswith("gradlib."))
UPDATE_NAMES = sorted(UPDATES)

# Calls that a launcher hands back to the definition, as `Report.declined` words them.  Nothing else may decline.
DECLINED = [
    line for line in (Path(__file__).parent / "declined.txt").read_text().splitlines() if line and line[0] != "#"
]

# Ops of core that only rename or move, and have their own tests.
WITHOUT_SAMPLES = {"alias", "to_device"}


def device_params() -> list[object]:
    params = []
    for name in ("sim", "cuda"):
        there, reason = backends.available(name)
        marks = [pytest.mark.gpu] if name == "cuda" else []
        if not there:
            marks.append(pytest.mark.skip(reason=reason.splitlines()[0]))
        params.append(pytest.param(name, marks=marks))
    return params


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
    assert sorted(report.declined) == sorted(d for d in DECLINED if d.startswith(f"{name}("))


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
