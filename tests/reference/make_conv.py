"""Make conv.npz: PyTorch's conv2d, forward and gradients, in float64.  Needs torch; run `python make_conv.py`.

Per case: input (NHWC), weight (HWIO), bias, cotangent g, and from PyTorch output, d_input, d_weight, d_bias,
all brought to gradlib's layouts.  `spec` holds the arguments as JSON.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

CASES: list[dict[str, Any]] = [
    {"x": (2, 5, 7, 3), "w": (3, 3, 3, 5), "padding": 1, "activation": "relu"},
    {"x": (2, 7, 6, 4), "w": (3, 2, 4, 3), "stride": (2, 1), "padding": (1, 0), "activation": "gelu"},
    {"x": (1, 9, 8, 2), "w": (3, 3, 2, 4), "dilation": 2, "padding": 2, "stride": 3, "activation": None},
    {"x": (2, 5, 6, 6), "w": (3, 3, 2, 9), "groups": 3, "padding": 1, "activation": "tanh"},
    {"x": (2, 6, 5, 4), "w": (3, 3, 1, 8), "groups": 4, "stride": 2, "padding": 1, "activation": "silu"},
    {"x": (1, 6, 7, 3), "w": (3, 4, 3, 2), "padding": "same", "activation": "elu"},
    {"x": (2, 5, 5, 3), "w": (3, 3, 3, 2), "padding": "valid", "activation": "softplus"},
    {"x": (3, 4, 4, 5), "w": (1, 1, 5, 7), "activation": "leaky_relu"},
]


def nchw(a: np.ndarray[Any, Any]) -> torch.Tensor:
    return torch.tensor(a.transpose(0, 3, 1, 2).copy(), requires_grad=True)


def gradient(t: torch.Tensor) -> np.ndarray[Any, Any]:
    assert t.grad is not None
    return t.grad.numpy()


def main() -> None:
    rng = np.random.default_rng(20)
    stored: dict[str, Any] = {"spec": json.dumps(CASES), "torch": torch.__version__}
    for i, case in enumerate(CASES):
        x, w = rng.standard_normal(case["x"]), rng.standard_normal(case["w"]) / 2
        b = rng.standard_normal(case["w"][-1])
        tx = nchw(x)
        tw = torch.tensor(w.transpose(3, 2, 0, 1).copy(), requires_grad=True)
        tb = torch.tensor(b, requires_grad=True)
        window = {key: case[key] for key in ("stride", "padding", "dilation", "groups") if key in case}
        y = F.conv2d(tx, tw, tb, **window)
        if case["activation"]:
            y = getattr(torch if case["activation"] == "tanh" else F, case["activation"])(y)
        g = rng.standard_normal(y.permute(0, 2, 3, 1).shape)
        y.backward(nchw(g).detach())
        values = {
            "input": x, "weight": w, "bias": b, "g": g,
            "output": y.detach().numpy().transpose(0, 2, 3, 1),
            "d_input": gradient(tx).transpose(0, 2, 3, 1),
            "d_weight": gradient(tw).transpose(2, 3, 1, 0),
            "d_bias": gradient(tb),
        }  # fmt: skip
        stored |= {f"{i}_{name}": np.ascontiguousarray(value) for name, value in values.items()}
    np.savez_compressed(Path(__file__).with_name("conv.npz"), **stored)


if __name__ == "__main__":
    main()
