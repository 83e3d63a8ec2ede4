"""Write optim.npz: 20 steps of PyTorch's other optimizers in float64.  Run: python tests/reference/make_optim.py"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch.optim import swa_utils

STEPS = 20
CASES = [
    ["Adam", {"amsgrad": True, "weight_decay": 0.1}],
    ["AdamW", {"amsgrad": True, "betas": [0.5, 0.6], "maximize": True}],
    ["Adagrad", {}],
    ["Adagrad", {"lr_decay": 0.1, "weight_decay": 0.05, "initial_accumulator_value": 0.3, "eps": 1e-3}],
    ["Adadelta", {}],
    ["Adadelta", {"rho": 0.7, "eps": 1e-3, "weight_decay": 0.1, "maximize": True}],
    ["RMSprop", {}],
    ["RMSprop", {"centered": True, "alpha": 0.8, "weight_decay": 0.1}],
    ["RMSprop", {"momentum": 0.9, "eps": 1e-3}],
    ["RMSprop", {"momentum": 0.5, "centered": True, "maximize": True}],
    ["Rprop", {}],
    ["Rprop", {"etas": [0.4, 1.5], "step_sizes": [0.03, 0.1], "maximize": True}],
    ["Adamax", {}],
    ["Adamax", {"betas": [0.7, 0.9], "eps": 1e-2, "weight_decay": 0.1, "maximize": True}],
    ["NAdam", {}],
    ["NAdam", {"betas": [0.8, 0.95], "weight_decay": 0.1, "momentum_decay": 0.1}],
    ["NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}],
    ["RAdam", {}],
    ["RAdam", {"betas": [0.8, 0.9], "weight_decay": 0.1, "eps": 1e-3}],
    ["RAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}],
    ["RAdam", {"betas": [0.5, 0.6]}],
    ["ASGD", {}],
    ["ASGD", {"lambd": 0.1, "alpha": 0.5, "t0": 5, "weight_decay": 0.1, "maximize": True}],
    ["Adafactor", {"weight_decay": 0.1, "maximize": True}],
    ["Adam", {"decoupled_weight_decay": True, "weight_decay": 0.1}],
]
# Of a matrix: these treat its rows and columns apart.
MATRICES = [
    ["Adafactor", {}],
    ["Adafactor", {"eps": [1e-4, 1e-2], "d": 2.0, "weight_decay": 0.1, "beta2_decay": -0.5}],
]
# Averages of the weights that the steps of CASES[0] go through.
AVERAGES = ["get_swa_avg_fn", "get_ema_avg_fn", "get_swa_multi_avg_fn", "get_ema_multi_avg_fn"]


def walk(name: str, options: dict, start: np.ndarray, grads: np.ndarray, rates: np.ndarray) -> tuple:
    param = torch.nn.Parameter(torch.tensor(start))
    optimizer = getattr(torch.optim, name)([param], lr=rates[0], **options)
    path = []
    for grad, rate in zip(grads, rates, strict=True):
        param.grad = torch.tensor(grad)
        optimizer.param_groups[0]["lr"] = rate  # a schedule: the rate changes at every step
        optimizer.step()
        path.append(param.detach().numpy().copy())
    return np.array(path), optimizer.state[param]


def main() -> None:
    torch.set_default_dtype(torch.float64)  # NAdam's and ASGD's scalars too
    rng = np.random.default_rng(0)
    start, grads, rates = rng.standard_normal(7), rng.standard_normal((STEPS, 7)), rng.uniform(0.01, 0.1, STEPS)
    grads[:, 6] = 0
    out = {"cases": np.array(json.dumps(CASES)), "torch": np.array(torch.__version__)}
    out |= {"start": start, "grads": grads, "rates": rates}
    for n, (name, options) in enumerate(CASES):
        out[f"path{n}"], state = walk(name, options, start, grads, rates)
        if name == "ASGD":
            out[f"ax{n}"] = state["ax"].numpy()
    matrix, many = rng.standard_normal((3, 4)), rng.standard_normal((STEPS, 3, 4))
    out |= {"matrices": np.array(json.dumps(MATRICES)), "matrix": matrix, "matrix_grads": many}
    for n, (name, options) in enumerate(MATRICES):
        out[f"matrix_path{n}"], _ = walk(name, options, matrix, many, rates)
    for name in AVERAGES:
        key = "multi_avg_fn" if "multi" in name else "avg_fn"
        model = torch.nn.Linear(7, 1, bias=False)
        average = swa_utils.AveragedModel(model, **{key: getattr(swa_utils, name)()})
        for weights in out["path0"]:
            model.weight.data = torch.tensor(weights[None])
            average.update_parameters(model)
        out[name] = average.module.weight.detach().numpy()[0]
    np.savez_compressed(Path(__file__).with_name("optim.npz"), **out)


if __name__ == "__main__":
    main()
