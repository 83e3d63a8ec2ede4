"""Write loss.npz: PyTorch's losses and their gradients in float64.  Run: python tests/reference/make_loss.py"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

# function, arrays (those that begin with "d" are differentiated), settings
CASES: list[list[Any]] = [
    ["l1_loss", ["dx", "y"], {}],
    ["l1_loss", ["dx", "dz"], {"reduction": "sum"}],
    ["huber_loss", ["dx", "dz"], {"delta": 0.7}],
    ["huber_loss", ["dx", "y"], {"reduction": "none"}],
    ["smooth_l1_loss", ["dx", "dz"], {"beta": 0.4}],
    ["smooth_l1_loss", ["dx", "y"], {"beta": 0.0}],
    ["mse_loss", ["dx", "dz"], {}],
    ["binary_cross_entropy", ["dprob", "half"], {}],
    ["binary_cross_entropy", ["dprob", "dhalf", "weight"], {"reduction": "sum"}],
    ["binary_cross_entropy_with_logits", ["dx", "half"], {}],
    ["binary_cross_entropy_with_logits", ["dlarge", "half", "weight"], {"reduction": "none"}],
    ["binary_cross_entropy_with_logits", ["dx", "dhalf"], {"pos_weight": "weight"}],
    ["kl_div", ["dlogp", "half"], {}],
    ["kl_div", ["dlogp", "dprob"], {"reduction": "batchmean"}],
    ["kl_div", ["dlogp", "dlogq"], {"reduction": "sum", "log_target": True}],
    ["poisson_nll_loss", ["dx", "count"], {"full": True}],
    ["poisson_nll_loss", ["dprob", "count"], {"log_input": False, "reduction": "sum"}],
    ["gaussian_nll_loss", ["dx", "dz", "dprob"], {"full": True}],
    ["gaussian_nll_loss", ["dx", "y", "dprob1"], {"reduction": "sum"}],
    ["soft_margin_loss", ["dlarge", "sign"], {}],
    ["hinge_embedding_loss", ["dx", "sign"], {"margin": 0.8}],
    ["margin_ranking_loss", ["dx", "dz", "sign"], {"margin": 0.3}],
    ["triplet_margin_loss", ["dx", "dy", "dz"], {}],
    ["triplet_margin_loss", ["dx", "dy", "dz"], {"p": 1, "swap": True, "margin": 2.0, "reduction": "none"}],
    ["triplet_margin_loss", ["dx", "dy", "dz"], {"p": 3, "margin": 4.0}],
    ["triplet_margin_with_distance_loss", ["dx", "dy", "dz"], {"swap": True}],
    ["cosine_embedding_loss", ["dx", "dz", "sign1"], {"margin": 0.1}],
    ["cosine_similarity", ["dx", "dz"], {"dim": -1}],
    ["pairwise_distance", ["dx", "dz"], {"keepdim": True}],
    ["multi_margin_loss", ["dx", "label"], {}],
    ["multi_margin_loss", ["dx", "label"], {"p": 2, "margin": 0.6, "weight": "weight", "reduction": "sum"}],
    ["multilabel_margin_loss", ["dx", "labels"], {}],
    ["multilabel_soft_margin_loss", ["dx", "bits", "weight"], {}],
    ["nll_loss", ["dlogp", "label"], {}],
    ["nll_loss", ["dlogp", "label", "weight"], {"ignore_index": 2}],
    ["nll_loss", ["dlogp", "label", "weight"], {"reduction": "none"}],
]
CTC: list[dict[str, Any]] = [{}, {"reduction": "none"}, {"reduction": "sum", "blank": 3}, {"zero_infinity": True}]


def main() -> None:
    rng = np.random.default_rng(0)
    shape = (6, 5)
    x, y, z = rng.standard_normal((3, *shape))
    softmax = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    half = rng.uniform(0, 1, shape)
    half[0, 0], half[1, 1] = 0, 1
    labels = np.array([[3, 0, -1, 1, 2], [0, -1, 0, 0, 0], [1, 2, 3, 4, 0], [-1, 0, 1, 2, 3], [4, 2, -1, -1, -1],
                       [2, 1, 0, -1, 4]])  # fmt: skip
    arrays = {
        "x": x, "y": y, "z": z, "prob": rng.uniform(0.05, 0.95, shape), "prob1": rng.uniform(0.1, 1, (6, 1)),
        "half": half, "weight": rng.uniform(0.5, 2, 5), "large": 20 * x, "logp": np.log(softmax),
        "logq": np.log_softmax(y) if hasattr(np, "log_softmax") else y - np.log(np.exp(y).sum(1, keepdims=True)),
        "count": rng.integers(0, 5, shape).astype(float), "sign": rng.choice([-1.0, 1.0], shape),
        "sign1": rng.choice([-1.0, 1.0], 6), "label": rng.integers(0, 5, 6), "labels": labels,
        "bits": rng.integers(0, 2, shape).astype(float),
    }  # fmt: skip
    out: dict[str, np.ndarray] = {"cases": np.array(json.dumps(CASES)), "torch": np.array(torch.__version__)}
    out |= {f"in_{k}": v for k, v in arrays.items()}
    for n, (name, names, settings) in enumerate(CASES):
        inputs = [torch.tensor(arrays[k] if k in arrays else arrays[k[1:]]) for k in names]
        for key, t in zip(names, inputs, strict=True):
            t.requires_grad_(key not in arrays)
        ready = {k: torch.tensor(arrays[v]) if isinstance(v, str) and v in arrays else v for k, v in settings.items()}
        loss = getattr(F, name)(*inputs, **ready)
        g = rng.standard_normal(tuple(loss.shape))
        loss.backward(torch.tensor(g))
        out |= {f"y{n}": loss.detach().numpy(), f"g{n}": np.array(g)}
        out |= {f"d{n}_{i}": t.grad.numpy() for i, t in enumerate(inputs) if t.grad is not None}
    logits = rng.standard_normal((4, 9, 5))
    targets = np.array([[1, 2, 2, 4], [1, 1, 1, 1], [2, 4, 0, 0], [4, 4, 4, 4]])
    lengths, sizes = np.array([9, 9, 5, 6]), np.array([4, 4, 2, 4])  # the last: 4 equal labels need 7 steps
    out |= {"ctc_cases": np.array(json.dumps(CTC)), "ctc_logits": logits, "ctc_targets": targets}
    out |= {"ctc_lengths": lengths, "ctc_sizes": sizes}
    for n, settings in enumerate(CTC):
        leaf = torch.tensor(logits, requires_grad=True)
        count = 4 if settings.get("zero_infinity") else 3
        chosen = np.where(targets == 3, 0, targets)
        loss = F.ctc_loss(
            leaf[:count].log_softmax(-1).transpose(0, 1), torch.tensor(chosen[:count]), torch.tensor(lengths[:count]),
            torch.tensor(sizes[:count]), **settings,
        )  # fmt: skip
        loss.sum().backward()
        out |= {f"ctc_y{n}": loss.detach().numpy(), f"ctc_d{n}": leaf.grad.numpy()}
    np.savez_compressed(Path(__file__).with_name("loss.npz"), **out)


if __name__ == "__main__":
    main()
