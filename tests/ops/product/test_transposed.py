"""Transposed convolutions on tensor cores: bias and activation in the data gradient's launches, against float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib.kernel import launches
from gradlib.nn import functional as F

from ...devices import device_params, watched
from .against_float64 import BF16, F32

# Shapes of x and w, (*kernel, out / groups, in), the window, and how often the kernel is launched forward.
CASES: list[dict[str, Any]] = [
    {"on": "sm_90a", "x": (2, 5, 7, 32), "w": (3, 3, 40, 32), "padding": 1, "runs": ["convolve"]},
    {"on": "sm_90a", "x": (2, 4, 5, 40), "w": (3, 3, 32, 40), "stride": 2, "padding": 1, "output_padding": (1, 0),
     "runs": ["convolve"] * 4},
    {"on": "sm_90a", "x": (2, 11, 40), "w": (4, 29, 40), "stride": 2, "dilation": 3, "dtype": F32,
     "runs": ["convolve"] * 2},
    {"on": "sm_90a", "x": (1, 6, 6, 64), "w": (1, 1, 40, 64), "runs": ["product"]},
    {"on": "sm_80", "x": (2, 4, 5, 13), "w": (3, 3, 11, 13), "stride": 2, "output_padding": 1, "activation": "relu",
     "runs": ["convolve_mma"] * 4},
    {"on": "sm_80", "x": (1, 3, 4, 3, 16), "w": (2, 3, 2, 8, 16), "stride": (1, 2, 1), "padding": (1, 1, 0),
     "bias": False, "runs": ["convolve_mma"] * 2},
    {"on": "sm_80", "x": (1, 5, 6, 16), "w": (3, 2, 9, 16), "groups": 2, "activation": None,
     "runs": ["convolve_mma"] * 2},
    {"on": "sm_90a", "x": (2, 4, 5, 40), "w": (2, 1, 24, 40), "stride": 2, "runs": ["convolve", "convolve_mma"] * 2},
    {"on": "sm_80", "x": (1, 6, 5, 128), "w": (3, 3, 72, 128), "padding": 1, "runs": ["convolve_mma", "finish"]},
]  # fmt: skip


@pytest.mark.parametrize("device", device_params())
@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['on']}-{c['x']}-{c['w']}")
def test_one_launch_and_its_gradients(device: str, case: dict[str, Any], tensor_cores: Any) -> None:
    tensor_cores(device, case["on"])
    rng, dtype, act = np.random.default_rng(2), case.get("dtype", BF16), case.get("activation", "gelu")
    window = {k: case[k] for k in ("stride", "padding", "output_padding", "groups", "dilation") if k in case}
    of_w = case["w"]
    x, w, b = (rng.standard_normal(s) for s in (case["x"], of_w, (of_w[-2] * case.get("groups", 1),)))
    w /= math.sqrt(math.prod(of_w) / of_w[-2])
    arrays = [v.astype(dtype) for v in (x, w, *([b] if case.get("bias", True) else []))]
    function = getattr(F, f"conv_transpose{len(of_w) - 2}d")

    given = [gl.tensor(v, device=device, requires_grad=True) for v in arrays]
    with launches() as log, watched(device):
        y = function(*given, activation=act, **window)
    assert [r.entry for r in log if r.entry != "split_planes"] == case["runs"]
    wide = [gl.tensor(v.astype(np.float64), requires_grad=True) for v in arrays]
    expected = function(*wide, activation=act, **window)
    want = expected.numpy()
    eps = 2.0**-20 if dtype == F32 else 2.0**-8
    off, rms = abs(y.numpy().astype(np.float64) - want), np.sqrt((want**2).mean())
    assert (off <= eps * abs(want) + (eps if dtype == F32 else 2.0**-14) * rms).all()

    g = rng.standard_normal(y.shape).astype(dtype)
    with launches() as log:
        y.backward(gl.tensor(g, device=device))
    assert not {r.entry for r in log} & {"conv2d_forward", "conv2d_wgrad"}
    expected.backward(gl.tensor(g.astype(np.float64)))
    room = 2.0**-18 if dtype == F32 else 2.0**-6
    for ours, other in zip(given, wide, strict=True):
        want = other.grad.numpy()
        off = abs(ours.grad.numpy().astype(np.float64) - want).max()
        assert off <= room * (np.sqrt((want**2).mean()) + abs(want).max() / 2)
