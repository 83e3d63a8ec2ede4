"""Write update.npz: 20 steps of PyTorch's optimizers in float64.  Run: python tests/reference/make_update.py"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

STEPS = 20
CASES = [
    ["SGD", {}],
    ["SGD", {"momentum": 0.9}],
    ["SGD", {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.05}],
    ["SGD", {"momentum": 0.8, "nesterov": True, "weight_decay": 0.01}],
    ["SGD", {"momentum": 0.5, "maximize": True}],
    ["SGD", {"weight_decay": 0.1, "maximize": True}],
    ["Adam", {}],
    ["Adam", {"betas": [0.8, 0.95], "eps": 1e-3}],
    ["Adam", {"weight_decay": 0.1}],
    ["Adam", {"weight_decay": 0.1, "maximize": True}],
    ["AdamW", {"weight_decay": 0.1}],
    ["AdamW", {"betas": [0.7, 0.9], "weight_decay": 0.01, "maximize": True}],
]


def main() -> None:
    rng = np.random.default_rng(0)
    start, grads, rates = rng.standard_normal(7), rng.standard_normal((STEPS, 7)), rng.uniform(0.01, 0.1, STEPS)
    out = {"cases": np.array(json.dumps(CASES)), "torch": np.array(torch.__version__)}
    out |= {"start": start, "grads": grads, "rates": rates}
    for n, (name, options) in enumerate(CASES):
        param = torch.nn.Parameter(torch.tensor(start))
        optimizer = getattr(torch.optim, name)([param], lr=1.0, **options)
        path = []
        for grad, rate in zip(grads, rates, strict=True):
            param.grad = torch.tensor(grad)
            optimizer.param_groups[0]["lr"] = rate  # a schedule: the rate changes at every step
            optimizer.step()
            path.append(param.detach().numpy().copy())
        out[f"path{n}"] = np.array(path)
    np.savez_compressed(Path(__file__).with_name("update.npz"), **out)


if __name__ == "__main__":
    main()
