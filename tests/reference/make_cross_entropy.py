"""Write cross_entropy.npz: losses and gradients by PyTorch, in float64.

Run: python tests/reference/make_cross_entropy.py
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

# target kind, weighted, reduction, label_smoothing
CASES = [
    list(case)
    for case in itertools.product(
        ("classes", "ignored", "probabilities"), (False, True), ("none", "mean", "sum"), (0.0, 0.1)
    )
]


def main() -> None:
    rng = np.random.default_rng(0)
    x = 3 * rng.standard_normal((7, 5))
    weight = rng.uniform(0.5, 2, 5)
    targets = {
        "classes": rng.integers(0, 5, 7),
        "ignored": np.array([1, -100, 4, 0, -100, 2, 3]),
        "probabilities": rng.dirichlet(np.ones(5), 7),
    }
    out = {"cases": np.array(json.dumps(CASES)), "torch": np.array(torch.__version__), "x": x, "weight": weight}
    out |= {f"target_{kind}": target for kind, target in targets.items()}
    for n, (kind, weighted, reduction, smoothing) in enumerate(CASES):
        t = torch.tensor(x, requires_grad=True)
        y = F.cross_entropy(
            t,
            torch.tensor(targets[kind]),
            torch.tensor(weight) if weighted else None,
            reduction=reduction,
            label_smoothing=smoothing,
        )
        g = rng.standard_normal(y.shape)
        y.backward(torch.tensor(g))
        out |= {f"g{n}": g, f"y{n}": y.detach().numpy(), f"dx{n}": t.grad.numpy()}
    np.savez_compressed(Path(__file__).with_name("cross_entropy.npz"), **out)


if __name__ == "__main__":
    main()
