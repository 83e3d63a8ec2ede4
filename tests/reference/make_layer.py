"""Write layer.npz: PyTorch's activations and norms in float64.  Run: python tests/reference/make_layer.py"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

# function, settings, arrays after the input; channels are the last axis there, axis 1 here
ACTIVATIONS: list[list[Any]] = [
    ["relu6", {}], ["selu", {}], ["celu", {"alpha": 0.5}], ["hardswish", {}], ["hardsigmoid", {}],
    ["hardtanh", {"min_val": -0.5, "max_val": 0.8}], ["mish", {}], ["logsigmoid", {}], ["softsign", {}],
    ["tanhshrink", {}], ["hardshrink", {"lambd": 0.6}], ["softshrink", {"lambd": 0.6}],
    ["threshold", {"threshold": 0.2, "value": -3.0}], ["rrelu", {}], ["glu", {"dim": -1}], ["softmin", {"dim": -1}],
]  # fmt: skip
NORMS: list[list[Any]] = [
    ["layer_norm", {"normalized_shape": [6]}, ["weight", "bias"]],
    ["layer_norm", {"normalized_shape": [3, 6], "eps": 0.1}, []],
    ["rms_norm", {"normalized_shape": [6]}, ["weight"]],
    ["rms_norm", {"normalized_shape": [3, 6], "eps": 0.1}, []],
    ["normalize", {"dim": -1}, []],
    ["normalize", {"dim": -1, "p": 3.0}, []],
]


def main() -> None:
    rng = np.random.default_rng(0)
    out: dict[str, np.ndarray] = {
        "activations": np.array(json.dumps(ACTIVATIONS)),
        "norms": np.array(json.dumps(NORMS)),
    }
    x, weight, bias = 4 * rng.standard_normal((2, 5, 3, 6)), rng.standard_normal(6), rng.standard_normal(6)
    out |= {"torch": np.array(torch.__version__), "x": x, "weight": weight, "bias": bias}
    g = rng.standard_normal(x.shape)
    out["g"] = g

    def save(key: str, y: torch.Tensor, leaves: list[torch.Tensor], g: np.ndarray = g) -> None:
        y.backward(torch.tensor(g[tuple(slice(0, n) for n in y.shape)]))
        out[f"{key}_y"] = y.detach().numpy()
        for i, leaf in enumerate(leaves):
            out[f"{key}_d{i}"] = leaf.grad.numpy()

    def leaves() -> list[torch.Tensor]:
        return [torch.tensor(a, requires_grad=True) for a in (x, weight, bias)]

    for n, (name, settings) in enumerate(ACTIVATIONS):
        leaf = leaves()[0]
        # PyTorch's hardsigmoid has a slope of 1/6 in float32
        y = F.relu6(leaf + 3) / 6 if name == "hardsigmoid" else getattr(F, name)(leaf, **settings)
        save(f"activation{n}", y, [leaf])
    for n, (name, settings, names) in enumerate(NORMS):
        a, w, b = leaves()
        save(f"norm{n}", getattr(F, name)(a, **settings, **{k: {"weight": w, "bias": b}[k] for k in names}),
             [a, w, b][: len(names) + 1])  # fmt: skip
    a, w, b = leaves()
    save("group", F.group_norm(a.movedim(-1, 1), 3, w, b, 1e-3).movedim(1, -1), [a, w, b])
    a, w, b = leaves()
    mean, var = torch.tensor(weight), torch.tensor(np.abs(bias))
    save("instance", F.instance_norm(a.movedim(-1, 1), mean, var, w, b, True, 0.3, 1e-3).movedim(1, -1), [a, w, b])
    out |= {"instance_mean": mean.numpy(), "instance_var": var.numpy()}
    a, w, b = leaves()
    mean, var = torch.tensor(weight), torch.tensor(np.abs(bias))
    save("running", F.instance_norm(a.movedim(-1, 1), mean, var, w, b, False, 0.3, 1e-3).movedim(1, -1), [a, w, b])
    a, w, _ = leaves()
    save("prelu", F.prelu(a.movedim(-1, 1), w).movedim(1, -1), [a, w])
    table, index = torch.tensor(rng.standard_normal((7, 6)), requires_grad=True), rng.integers(0, 7, (2, 5, 3))
    out |= {"table": table.detach().numpy().copy(), "index": index}
    save("embedding", F.embedding(torch.tensor(index), table, padding_idx=2), [table])
    one, two, form = (torch.tensor(rng.standard_normal(s), requires_grad=True) for s in ((4, 3), (4, 5), (6, 3, 5)))
    out |= {"one": one.detach().numpy().copy(), "two": two.detach().numpy().copy()}
    out["form"] = form.detach().numpy().copy().transpose(1, 2, 0)
    y = F.bilinear(one, two, form, torch.tensor(bias))
    out["bilinear_g"] = rng.standard_normal((4, 6))
    save("bilinear", y, [one, two, form], out["bilinear_g"])
    np.savez_compressed(Path(__file__).with_name("layer.npz"), **out)


if __name__ == "__main__":
    main()
