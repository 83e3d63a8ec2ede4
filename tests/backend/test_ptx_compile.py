"""Every wrapper of ptx.cuh compiles, with NVRTC where the architecture has the instruction, and on sim."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gradlib.backend import Unit, get, nvrtc
from gradlib.kernel import include_folder

FILE = Path(__file__).parent / "every_instruction.cu"
HEADERS = include_folder() / "gradlib"
ENTRIES = ("warp_level", "fp8_products", "hopper", "warpgroup")
needs_nvrtc = pytest.mark.skipif(not nvrtc.available()[0], reason=nvrtc.available()[1])


@needs_nvrtc
@pytest.mark.parametrize(("arch", "entries"), [("sm_80", 1), ("sm_89", 2), ("sm_90a", 4), ("sm_100", 3)])
def test_nvrtc(arch, entries, tmp_path):
    unit = Unit(FILE.name, FILE.read_text(), (), (HEADERS.parent,), ENTRIES)
    log = nvrtc.Compiler(arch).build(unit, tmp_path / "a.cubin")
    usage = nvrtc.resources(log)
    assert {one.entry for one in usage} == set(ENTRIES[:entries])
    assert all(one.spill_stores == one.stack == 0 for one in usage)


def test_sim(sim, sim_folder):
    macros = (("__CUDA_ARCH__", "900"), ("__CUDA_ARCH_FEAT_SM90_ALL", "1"))  # what guards the file's entries
    get(sim).build(Unit(FILE.name, FILE.read_text(), macros, (HEADERS.parent,), ENTRIES), sim_folder / "every.so")


def test_the_file_calls_every_wrapper():
    text = FILE.read_text()
    names = set()
    for header in (HEADERS / "ptx").glob("*.cuh"):
        for name in re.findall(r"GRADLIB_DEVICE [\w ]+?[ *]+(\w+)\(", header.read_text()):
            names.add(name)
    assert len(names) > 40
    inside_others = {"barrier_cluster_arrive", "mbarrier_try_wait", "mbarrier_try_wait_parity"}
    missing = {name for name in names if not re.search(rf"ptx::{name}\b", text)}
    assert missing == {"shared_address", "multiply"} | inside_others


def test_all_inline_ptx_is_in_these_headers():
    folder = HEADERS.parents[1]
    others = [path for path in folder.rglob("*.cu*") if path.parent != HEADERS / "ptx"]
    assert len(others) > 10
    assert [path.name for path in others if re.search(r"\basm\b", path.read_text())] == []
