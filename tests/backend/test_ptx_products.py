"""Two whole matrix products over ptx.cuh: right on sim, and without spills on their architectures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from gradlib.backend import Unit, checked, get, nvrtc
from gradlib.errors import KernelError, KernelFault
from gradlib.kernel import Kernel, load

from ..devices import device_params

HERE = Path(__file__).parent
WGMMA = Kernel(HERE / "wgmma_product.cu", "wgmma_product", "unused | steps x w y")
MMA = Kernel(HERE / "mma_product.cu", "mma_product", "x w y | m k n")

needs_nvrtc = pytest.mark.skipif(not nvrtc.available()[0], reason=nvrtc.available()[1])


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def operands(m: int, k: int, n: int, dtype: Any, device: str = "sim") -> tuple[Any, Any, np.ndarray]:
    """Return x, w on the device, and their product in float64."""
    rng = np.random.default_rng(9)
    x, w = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
    return get(device).asarray(x), get(device).asarray(w), x.astype(np.float64) @ w.astype(np.float64)


def wgmma_product(
    m: int, k: int, n: int, kernel: Kernel = WGMMA, device: str = "sim", **macros: Any
) -> tuple[np.ndarray, np.ndarray]:
    there = get(device)
    x, w, expected = operands(m, k, n, ml_dtypes.bfloat16, device)
    y = there.zeros((m, n), ml_dtypes.bfloat16)
    stages = macros.get("STAGES", 4)
    maps = [there.tensor_map(x, (128, 64), 128), there.tensor_map(w, (64, 64), 128), there.tensor_map(y, (64, 128))]
    grid = ceil_div(n, 128), ceil_div(m, 128)
    kernel(grid, 384, there.zeros(1, np.int32), ceil_div(k, 64), *maps, shared=(stages + 1) * 32768, **macros)
    return there.to_host(y), expected


@pytest.mark.parametrize("device", device_params())
@pytest.mark.parametrize(("m", "k", "n"), [(128, 64, 128), (256, 640, 256), (200, 328, 136), (1, 8, 8)])
def test_wgmma_product(device, m, k, n):
    y, expected = wgmma_product(m, k, n, device=device)
    scale = np.sqrt(k)
    np.testing.assert_allclose(y.astype(np.float64), expected, rtol=2**-8, atol=1e-4 * scale)


def test_wgmma_product_is_the_same_with_any_number_of_stages(sim):
    two, three, five = (wgmma_product(128, 512, 128, STAGES=n)[0].view(np.uint16) for n in (2, 3, 5))
    np.testing.assert_array_equal(two, three)
    np.testing.assert_array_equal(two, five)


@pytest.mark.parametrize("device", device_params())
@pytest.mark.parametrize(("dtype", "m", "k", "n"), [
    (ml_dtypes.bfloat16, 128, 32, 128), (ml_dtypes.bfloat16, 256, 200, 136), (np.float16, 77, 168, 264),
    (np.float16, 3, 8, 8),
])  # fmt: skip
def test_mma_product(device, dtype, m, k, n):
    x, w, expected = operands(m, k, n, dtype, device)
    y = get(device).zeros((m, n), np.float32)
    MMA((ceil_div(n, 128), ceil_div(m, 128)), 256, x, w, y, m, k, n, shared=3 * 18944, T=np.dtype(dtype))
    np.testing.assert_allclose(get(device).to_host(y), expected, rtol=1e-5, atol=1e-5 * np.sqrt(k))


def without(source: str, line: str) -> str:
    text = load(HERE / source).text
    assert text.count(line) == 1, line
    return text.replace(line, "")


@pytest.mark.parametrize(
    "line",
    [
        "ptx::wgmma_wait_group<0>();",
        "ptx::mbarrier_wait_parity(full + stage, i / STAGES % 2);",
        "ptx::mbarrier_wait_parity(empty + stage, i / STAGES % 2 ^ 1);",
        "if (i > 0 && lane == 0) ptx::mbarrier_arrive(empty + (i - 1) % STAGES);",
        "ptx::mbarrier_arrive_expect_tx(full + stage, stage_bytes);",
        "ptx::wgmma_commit_group();",
        "ptx::wgmma_fence();",
    ],
)
def test_a_missing_wait_shows(sim, line):
    """The product without one of its waits or arrivals is wrong on sim, or does not end."""
    text = without("wgmma_product.cu", line)
    kernel = Kernel.from_source("without.cu", text, "wgmma_product", "unused | steps x w y")
    try:
        y, expected = wgmma_product(128, 640, 128, kernel)
        shown = not np.allclose(y.astype(np.float64), expected, rtol=2**-8, atol=1e-2)
    except KernelError as error:
        shown = "without.cu:" in str(error)
    assert shown


@pytest.mark.parametrize("line", ["ptx::cp_async_wait_group<STAGES - 2>();"])
def test_a_missing_wait_for_copies_shows(sim, line):
    product = Kernel.from_source("without.cu", without("mma_product.cu", line), "mma_product", "x w y | m k n")
    x, w, expected = operands(128, 64, 128, ml_dtypes.bfloat16)
    y = get(sim).zeros((128, 128), np.float32)
    with checked(False):
        product(1, 256, x, w, y, 128, 64, 128, shared=3 * 18944)
    assert not np.allclose(y, expected, rtol=1e-3, atol=1e-3)


WAITS = re.compile(r"[^;{}]*\b(\w*wait\w*|\w*arrive\w*|\w*fence\w*|bar_sync|__syncthreads)(<[^;]*>)?\([^;]*;")

# Waits and fences that nothing misses, with the reason.
REDUNDANT = {
    "wgmma_product.cu:ptx::fence_mbarrier_init();": "__syncthreads orders the block's own threads, and bulk copies "
    "reach their mbarriers through the generic proxy (PTX ISA 9.3, cp.async.bulk); other blocks do not use these",
}


def waits(source: str) -> list[tuple[str, int]]:
    lines = (HERE / source).read_text().splitlines()
    return [(source, n) for n, line in enumerate(lines, 1) if WAITS.match(line.partition("//")[0])]


@pytest.mark.parametrize(("source", "number"), waits("wgmma_product.cu") + waits("mma_product.cu"))
def test_without_this_wait_there_is_a_fault(sim, source, number):
    lines = (HERE / source).read_text().splitlines(keepends=True)
    removed = WAITS.match(lines[number - 1].partition("//")[0])[0]
    lines[number - 1] = WAITS.sub(";", lines[number - 1].partition("//")[0], count=1) + "\n"
    entry = source.removesuffix(".cu")
    found = None
    with checked(orders=("forward",)):
        try:
            if source == "wgmma_product.cu":
                parameters = "unused | steps x w y"
                wgmma_product(128, 640, 128, Kernel.from_source("without.cu", "".join(lines), entry, parameters))
            else:
                x, w, _ = operands(128, 192, 128, ml_dtypes.bfloat16)
                y = get(sim).zeros((128, 128), np.float32)
                kernel = Kernel.from_source("without.cu", "".join(lines), entry, "x w y | m k n")
                kernel(1, 256, x, w, y, 128, 192, 128, shared=3 * 18944)
        except KernelError as error:
            found = error
    if f"{source}:{removed.strip()}" in REDUNDANT:
        assert found is None
    else:
        assert found is not None, removed
        assert isinstance(found, KernelFault) or "without.cu:" in str(found)


@needs_nvrtc
@pytest.mark.parametrize(
    ("kernel", "arch"), [(WGMMA, "sm_90a"), (MMA, "sm_80"), (MMA, "sm_90a"), (MMA, "sm_100")]
)  # fmt: skip
def test_products_compile_without_spills(kernel, arch, tmp_path):
    source = kernel.source
    unit = Unit(source.name, source.text, (), source.includes, source.entries)
    log = nvrtc.Compiler(arch).build(unit, tmp_path / "a.cubin")
    (usage,) = nvrtc.resources(log)
    assert usage.spill_stores == usage.spill_loads == usage.stack == 0
    assert usage.registers <= 168
    for warning in ("C7508", "C7510"):  # lost register hints, serialised wgmma
        assert warning not in log
