"""A test of the tests: every planted fault is reported, with its kind and line, and its corrected twin is clean."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from gradlib.errors import KernelFault
from gradlib.kernel import load
from gradlib.testing import samples

from ..devices import needs_gpu

FAULTS = sorted((Path(__file__).parents[1] / "faults").glob("*.cu"))
KINDS = {
    "out-of-bounds", "misaligned", "uninitialised", "race", "barrier", "warp-mask", "deadlock", "async", "arithmetic",
    "order",
}  # fmt: skip


def kind_of(path: Path) -> str:
    found = re.search(r"^// fault: (\S+)$", path.read_text(), re.M)
    assert found, path
    return found[1]


def test_there_are_faults_of_every_kind() -> None:
    kinds = [kind_of(path) for path in FAULTS]
    assert len(kinds) >= 25
    assert set(kinds) == KINDS
    assert all(kinds.count(kind) >= 2 for kind in KINDS)


@pytest.mark.parametrize("path", FAULTS, ids=lambda path: path.stem)
def test_a_planted_fault_is_found_and_its_twin_is_clean(sim: str, path: Path) -> None:
    text = path.read_text()
    marked = [number for number, line in enumerate(text.splitlines(), 1) if "// <-" in line]
    source = load(path)
    declared = samples(source)
    assert marked
    assert declared
    for sample in declared:
        with pytest.raises(KernelFault) as error:
            sample.run(source, FAULT=1)
        fault = error.value
        assert fault.kind == kind_of(path), str(fault)
        assert fault.line in marked, f"{fault}\n(line {fault.line}, not {marked})"
        sample.run(source)


@needs_gpu
@pytest.mark.parametrize("path", FAULTS, ids=lambda path: path.stem)
def test_a_twin_does_the_same_on_a_gpu(sim: str, path: Path) -> None:
    source = load(path)
    for sample in samples(source):
        for ours, theirs in zip(sample.run(source), sample.run(source, device="cuda"), strict=True):
            np.testing.assert_allclose(np.float64(theirs), np.float64(ours), rtol=1e-6, atol=1e-6, equal_nan=True)
