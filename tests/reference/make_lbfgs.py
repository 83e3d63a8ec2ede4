"""Write lbfgs.npz: PyTorch's L-BFGS, clipping and averages in float64.  Run: python tests/reference/make_lbfgs.py"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

STEPS = 20
CASES = [
    ["rosenbrock", {"max_iter": 1, "line_search_fn": "strong_wolfe", "max_eval": 20}],
    ["rosenbrock", {"max_iter": 4, "line_search_fn": "strong_wolfe", "history_size": 3}],
    ["rosenbrock", {"lr": 0.002, "max_iter": 3, "history_size": 5}],
    ["logistic", {"max_iter": 1, "line_search_fn": "strong_wolfe", "max_eval": 20, "lr": 0.1}],
    ["logistic", {"lr": 0.5, "max_iter": 1}],
]


def rosenbrock(w: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (100 * (w[1:] - w[:-1] ** 2) ** 2 + (1 - w[:-1]) ** 2).sum()


def logistic(w: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.softplus(-y * (x @ w)).mean() + 0.01 * (w * w).sum()


def main() -> None:
    rng = np.random.default_rng(0)
    start, x, y = rng.standard_normal(5), rng.standard_normal((30, 5)), np.sign(rng.standard_normal(30))
    out = {"cases": np.array(json.dumps(CASES)), "torch": np.array(torch.__version__), "start": start, "x": x, "y": y}
    for n, (name, options) in enumerate(CASES):
        w = torch.nn.Parameter(torch.tensor(start))
        optimizer = torch.optim.LBFGS([w], **options)

        def closure(w=w, name=name, optimizer=optimizer):  # type: ignore
            optimizer.zero_grad()
            loss = globals()[name](w, torch.tensor(x), torch.tensor(y))
            loss.backward()
            return loss

        path, losses = [], []
        for _ in range(STEPS):
            losses.append(optimizer.step(closure).item())
            path.append(w.detach().numpy().copy())
        out |= {f"path{n}": np.array(path), f"losses{n}": np.array(losses)}
        out[f"evaluations{n}"] = np.array(optimizer.state[w]["func_evals"])
    grads = [rng.standard_normal((3, 4)), rng.standard_normal(5)]
    out |= {f"grad{i}": g for i, g in enumerate(grads)}
    for n, (limit, kind) in enumerate([(1.0, 2.0), (100.0, 2.0), (1.0, 1.0), (0.5, float("inf")), (1.0, 3.0)]):
        params = [torch.nn.Parameter(torch.zeros(g.shape, dtype=torch.float64)) for g in grads]
        for p, g in zip(params, grads, strict=True):
            p.grad = torch.tensor(g)
        norm = torch.nn.utils.clip_grad_norm_(params, limit, kind)
        out |= {f"limit{n}": np.array(limit), f"kind{n}": np.array(kind), f"norm{n}": norm.numpy()}
        out |= {f"clipped{n}_{i}": p.grad.numpy() for i, p in enumerate(params)}
    model = torch.nn.Linear(2, 1, bias=False, dtype=torch.float64)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    weights, averages = rng.standard_normal((6, 1, 2)), []
    for value in weights:
        model.weight.data.copy_(torch.tensor(value))
        average.update_parameters(model)
        averages.append(average.module.weight.detach().numpy().copy())
    out |= {"ema_weights": weights, "ema": np.array(averages)}
    np.savez_compressed(Path(__file__).with_name("lbfgs.npz"), **out)


if __name__ == "__main__":
    main()
