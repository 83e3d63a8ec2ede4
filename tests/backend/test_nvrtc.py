from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from gradlib.backend import Unit, nvrtc
from gradlib.errors import KernelError
from gradlib.kernel import architectures, cache, compile_many, kernel_files, load, variants

needs_nvrtc = pytest.mark.skipif(not nvrtc.available()[0], reason=nvrtc.available()[1])
ARCHITECTURES = ("sm_80", "sm_90a", "sm_100")
SPILLS: dict[
    tuple[str, str], int
] = {}  # (file, entry): bytes of spill stores that are accepted; the reason behind each

HALVES = r"""
#include <cuda_fp16.h>
#include <cuda_bf16.h>
extern "C" __global__ void convert(const T* x, __nv_bfloat16* y) {
  __shared__ float tile[64];
  tile[threadIdx.x] = __half2float(x[threadIdx.x]);
  __syncthreads();
  y[threadIdx.x] = __float2bfloat16_rn(tile[63 - threadIdx.x]);
}
extern "C" __global__ void other(int* x) { x[0] = 1; }
"""


def _unit(text: str, **macros: str) -> Unit:
    return Unit("test.cu", text, tuple(macros.items()), (), ("convert", "other"))


@needs_nvrtc
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_build_makes_a_cubin_and_reports_resources(arch: str, tmp_path: Path) -> None:
    log = nvrtc.Compiler(arch).build(_unit(HALVES, T="__half"), tmp_path / "a.cubin")
    assert (tmp_path / "a.cubin").read_bytes()[:4] == b"\x7fELF"
    usage = {one.entry: one for one in nvrtc.resources(log)}
    assert usage.keys() == {"convert", "other"}
    assert (usage["convert"].shared, usage["other"].shared) == (256, 0)
    assert 0 < usage["other"].registers < usage["convert"].registers < 64
    assert usage["convert"].spill_stores == usage["convert"].spill_loads == usage["convert"].stack == 0


@needs_nvrtc
def test_a_failure_names_file_entries_macros_line_and_target(tmp_path: Path) -> None:
    with pytest.raises(KernelError) as caught:
        nvrtc.Compiler("sm_80").build(_unit("\n\nint x = missing;", T="float", BM="8"), tmp_path / "a.cubin")
    text = str(caught.value)
    assert "test.cu: NVRTC" in text
    assert "cannot compile it for sm_80" in text
    assert "entries: convert, other" in text
    assert "macros:  T=float BM=8" in text
    assert 'test.cu(3): error: identifier "missing" is undefined' in text
    assert not (tmp_path / "a.cubin").exists()


@needs_nvrtc
def test_ptx_that_the_target_lacks_is_an_error(tmp_path: Path) -> None:
    text = 'extern "C" __global__ void f(int* x) { asm volatile("wgmma.fence.sync.aligned;"); }'
    nvrtc.Compiler("sm_90a").build(_unit(text), tmp_path / "a.cubin")
    with pytest.raises(KernelError, match=r"wgmma\.fence"):
        nvrtc.Compiler("sm_90").build(_unit(text), tmp_path / "b.cubin")


@needs_nvrtc
def test_an_unknown_architecture_is_an_error(tmp_path: Path) -> None:
    for arch in ("sm_12", "volta"):
        with pytest.raises(KernelError, match=rf"does not know {arch}\n  need one of .*sm_90"):
            nvrtc.Compiler(arch).build(_unit(HALVES, T="__half"), tmp_path / "a.cubin")


@needs_nvrtc
def test_spills_are_read(tmp_path: Path) -> None:
    text = """extern "C" __global__ void __launch_bounds__(1024, 2) spills(const float* x, float* y, int n) {
      float v[64];
      #pragma unroll
      for (int i = 0; i < 64; ++i) v[i] = x[i * n];
      __syncthreads();
      #pragma unroll
      for (int i = 0; i < 64; ++i) y[i * n] = v[i] * v[63 - i];
    }"""
    [usage] = nvrtc.resources(nvrtc.Compiler("sm_80").build(_unit(text), tmp_path / "a.cubin"))
    assert usage.registers == 32
    assert usage.spill_stores > 0
    assert usage.spill_loads > 0
    assert usage.stack > 0


def test_resources_of_a_report_that_is_not_understood() -> None:
    assert nvrtc.resources("") == ()
    with pytest.raises(KernelError, match="not understood"):
        nvrtc.resources("ptxas info : Compiling entry function 'f' for 'sm_80'\nnews")


@needs_nvrtc
def test_the_toolchain_names_what_decides_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRADLIB_LINEINFO", raising=False)
    plain = nvrtc.Compiler("sm_80").toolchain()
    assert plain.startswith("nvrtc {}.{} headers ".format(*nvrtc.version()))
    assert "unknown" not in plain
    assert nvrtc.Compiler("sm_90a").toolchain() != plain
    monkeypatch.setenv("GRADLIB_LINEINFO", "1")
    assert nvrtc.Compiler("sm_80").toolchain() == f"{plain} -lineinfo"


@pytest.mark.parametrize(
    ("capability", "arch"),
    [((7, 5), "sm_75"), ((8, 0), "sm_80"), ((8, 9), "sm_89"), ((9, 0), "sm_90a"), ((10, 3), "sm_103a")],
)
def test_architecture(capability: tuple[int, int], arch: str) -> None:
    assert nvrtc.architecture(*capability) == arch


def test_a_machine_without_nvrtc_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings.nvrtc", None)
    nvrtc._nvrtc.cache_clear()
    try:
        ok, reason = nvrtc.available()
    finally:
        nvrtc._nvrtc.cache_clear()
    assert not ok
    assert "NVRTC cannot be used" in reason
    assert "pip install 'gradlib[cuda13]'" in reason


@needs_nvrtc
def test_a_machine_without_headers_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvrtc, "headers", lambda: None)
    ok, reason = nvrtc.available()
    assert not ok
    assert "cuda_fp16.h is not" in reason
    with pytest.raises(KernelError, match=r"cuda_fp16\.h is not"):
        nvrtc.Compiler("sm_80").toolchain()


def is_for(source: Any, arch: str) -> bool:
    return arch in (architectures(source) or {arch})


def compile_for(arch: str, *, first: bool) -> None:
    """Compile every variant, or the first one, of each kernel that is for `arch`; a spill or a warning is a fault."""
    sources = [source for source in map(load, kernel_files()) if is_for(source, arch)]
    items = [(source, macros) for source in sources for macros in list(variants(source))[: 1 if first else None]]
    assert {source.name for source, _ in items} == {source.name for source in sources}
    results = compile_many(items, nvrtc.Compiler(arch), processes=2, check=False)
    faults: list[str] = []
    for (source, macros), result in zip(items, results, strict=True):
        if isinstance(result, KernelError):
            faults.append(str(result))
            continue
        log = cache.log_of(result)
        where = f"{source.name} {macros} for {arch}"
        faults += [f"{where}: {line}" for line in log.splitlines() if "warning" in line.lower()]
        usage = nvrtc.resources(log)
        assert {one.entry for one in usage} == set(source.entries), where
        for one in usage:
            if one.spill_stores > SPILLS.get((source.name, one.entry), 0):
                faults.append(f"{where}: {one.entry} spills {one.spill_stores} bytes ({one.registers} registers)")
            if one.shared > 48 * 1024:
                faults.append(f"{where}: {one.entry} has {one.shared} bytes of static shared memory")
    assert not faults, "\n".join(faults)


@needs_nvrtc
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_kernel_compiles_without_spills_or_warnings(arch: str) -> None:
    compile_for(arch, first=True)


@needs_nvrtc
@pytest.mark.exhaustive
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_variant_of_every_kernel_compiles_without_spills_or_warnings(arch: str) -> None:
    """Every combination that a file's ``// variants:`` lines declare, for each architecture."""
    compile_for(arch, first=False)
