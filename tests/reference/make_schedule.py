"""Write schedule.npz: rates and momenta of PyTorch's schedules.  Run: python tests/reference/make_schedule.py"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim import lr_scheduler, swa_utils

STEPS = 30
# name, settings (or parts of a combined schedule), optimizer
CASES: list[list[Any]] = [
    ["LambdaLR", {"lr_lambda": "lambda n: 1 / (1 + n)"}, "SGD"],
    ["MultiplicativeLR", {"lr_lambda": "lambda n: 0.9 + 0.01 * (n % 3)"}, "SGD"],
    ["StepLR", {"step_size": 7, "gamma": 0.3}, "SGD"],
    ["MultiStepLR", {"milestones": [3, 9, 9, 20], "gamma": 0.5}, "SGD"],
    ["ConstantLR", {"factor": 0.25, "total_iters": 6}, "SGD"],
    ["LinearLR", {"start_factor": 0.1, "end_factor": 0.7, "total_iters": 11}, "SGD"],
    ["ExponentialLR", {"gamma": 0.9}, "SGD"],
    ["PolynomialLR", {"total_iters": 13, "power": 1.7}, "SGD"],
    ["CosineAnnealingLR", {"T_max": 9, "eta_min": 0.05}, "SGD"],
    ["CosineAnnealingWarmRestarts", {"T_0": 4, "T_mult": 2, "eta_min": 0.01}, "SGD"],
    ["CosineAnnealingWarmRestarts", {"T_0": 5}, "SGD"],
    ["CyclicLR", {"base_lr": 0.1, "max_lr": 0.9, "step_size_up": 4, "step_size_down": 3}, "SGD"],
    ["CyclicLR", {"base_lr": 0.1, "max_lr": 0.9, "step_size_up": 4, "mode": "triangular2"}, "Adam"],
    ["CyclicLR", {"base_lr": 0.1, "max_lr": 0.9, "step_size_up": 4, "mode": "exp_range", "gamma": 0.95,
                  "cycle_momentum": False}, "SGD"],
    ["CyclicLR", {"base_lr": 0.1, "max_lr": 0.9, "step_size_up": 5, "scale_fn": "lambda n: 1 / (1 + n)",
                  "scale_mode": "iterations"}, "SGD"],
    ["OneCycleLR", {"max_lr": 0.8, "total_steps": 30}, "SGD"],
    ["OneCycleLR", {"max_lr": 0.8, "epochs": 5, "steps_per_epoch": 7, "anneal_strategy": "linear",
                    "three_phase": True, "pct_start": 0.4}, "Adam"],
    ["SequentialLR", [["LinearLR", {"start_factor": 0.2, "total_iters": 5}],
                      ["CosineAnnealingLR", {"T_max": 20}]], [5]],
    ["SequentialLR", [["ConstantLR", {"factor": 0.1, "total_iters": 3}], ["ExponentialLR", {"gamma": 0.9}],
                      ["StepLR", {"step_size": 2, "gamma": 0.5}], ["PolynomialLR", {"total_iters": 6}]], [4, 10, 19]],
    ["ChainedScheduler", [["LinearLR", {"start_factor": 0.2, "total_iters": 5}],
                          ["CosineAnnealingLR", {"T_max": 20}], ["MultiStepLR", {"milestones": [12]}]]],
    ["SWALR", {"swa_lr": [0.05, 0.1], "anneal_epochs": 7}, "SGD"],
    ["SWALR", {"swa_lr": 0.3, "anneal_epochs": 4, "anneal_strategy": "linear"}, "SGD"],
    ["SWALR", {"swa_lr": 0.3, "anneal_epochs": 0}, "SGD"],
]  # fmt: skip
PLATEAUS = [
    {"factor": 0.5, "patience": 2},
    {"factor": 0.5, "patience": 1, "mode": "max", "cooldown": 2, "threshold": 0.1, "min_lr": [0.1, 0.02]},
    {"factor": 0.3, "patience": 0, "threshold": 0.05, "threshold_mode": "abs", "eps": 0.01},
]


def evaluated(settings: dict[str, Any]) -> dict[str, Any]:
    return {k: eval(v) if isinstance(v, str) and "lambda" in v else v for k, v in settings.items()}


def main() -> None:
    warnings.simplefilter("ignore")
    out = {"cases": np.array(json.dumps(CASES)), "plateaus": np.array(json.dumps(PLATEAUS))}
    out["torch"] = np.array(torch.__version__)

    def new(kind: str) -> torch.optim.Optimizer:
        a, b = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))
        return getattr(torch.optim, kind)([{"params": [a]}, {"params": [b], "lr": 0.25}], lr=0.8)

    def row(optimizer: torch.optim.Optimizer) -> list[float]:
        return [*(g["lr"] for g in optimizer.param_groups),
                *(g["betas"][0] if "betas" in g else g["momentum"] for g in optimizer.param_groups)]  # fmt: skip

    for n, (name, settings, *rest) in enumerate(CASES):
        optimizer = new(rest[0] if rest and isinstance(rest[0], str) else "SGD")
        if isinstance(settings, dict):
            kind = swa_utils.SWALR if name == "SWALR" else getattr(lr_scheduler, name)
            schedule = kind(optimizer, **evaluated(settings))
        else:
            parts = [getattr(lr_scheduler, part)(optimizer, **evaluated(s)) for part, s in settings]
            schedule = lr_scheduler.ChainedScheduler(parts) if not rest else lr_scheduler.SequentialLR(
                optimizer, parts, rest[0]
            )  # fmt: skip
        rows = [row(optimizer)]
        for _ in range(STEPS):
            optimizer.step()
            schedule.step()
            rows.append(row(optimizer))
        out[f"rows{n}"] = np.array(rows)
    metrics = np.abs(np.cumsum(np.random.default_rng(0).standard_normal(60))) + 1
    out["metrics"] = metrics
    for n, settings in enumerate(PLATEAUS):
        optimizer = new("SGD")
        schedule = lr_scheduler.ReduceLROnPlateau(optimizer, **settings)
        rows = []
        for metric in metrics:
            schedule.step(metric)
            rows.append(row(optimizer))
        out[f"plateau{n}"] = np.array(rows)
    np.savez_compressed(Path(__file__).with_name("schedule.npz"), **out)


if __name__ == "__main__":
    main()
