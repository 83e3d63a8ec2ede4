"""Write batch_norm.npz: batch normalisation by PyTorch in float64.  Run: python tests/reference/make_batch_norm.py"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

SHAPES = [(6, 5), (2, 3, 5, 7), (67, 3)]
NAMES = ("x", "weight", "bias", "mean", "var", "g")


def main() -> None:
    rng = np.random.default_rng(0)
    out: dict[str, np.ndarray] = {"count": np.array(len(SHAPES)), "torch": np.array(torch.__version__)}
    for n, shape in enumerate(SHAPES):
        channels = shape[-1]
        x = 2 * rng.standard_normal(shape) + 3
        weight, bias, mean = rng.standard_normal((3, channels))
        var = rng.uniform(0.5, 2, channels)
        g = rng.standard_normal(shape)
        out |= {f"{name}{n}": v for name, v in zip(NAMES, (x, weight, bias, mean, var, g), strict=True)}
        for training in (True, False):
            leaves = [torch.tensor(v, requires_grad=True) for v in (x, weight, bias)]
            running = [torch.tensor(mean), torch.tensor(var)]
            moved = leaves[0].movedim(-1, 1)
            y = F.batch_norm(moved, *running, *leaves[1:], training=training, momentum=1.0, eps=1e-5).movedim(1, -1)
            y.backward(torch.tensor(g))
            mode = "train" if training else "eval"
            out[f"{mode}_y{n}"] = y.detach().numpy()
            out |= {f"{mode}_d{name}{n}": t.grad.numpy() for name, t in zip(NAMES[:3], leaves, strict=True)}
            if training:  # momentum 1: the running statistics are the batch's, the variance unbiased
                rows = x.size // channels
                out[f"batch_mean{n}"] = running[0].numpy()
                out[f"batch_var{n}"] = running[1].numpy() * (rows - 1) / rows
    np.savez_compressed(Path(__file__).with_name("batch_norm.npz"), **out)


if __name__ == "__main__":
    main()
