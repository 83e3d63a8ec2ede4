"""The examples' kernels, which CuPy users would write, give on a GPU what they give on sim."""

from __future__ import annotations

import runpy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradlib.testing import run_kernel

from ..devices import needs_gpu

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
rng = np.random.default_rng(4)


@needs_gpu
@pytest.mark.parametrize(
    ("name", "function", "argument"),
    [
        ("check_reduction.py", "total", rng.standard_normal(1000).astype(np.float32)),
        ("check_stencil.py", "laplace", rng.standard_normal((37, 50)).astype(np.float32)),
        ("check_histogram.py", "histogram", rng.integers(0, 256, 5000, dtype=np.uint8)),
    ],
)
def test_an_example_does_the_same(
    sim: str, name: str, function: str, argument: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    example: dict[str, Any] = runpy.run_path(str(EXAMPLES / name))
    call = example[function] if function == "laplace" else partial(example[function], example["SOURCE"])
    ours = call(argument)
    monkeypatch.setattr("gradlib.testing.run_kernel", partial(run_kernel, device="cuda"))
    theirs = call(argument)
    np.testing.assert_allclose(theirs, ours, rtol=1e-6, atol=1e-6)
    assert np.asarray(ours).any()
