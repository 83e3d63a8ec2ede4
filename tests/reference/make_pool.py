"""Write pool.npz: pooling and its gradients by PyTorch in float64.  Run: python tests/reference/make_pool.py"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

# shape (NHWC), kernel_size, stride, padding, dilation, ceil_mode, count_include_pad
CASES = [
    [(2, 4, 6, 3), (2, 2), (2, 2), (0, 0), (1, 1), False, True],
    [(1, 7, 5, 3), (3, 3), (2, 2), (1, 1), (1, 1), False, False],
    [(2, 7, 11, 1), (2, 3), (2, 1), (1, 0), (2, 3), True, True],
    [(2, 9, 7, 4), (3, 2), (1, 2), (1, 1), (1, 1), True, False],
    [(1, 8, 7, 2), (3, 3), (2, 3), (0, 1), (1, 1), True, True],
    [(1, 1, 1, 5), (1, 1), (1, 1), (0, 0), (1, 1), False, True],
]


def main() -> None:
    rng = np.random.default_rng(0)
    out: dict[str, np.ndarray] = {"cases": np.array(json.dumps(CASES)), "torch": np.array(torch.__version__)}
    for n, (shape, kernel, stride, padding, dilation, ceil, pad) in enumerate(CASES):
        for kind in ("max", "avg"):
            x = rng.standard_normal(shape) if kind == "avg" else rng.integers(-4, 5, shape).astype(float)  # ties
            t = torch.tensor(x, requires_grad=True)
            nchw = t.permute(0, 3, 1, 2)
            if kind == "max":
                y = F.max_pool2d(nchw, kernel, stride, padding, dilation, ceil)
            else:
                y = F.avg_pool2d(nchw, kernel, stride, padding, ceil, pad)
            y = y.permute(0, 2, 3, 1)
            g = rng.standard_normal(y.shape)
            y.backward(torch.tensor(g))
            for name, value in (("x", x), ("g", g), ("y", y.detach().numpy()), ("dx", t.grad.numpy())):
                out[f"{kind}{n}_{name}"] = value
    np.savez_compressed(Path(__file__).with_name("pool.npz"), **out)


if __name__ == "__main__":
    main()
