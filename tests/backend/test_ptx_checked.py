"""The checked build over ptx.cuh: the two products are clean, and each of their waits is missed when it is gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from gradlib import backend
from gradlib.backend import get
from gradlib.errors import KernelError, KernelFault
from gradlib.kernel import Kernel, load

HERE = Path(__file__).parent


def run(file: str, without: str = "") -> None:
    """Run a product in the checked build, without one of its lines, and compare it with NumPy's."""
    text = load(HERE / file).text
    assert not without or text.count(without) == 1, without
    sim, rng, (m, k, n) = get("sim"), np.random.default_rng(11), (128, 384, 128)
    x, w = (sim.asarray(rng.normal(size=shape).astype(ml_dtypes.bfloat16)) for shape in ((m, k), (k, n)))
    text = text.replace(without, "") if without else text
    y: Any
    with backend.checked():
        if file == "mma_product.cu":
            y = sim.zeros((m, n), np.float32)
            kernel = Kernel.from_source(file, text, "mma_product", "x w y | m k n")
            kernel((1, 1), 256, x, w, y, m, k, n, shared=3 * 18944)
        else:
            y = sim.zeros((m, n), ml_dtypes.bfloat16)
            maps = [sim.tensor_map(x, (128, 64), 128), sim.tensor_map(w, (64, 64), 128), sim.tensor_map(y, (64, 128))]
            kernel = Kernel.from_source(file, text, "wgmma_product", "unused | steps x w y")
            kernel((1, 1), 384, sim.zeros(1, np.int32), k // 64, *maps, shared=5 * 32768)
    expected = x.astype(np.float64) @ w.astype(np.float64)
    np.testing.assert_allclose(y.astype(np.float64), expected, rtol=2**-8, atol=1e-2)


@pytest.mark.parametrize("file", ["mma_product.cu", "wgmma_product.cu"])
def test_the_products_are_clean(sim, file):
    run(file)


@pytest.mark.parametrize(
    ("file", "line", "kind"),
    [
        ("mma_product.cu", "ptx::cp_async_wait_group<STAGES - 2>();", "async"),
        ("mma_product.cu", "__syncthreads();", "async"),
        ("wgmma_product.cu", "ptx::mbarrier_wait_parity(full + stage, i / STAGES % 2);", "async"),
        ("wgmma_product.cu", "ptx::wgmma_wait_group<1>();", "async"),
        ("wgmma_product.cu", "if (i > 0 && lane == 0) ptx::mbarrier_arrive(empty + (i - 1) % STAGES);", "deadlock"),
        ("wgmma_product.cu", "ptx::mbarrier_arrive_expect_tx(full + stage, stage_bytes);", "deadlock"),
        ("wgmma_product.cu", "ptx::bar_sync(1 + group, 128);", "async"),
    ],
)
def test_a_missing_wait_is_a_fault(sim, file, line, kind):
    with pytest.raises(KernelFault) as fault:
        run(file, line)
    assert fault.value.kind == kind


@pytest.mark.parametrize(
    "line",
    [
        "ptx::wgmma_fence();",
        "ptx::mbarrier_init(full + i, 1);",
        "ptx::mbarrier_wait_parity(empty + stage, i / STAGES % 2 ^ 1);",  # then a stage is filled twice in a phase
    ],
)
def test_misuse_of_the_barriers_is_an_error(sim, line):
    with pytest.raises(KernelError):
        run("wgmma_product.cu", line)
