"""The machine code of the tensor-core kernels: that what they are written for is what the compiler made of them."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
from pathlib import Path

import pytest

from gradlib.backend import nvrtc
from gradlib.errors import KernelError
from gradlib.kernel import architectures, compile_many, folder, load, variants


def disassembler() -> Path | None:
    try:
        files = importlib.metadata.files("nvidia-cuda-nvdisasm") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((Path(str(file.locate())) for file in files if file.name in ("nvdisasm", "nvdisasm.exe")), None)


pytestmark = [
    pytest.mark.skipif(not nvrtc.available()[0], reason=nvrtc.available()[1]),
    pytest.mark.skipif(disassembler() is None, reason="needs nvdisasm: pip install nvidia-cuda-nvdisasm"),
]

HOPPER = {"HGMMA", "UTMALDG", "USETMAXREG", "SYNCS"}  # SYNCS: mbarriers
PORTABLE = {"HMMA", "LDSM"}
# Local memory would be spills or arrays without registers; RED and ATOM would make sums depend on the order.
NEVER = {"LDL", "STL", "RED", "ATOM", "ATOMG", "LOCAL"}


def instructions(cubin: Path) -> set[str]:
    """Return the opcodes of a cubin, both whole and without what follows the first dot."""
    done = subprocess.run([str(disassembler()), "-c", str(cubin)], capture_output=True, text=True, check=True)
    found = set(re.findall(r"^\s*/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)", done.stdout, re.MULTILINE))
    assert len(found) > 10, done.stdout[:500]
    return found | {name.partition(".")[0] for name in found}


def expected(file: str, macros: dict[str, str]) -> set[str]:
    if file == "product_double.cu":
        return {"DMMA", "LDGSTS"}
    if "mma" in file:
        return PORTABLE | ({"LDGSTS"} if macros.get("ALIGNED", "1") == "1" else set())
    direct = macros.get("DIRECT", "0") == "1"
    wanted = HOPPER if direct else HOPPER | {"UTMASTG", "STSM"}
    if file == "scaled_sm90.cu":
        wanted = wanted - {"HGMMA"} | {"QGMMA"}
    if macros.get("CLUSTER") == "2":
        wanted = wanted | {"UCGABAR_ARV"}
    return wanted


FILES = [
    ("product_sm90.cu", "sm_90a"),
    ("grouped_sm90.cu", "sm_90a"),
    ("grouped_weights_sm90.cu", "sm_90a"),
    ("scaled_sm90.cu", "sm_90a"),
    ("conv_sm90.cu", "sm_90a"),
    ("conv_weights_sm90.cu", "sm_90a"),
    ("product_mma.cu", "sm_80"),
    ("grouped_mma.cu", "sm_80"),
    ("grouped_weights_mma.cu", "sm_80"),
    ("conv_mma.cu", "sm_80"),
    ("conv_weights_mma.cu", "sm_80"),
    ("product_mma.cu", "sm_100"),
    ("product_double.cu", "sm_80"),
]


@pytest.mark.parametrize(("file", "arch"), FILES)
def test_the_first_variant_uses_tensor_cores_and_copy_engine(file: str, arch: str) -> None:
    check(file, arch, 1)


@pytest.mark.exhaustive
@pytest.mark.parametrize(("file", "arch"), FILES)
def test_every_variant_uses_tensor_cores_and_copy_engine(file: str, arch: str) -> None:
    check(file, arch, None)


def check(file: str, arch: str, count: int | None) -> None:
    source = load(folder() / file)
    assert arch in (architectures(source) or {arch})
    all_macros = list(variants(source))[:count]
    faults = []
    for macros, cubin in zip(
        all_macros, compile_many([(source, m) for m in all_macros], nvrtc.Compiler(arch), processes=2), strict=True
    ):
        assert not isinstance(cubin, KernelError)
        found = instructions(cubin)
        missing, unwanted = expected(file, macros) - found, NEVER & found
        im2col = any("IM2COL" in name for name in found)
        multicast = any("MULTICAST" in name for name in found)
        if missing or unwanted or im2col != ("conv" in file and arch == "sm_90a"):
            faults.append(f"{macros}: without {missing}, with {unwanted}, im2col {im2col}")
        if multicast != (macros.get("CLUSTER") == "2" and arch == "sm_90a"):
            faults.append(f"{macros}: multicast {multicast}")
    assert not faults, "\n".join(faults)
