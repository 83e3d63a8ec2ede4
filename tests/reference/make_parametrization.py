"""Write parametrization.npz: PyTorch's reparametrised weights through three training steps, in float64.

Run: python tests/reference/make_parametrization.py
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.utils import parametrizations, spectral_norm, weight_norm

# the function, its settings, the layer and its arguments
CASES: list[list[Any]] = [
    ["parametrizations.weight_norm", {}, "Linear", [4, 3]],
    ["parametrizations.weight_norm", {"dim": None}, "Linear", [4, 3]],
    ["parametrizations.spectral_norm", {}, "Linear", [4, 3]],
    ["parametrizations.spectral_norm", {"n_power_iterations": 2}, "Conv1d", [4, 6, 2]],
    ["parametrizations.spectral_norm", {}, "ConvTranspose1d", [4, 6, 2]],
    ["weight_norm", {}, "Conv1d", [4, 6, 2]],
    ["weight_norm", {"dim": None}, "Linear", [4, 3]],
    ["spectral_norm", {}, "Linear", [4, 3]],
    ["spectral_norm", {"n_power_iterations": 3}, "ConvTranspose1d", [4, 6, 2]],
    *(["parametrizations.orthogonal", {"orthogonal_map": kind, "use_trivialization": base}, "Linear", [4, out]]
      for kind, base in (("matrix_exp", True), ("cayley", True), ("householder", True), ("householder", False))
      for out in (4, 3, 6)),
]  # fmt: skip
STEPS = 3


def main() -> None:
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    functions = {"weight_norm": weight_norm, "spectral_norm": spectral_norm}
    functions |= {f"parametrizations.{k}": getattr(parametrizations, k) for k in parametrizations.__all__}
    out = {"cases": np.array(json.dumps(CASES)), "torch": np.array(torch.__version__)}
    for n, (name, settings, kind, sizes) in enumerate(CASES):
        layer = functions[name](getattr(torch.nn, kind)(*sizes), **settings)
        out |= {f"{n}.before.{k}": v.numpy().copy() for k, v in layer.state_dict().items()}
        x = torch.randn(5, 4) if kind == "Linear" else torch.randn(2, 4, 5)
        out[f"{n}.x"] = x.numpy()
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
        losses = []
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss = layer(x).square().sum()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        out[f"{n}.losses"] = np.array(losses)
        out[f"{n}.y"] = layer.eval()(x).detach().numpy()
        out |= {f"{n}.after.{k}": v.numpy().copy() for k, v in layer.state_dict().items()}
    np.savez_compressed(Path(__file__).with_name("parametrization.npz"), **out)


if __name__ == "__main__":
    main()
