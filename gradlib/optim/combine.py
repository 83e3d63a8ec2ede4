"""Schedules made of schedules, and the one that watches a metric."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import CheckpointError
from .cyclic import Each, each
from .optimizer import Optimizer
from .schedule import Schedule, groups_of


def _of_one_optimizer(name: str, optimizer: Optimizer, schedulers: Sequence[Schedule]) -> None:
    if not schedulers:
        raise ValueError(f"{name}(schedulers): there are none\n  need at least one")
    for i, schedule in enumerate(schedulers):
        if isinstance(schedule, ReduceLROnPlateau):
            raise ValueError(f"{name}(schedulers): schedulers[{i}] needs a metric\n  need schedules of the step alone")
        if schedule.optimizer is not optimizer:
            raise ValueError(f"{name}(schedulers): schedulers[{i}] has another optimizer\n  need one for all")


class _Several(Schedule):
    """What schedules made of schedules have in common."""

    schedulers: list[Schedule]

    def get_last_lr(self) -> list[float]:
        """Return the rates of the groups."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Return how far the schedule is, and the states of its parts."""
        parts = [schedule.state_dict() for schedule in self.schedulers]
        return {"count": self.count, "schedulers": parts, "rates": self.get_last_lr()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from another schedule's state, with its rates."""
        saved, own = len(state["schedulers"]), len(self.schedulers)
        if saved != own:
            raise CheckpointError(f"{type(self).__name__}.load_state_dict: {saved} schedules for {own}")
        for schedule, part in zip(self.schedulers, state["schedulers"], strict=True):
            schedule.load_state_dict(part)
        self.count = int(state["count"])
        for group, rate in zip(self.optimizer.param_groups, state["rates"], strict=True):
            group["lr"] = rate


class SequentialLR(_Several):
    """One schedule after the other: the next begins, from the first rates, at each of the `milestones`.

    Examples
    --------
    >>> import gradlib as gl
    >>> optimizer = gl.optim.SGD([gl.nn.Parameter(gl.tensor([1.0]))], lr=1.0)
    >>> warm = gl.optim.LinearLR(optimizer, 0.25, total_iters=3)
    >>> cool = gl.optim.ExponentialLR(optimizer, 0.5)
    >>> schedule = gl.optim.SequentialLR(optimizer, [warm, cool], milestones=[3])
    >>> [(round(optimizer.lr, 4), schedule.step())[0] for _ in range(6)]
    [0.25, 0.5, 0.75, 1.0, 0.5, 0.25]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[Schedule],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:
        _of_one_optimizer("SequentialLR", optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1 or list(milestones) != sorted(milestones):
            raise ValueError(
                f"SequentialLR(schedulers, milestones): {len(schedulers)} schedules, milestones {list(milestones)}\n"
                f"  need one milestone fewer than schedules, in order"
            )
        self.optimizer, self.schedulers, self.milestones = optimizer, list(schedulers), list(milestones)
        self.restart()
        self.count = last_epoch + 1

    def step(self) -> None:
        """Go on by one: a step of the schedule whose turn it is."""
        self.count += 1
        schedule = self.schedulers[bisect_right(self.milestones, self.count)]
        if self.count in self.milestones:
            schedule.restart()
        else:
            schedule.step()

    def restart(self) -> None:
        """Begin again with the first schedule."""
        self.count = 0
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        self.schedulers[bisect_right(self.milestones, 0)].restart()


class ChainedScheduler(_Several):
    """Several schedules at once: each changes the rate that the one before leaves.

    Examples
    --------
    >>> import gradlib as gl
    >>> optimizer = gl.optim.SGD([gl.nn.Parameter(gl.tensor([1.0]))], lr=1.0)
    >>> parts = [gl.optim.ConstantLR(optimizer, 0.5, 2), gl.optim.ExponentialLR(optimizer, 0.5)]
    >>> schedule = gl.optim.ChainedScheduler(parts)
    >>> [(optimizer.lr, schedule.step())[0] for _ in range(4)]
    [0.5, 0.25, 0.25, 0.125]
    """

    def __init__(self, schedulers: Sequence[Schedule], optimizer: Optimizer | None = None) -> None:
        first = schedulers[0].optimizer if schedulers else None
        chosen = optimizer or first
        if chosen is None:
            raise ValueError("ChainedScheduler(schedulers): there are none\n  need at least one")
        _of_one_optimizer("ChainedScheduler", chosen, schedulers)
        self.optimizer, self.schedulers, self.count = chosen, list(schedulers), 0

    def step(self) -> None:
        """Let each schedule go on by one."""
        self.count += 1
        for schedule in self.schedulers:
            schedule.step()

    def restart(self) -> None:
        """Refuse: the parts would each begin from the first rates."""
        raise ValueError("ChainedScheduler: it cannot begin again inside of another schedule")


class ReduceLROnPlateau(Schedule):
    """lr <- max(factor lr, min_lr) once ``step(metric)`` was called more than `patience` times without a better metric.

    Better is less than (mode "max": more than) the best by `threshold`, relative or absolute
    (`threshold_mode`).  `cooldown` calls after a change do not count; changes below `eps` are not made.

    Examples
    --------
    >>> import gradlib as gl
    >>> optimizer = gl.optim.SGD([gl.nn.Parameter(gl.tensor([1.0]))], lr=1.0)
    >>> schedule = gl.optim.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> [(schedule.step(loss), optimizer.lr)[1] for loss in (3.0, 2.0, 2.0, 2.0)]
    [1.0, 1.0, 1.0, 0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: Each = 0.0,
        eps: float = 1e-8,
    ) -> None:
        name = "ReduceLROnPlateau"
        groups_of(name, optimizer)
        if not factor < 1:
            raise ValueError(f"{name}(factor): factor is {factor}\n  need factor < 1")
        for key, value, known in (("mode", mode, ("min", "max")), ("threshold_mode", threshold_mode, ("rel", "abs"))):
            if value not in known:
                raise ValueError(f"{name}({key}): {value!r} is unknown\n  need {known[0]!r} or {known[1]!r}")
        self.optimizer, self.mode, self.scale, self.patience = optimizer, mode, factor, patience
        self.threshold, self.relative, self.cooldown, self.eps = threshold, threshold_mode == "rel", cooldown, eps
        self.min_lrs = each(name, "min_lr", optimizer, min_lr)
        self.best = math.inf if mode == "min" else -math.inf
        self.bad = self.waiting = self.count = 0

    def step(self, metrics: Any = None) -> None:
        """Take notice of a metric (a number, or a tensor of one) and set the rates."""
        if metrics is None:
            raise TypeError(
                "ReduceLROnPlateau.step(metrics): there is no metric to watch\n  need the validation loss, or another"
            )
        current = float(metrics)
        self.count += 1
        sign = 1.0 if self.mode == "min" else -1.0
        bar = self.best * (1.0 - sign * self.threshold) if self.relative else self.best - sign * self.threshold
        better = sign * current < sign * bar
        if better:
            self.best, self.bad = current, 0
        else:
            self.bad += 1
        if self.waiting > 0:
            self.waiting, self.bad = self.waiting - 1, 0
        if self.bad > self.patience:
            for group, low in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
                new = max(group["lr"] * self.scale, low)
                if group["lr"] - new > self.eps:
                    group["lr"] = new
            self.waiting, self.bad = self.cooldown, 0

    def state_dict(self) -> dict[str, Any]:
        """Return the best metric, the counters and the rates."""
        kept = {key: getattr(self, key) for key in ("best", "bad", "waiting", "count")}
        return {**kept, "rates": self.get_last_lr()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from another schedule's state, with its rates."""
        for key in ("best", "bad", "waiting", "count"):
            setattr(self, key, state[key])
        for group, rate in zip(self.optimizer.param_groups, state["rates"], strict=True):
            group["lr"] = rate
