"""Write init.npz: PyTorch's deterministic initializers in float64.  Run: python tests/reference/make_init.py"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch.nn import init

SHAPES = [(6, 4), (4, 6), (3, 3), (3, 2, 4, 6)]  # ours: (in, out), and HWIO
GAINS = ["linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
         "sigmoid", "tanh", "relu", "leaky_relu", "selu"]  # fmt: skip


def main() -> None:
    rng = np.random.default_rng(0)
    out: dict[str, np.ndarray] = {"torch": np.array(torch.__version__), "gain_names": np.array(GAINS)}
    out["gains"] = np.array([init.calculate_gain(name) for name in GAINS])
    out["leaky"] = np.array(init.calculate_gain("leaky_relu", 0.3))
    y = np.concatenate([np.linspace(-0.999, 0.999, 41), 1 - 10.0 ** -np.arange(3, 14), 10.0 ** -np.arange(1, 12)])
    out |= {"y": y, "erfinv": torch.erfinv(torch.tensor(y)).numpy()}
    for n, shape in enumerate(SHAPES):
        numbers = rng.standard_normal((math.prod(shape[:-1]), shape[-1]))
        theirs = torch.tensor(numbers.T.copy())  # (out, in)
        original = torch.Tensor.normal_
        torch.Tensor.normal_ = lambda self, *args, values=theirs, **kwargs: self.copy_(values)  # type: ignore
        out[f"numbers{n}"] = numbers
        out[f"orthogonal{n}"] = init.orthogonal_(torch.empty_like(theirs), gain=1.5).numpy().T
        torch.Tensor.normal_ = original  # type: ignore
    for n, (shape, groups) in enumerate([((3, 4, 6), 1), ((3, 2, 6), 3), ((3, 5, 5, 4), 2), ((1, 3, 3, 2, 2), 1)]):
        moved = torch.empty(shape[-1], shape[-2], *shape[:-2], dtype=torch.float64)
        value = init.dirac_(moved, groups).permute(*range(2, len(shape)), 1, 0).numpy()
        out |= {f"dirac{n}": value, f"groups{n}": np.array(groups)}
    np.savez_compressed(Path(__file__).with_name("init.npz"), **out)


if __name__ == "__main__":
    main()
