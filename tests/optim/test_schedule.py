"""Learning rate schedules against PyTorch's and their formulas."""

from __future__ import annotations

import pytest

import gradlib as gl
from gradlib import optim
from gradlib.nn import Parameter


def optimizer(lr: float = 0.8) -> optim.SGD:
    return optim.SGD([Parameter(gl.tensor([1.0]))], lr=lr)


def rates(schedule: optim.Schedule, steps: int) -> list[float]:
    found = [schedule.optimizer.lr]
    for _ in range(steps):
        schedule.step()
        found.append(schedule.optimizer.lr)
    return found


def test_against_pytorch() -> None:
    torch = pytest.importorskip("torch")
    for name, settings in (
        ("CosineAnnealingLR", {"T_max": 6, "eta_min": 0.1}),
        ("LinearLR", {"start_factor": 0.25, "end_factor": 0.75, "total_iters": 4}),
        ("LambdaLR", {"lr_lambda": lambda n: 1 / (1 + n)}),
    ):
        other = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.8)
        theirs = getattr(torch.optim.lr_scheduler, name)(other, **settings)
        expected = [other.param_groups[0]["lr"]]
        for _ in range(6):
            other.step()
            theirs.step()
            expected.append(other.param_groups[0]["lr"])
        assert rates(getattr(optim, name)(optimizer(), **settings), 6) == pytest.approx(expected), name


def test_to_zero_in_a_straight_line() -> None:
    assert rates(optim.LinearLR(optimizer(), 1.0, 0.0, 4), 5) == pytest.approx([0.8, 0.6, 0.4, 0.2, 0.0, 0.0])


def test_state_goes_on() -> None:
    first = optim.CosineAnnealingLR(optimizer(), 10)
    for _ in range(3):
        first.step()
    second = optim.CosineAnnealingLR(optimizer(lr=123.0), 10)
    second.load_state_dict(first.state_dict())
    assert rates(second, 2) == pytest.approx(rates(first, 2))
    with pytest.raises(gl.CheckpointError, match="2 base rates for 1 groups"):
        second.load_state_dict({"count": 1, "base": [1.0, 2.0]})


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="T_max"):
        optim.CosineAnnealingLR(optimizer(), 0)
    with pytest.raises(ValueError, match="total_iters"):
        optim.LinearLR(optimizer(), total_iters=0)
