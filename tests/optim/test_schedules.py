"""Every schedule's rates and momenta, step by step, against PyTorch's stored values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradlib as gl
from gradlib import optim
from gradlib.nn import Parameter

STORED = np.load(Path(__file__).parent.parent / "reference" / "schedule.npz")
CASES, PLATEAUS = json.loads(str(STORED["cases"])), json.loads(str(STORED["plateaus"]))


def new(kind: str = "SGD") -> Any:
    a, b = (Parameter(gl.tensor([1.0])) for _ in range(2))
    return getattr(optim, kind)([{"params": [a]}, {"params": [b], "lr": 0.25}], lr=0.8)


def row(optimizer: Any) -> list[float]:
    groups = optimizer.param_groups
    return [*(g["lr"] for g in groups), *(g["betas"][0] if "betas" in g else g["momentum"] for g in groups)]


def made(n: int) -> Any:
    name, settings, *rest = CASES[n]
    optimizer = new(rest[0] if rest and isinstance(rest[0], str) else "SGD")

    def make(name: str, settings: dict[str, Any]) -> Any:
        ready = {k: eval(v) if isinstance(v, str) and "lambda" in v else v for k, v in settings.items()}
        return getattr(optim, name)(optimizer, **ready)

    if isinstance(settings, dict):
        return make(name, settings)
    parts = [make(*part) for part in settings]
    return optim.SequentialLR(optimizer, parts, rest[0]) if rest else optim.ChainedScheduler(parts)


@pytest.mark.parametrize("n", range(len(CASES)), ids=[f"{i}-{case[0]}" for i, case in enumerate(CASES)])
def test_rates_are_pytorchs(n: int) -> None:
    schedule = made(n)
    rows = [row(schedule.optimizer)]
    for _ in range(30):
        schedule.step()
        rows.append(row(schedule.optimizer))
    np.testing.assert_allclose(rows, STORED[f"rows{n}"], rtol=1e-12, atol=1e-15)
    assert schedule.get_last_lr() == rows[-1][:2]


@pytest.mark.parametrize("n", range(len(CASES)), ids=[f"{i}-{case[0]}" for i, case in enumerate(CASES)])
def test_state_goes_on(n: int) -> None:
    first, second = made(n), made(n)
    for _ in range(8):
        first.step()
    second.load_state_dict(first.state_dict())
    for _ in range(20):
        first.step()
        second.step()
        assert row(first.optimizer)[:2] == row(second.optimizer)[:2]


@pytest.mark.parametrize("n", range(len(PLATEAUS)))
def test_plateau_is_pytorchs(n: int) -> None:
    schedules = [optim.ReduceLROnPlateau(new(), **PLATEAUS[n]) for _ in range(2)]
    rows = []
    for i, metric in enumerate(STORED["metrics"]):
        if i == 25:
            schedules[1].load_state_dict(schedules[0].state_dict())
            schedules.reverse()
        schedules[0].step(gl.tensor(metric))
        rows.append(row(schedules[0].optimizer))
    np.testing.assert_allclose(rows, STORED[f"plateau{n}"], rtol=1e-12)


def test_all_of_pytorchs_names() -> None:
    lr_scheduler = pytest.importorskip("torch.optim.lr_scheduler")
    assert {name for name in lr_scheduler.__all__ if not hasattr(optim, name)} == set()


def test_bad_arguments() -> None:
    other, optimizer = new(), new()
    for call, error, text in (
        (lambda: optim.StepLR(optimizer, 0), ValueError, "step_size"),
        (lambda: optim.LambdaLR(optimizer, [lambda n: 1.0]), ValueError, "1 functions for 2 groups"),
        (lambda: optim.ConstantLR(optimizer, 0.0), ValueError, "factor"),
        (lambda: optim.LinearLR(optimizer, 0.0), ValueError, "start_factor"),
        (lambda: optim.PolynomialLR(optimizer, 0), ValueError, "total_iters"),
        (lambda: optim.CosineAnnealingWarmRestarts(optimizer, 0), ValueError, "T_0"),
        (lambda: optim.CyclicLR(optimizer, 0.1, 0.2, mode="square"), ValueError, "mode"),
        (lambda: optim.CyclicLR(optimizer, 0.1, [0.2]), ValueError, "1 values for 2 groups"),
        (lambda: optim.CyclicLR(optim.Adagrad([Parameter(gl.tensor([1.0]))]), 0.1, 0.2), ValueError, "momentum"),
        (lambda: optim.OneCycleLR(optimizer, 0.1), ValueError, "total_steps"),
        (lambda: optim.OneCycleLR(optimizer, 0.1, 10, pct_start=2.0), ValueError, "pct_start"),
        (lambda: optim.SequentialLR(optimizer, [optim.StepLR(optimizer, 1)], [1]), ValueError, "one milestone fewer"),
        (lambda: optim.SequentialLR(optimizer, [optim.StepLR(other, 1)], []), ValueError, "another optimizer"),
        (lambda: optim.ChainedScheduler([]), ValueError, "none"),
        (lambda: optim.ChainedScheduler([optim.ReduceLROnPlateau(optimizer)]), ValueError, "metric"),
        (lambda: optim.ReduceLROnPlateau(optimizer, mode="least"), ValueError, "mode"),
        (lambda: optim.ReduceLROnPlateau(optimizer, factor=1.0), ValueError, "factor"),
        (lambda: optim.ReduceLROnPlateau(optimizer).step(), TypeError, "metric"),
        (lambda: optim.StepLR(new(), 1, last_epoch=3), KeyError, "initial_lr"),
    ):
        with pytest.raises(error, match=text):
            call()  # type: ignore[no-untyped-call]
    short = optim.OneCycleLR(new(), 0.1, 2)
    short.step()
    short.step()
    with pytest.raises(ValueError, match="step 3 of 2"):
        short.step()
