"""Write spatial.npz: PyTorch's spatial functions in float64.  Run: python tests/reference/make_spatial.py"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

# function, number of spatial axes, settings, shape of PyTorch's weight or None
CASES: list[list[Any]] = [
    ["conv1d", 1, {"stride": 2, "padding": 1, "dilation": 2}, [6, 4, 3]],
    ["conv3d", 3, {"padding": 1, "groups": 2}, [6, 2, 3, 2, 3]],
    ["conv_transpose1d", 1, {"stride": 3, "padding": 1, "output_padding": 2, "dilation": 2}, [4, 6, 3]],
    ["conv_transpose2d", 2, {"stride": 2, "padding": 1, "output_padding": 1}, [4, 5, 3, 3]],
    ["conv_transpose2d", 2, {"stride": [1, 3], "groups": 2}, [4, 3, 2, 3]],
    ["conv_transpose3d", 3, {"stride": 2, "padding": [0, 1, 0]}, [4, 2, 2, 3, 2]],
    ["max_pool1d", 1, {"kernel_size": 3, "stride": 2, "padding": 1}, None],
    ["avg_pool3d", 3, {"kernel_size": 2, "stride": 1, "padding": 1, "count_include_pad": False}, None],
    ["adaptive_avg_pool1d", 1, {"output_size": 4}, None],
    ["adaptive_avg_pool2d", 2, {"output_size": [3, 4]}, None],
    ["adaptive_avg_pool3d", 3, {"output_size": 2}, None],
    ["adaptive_max_pool1d", 1, {"output_size": 4}, None],
    ["adaptive_max_pool2d", 2, {"output_size": [3, 4]}, None],
    ["adaptive_max_pool3d", 3, {"output_size": [1, 2, 3]}, None],
    ["pad", 1, {"pad": [2, -1], "value": 1.5}, None],
    ["pad", 2, {"pad": [1, 2, 3, 0], "mode": "reflect"}, None],
    ["pad", 2, {"pad": [1, 7, 3, 0], "mode": "replicate"}, None],
    ["pad", 3, {"pad": [1, 2, 3, 0, 0, 2], "mode": "circular"}, None],
    ["interpolate", 1, {"size": 11, "mode": "linear"}, None],
    ["interpolate", 1, {"scale_factor": 2.5, "mode": "nearest"}, None],
    ["interpolate", 2, {"size": [3, 11], "mode": "nearest"}, None],
    ["interpolate", 2, {"size": [3, 11], "mode": "nearest-exact"}, None],
    ["interpolate", 2, {"scale_factor": 2, "mode": "bilinear"}, None],
    ["interpolate", 2, {"scale_factor": [1.7, 0.6], "mode": "bilinear"}, None],
    ["interpolate", 2, {"size": [9, 4], "mode": "bilinear", "align_corners": True}, None],
    ["interpolate", 2, {"size": [9, 4], "mode": "bicubic"}, None],
    ["interpolate", 2, {"scale_factor": 2, "mode": "bicubic", "align_corners": True}, None],
    ["interpolate", 2, {"size": [2, 4], "mode": "area"}, None],
    ["interpolate", 3, {"size": [3, 9, 4], "mode": "trilinear"}, None],
    ["pixel_shuffle", 2, {"upscale_factor": 2}, None],
    ["pixel_unshuffle", 2, {"downscale_factor": 2}, None],
]


def main() -> None:
    rng = np.random.default_rng(0)
    out: dict[str, np.ndarray] = {"cases": np.array(json.dumps(CASES)), "torch": np.array(torch.__version__)}
    sizes = {1: (7,), 2: (6, 7), 3: (4, 5, 6)}
    for n, (name, ndim, settings, shape) in enumerate(CASES):
        size = (4, 6) if name == "pixel_unshuffle" else sizes[ndim]
        x = torch.tensor(rng.standard_normal((2, *size, 4)), requires_grad=True)
        leaves, extra = [x], []
        if shape is not None:
            w = torch.tensor(rng.standard_normal(shape), requires_grad=True)
            count = shape[1] * settings.get("groups", 1) if "transpose" in name else shape[0]
            b = torch.tensor(rng.standard_normal(count), requires_grad=True)
            leaves, extra = [x, w, b], [w, b]
        y = getattr(F, name)(x.movedim(-1, 1), *extra, **settings).movedim(1, -1)
        g = rng.standard_normal(tuple(y.shape))
        y.backward(torch.tensor(g))
        out |= {f"y{n}": y.detach().numpy(), f"g{n}": g}
        for i, leaf in enumerate(leaves):
            order = (*range(2, ndim + 2), 1, 0) if i == 1 else range(leaf.ndim)
            out |= {f"x{n}_{i}": leaf.detach().permute(*order).numpy(), f"d{n}_{i}": leaf.grad.permute(*order).numpy()}
    np.savez_compressed(Path(__file__).with_name("spatial.npz"), **out)


if __name__ == "__main__":
    main()
