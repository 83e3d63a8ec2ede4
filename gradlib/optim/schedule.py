"""Learning rate schedules: the base class, and those whose rate follows from the step count alone.

Rates are PyTorch's at every step, and computed as there, each from the last one: two schedules of one
optimizer, stepped one after the other, multiply.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..errors import CheckpointError, DTypeError
from .optimizer import Optimizer, ParameterGroup
from .settings import is_number

Lambda = Callable[[int], float]


def positive(name: str, key: str, value: Any) -> None:
    """Raise ValueError for a count below 1, or no number."""
    if not (is_number(value) and value >= 1):
        raise ValueError(f"{name}({key}): {key} is {value!r}\n  need 1 or more")


def factors(name: str, **settings: Any) -> None:
    """Raise ValueError for a setting that is negative, or no number."""
    for key, value in settings.items():
        if not (is_number(value) and value >= 0):
            raise ValueError(f"{name}({key}): {key} is {value!r}\n  need a number of at least 0")


def groups_of(name: str, optimizer: Any) -> list[ParameterGroup]:
    """Return the groups of an optimizer; refuse what is none, such as a model."""
    if not isinstance(optimizer, Optimizer):
        raise DTypeError(
            f"{name}(optimizer): optimizer is of type {type(optimizer).__name__}\n"
            f"  need an optimizer, such as gl.optim.SGD(model.parameters(), lr=0.1)"
        )
    return optimizer.param_groups


class Schedule:
    """Sets the rate of every group after n `step` calls; a subclass defines `rate`, or `factor` of the first rate.

    What a step is, an optimizer step or an epoch, is for the caller (or `Trainer`: optimizer steps) to say.
    The first rate of a group is its ``"initial_lr"``, by default its rate when its first schedule is made.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        for group in groups_of(type(self).__name__, optimizer):
            if last_epoch == -1:
                group.setdefault("initial_lr", float(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"{type(self).__name__}(last_epoch={last_epoch}): a group has no 'initial_lr' to go on from\n"
                    f"  need last_epoch=-1 to begin, or groups with 'initial_lr'"
                )
        self.optimizer = optimizer
        self.base = [float(group["initial_lr"]) for group in optimizer.param_groups]
        self.count = last_epoch + 1
        self._set()

    def factor(self, n: int) -> float:
        """Return what the first rate is multiplied by after n steps."""
        raise NotImplementedError(
            f"{type(self).__name__} defines neither rate nor factor\n"
            f"  need def rate(self, n, now, group), or def factor(self, n)"
        )

    def rate(self, n: int, now: float, group: int) -> float:
        """Return the rate of a group after n steps, from its rate after n - 1."""
        return self.base[group] * self.factor(n)

    def step(self) -> None:
        """Go on by one and set the rates."""
        self.count += 1
        self._set()

    def restart(self) -> None:
        """Begin again, from the first rates."""
        self.count = 0
        for group, base in zip(self.optimizer.param_groups, self.base, strict=True):
            group["lr"] = base
        self._set()

    def _set(self) -> None:
        for i, group in enumerate(self.optimizer.param_groups):
            group["lr"] = self.rate(self.count, group["lr"], i)

    def get_last_lr(self) -> list[float]:
        """Return the rates of the groups."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Return how far the schedule is, the first rates and the rates."""
        return {"count": self.count, "base": list(self.base), "rates": self.get_last_lr()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from another schedule's state, with its rates."""
        if len(state["base"]) != len(self.base):
            raise CheckpointError(
                f"{type(self).__name__}.load_state_dict: {len(state['base'])} base rates for {len(self.base)} groups"
            )
        self.count, self.base = int(state["count"]), list(state["base"])
        for group, rate in zip(self.optimizer.param_groups, state["rates"], strict=True):
            group["lr"] = rate


class LambdaLR(Schedule):
    """lr = base lr * lr_lambda(n); a list has a function for each group.

    Examples
    --------
    >>> import gradlib as gl
    >>> optimizer = gl.optim.SGD([gl.nn.Parameter(gl.tensor([1.0]))], lr=0.5)
    >>> schedule = gl.optim.LambdaLR(optimizer, lambda n: 0.5**n)
    >>> schedule.step()
    >>> optimizer.lr
    0.25
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Lambda | Sequence[Lambda], last_epoch: int = -1) -> None:
        name = type(self).__name__
        count = len(groups_of(name, optimizer))
        if not callable(lr_lambda) and not isinstance(lr_lambda, Sequence):
            raise ValueError(f"{name}(lr_lambda): lr_lambda is {lr_lambda!r}\n  need a function, lambda n: ...")
        self.lambdas: list[Lambda] = [lr_lambda] * count if callable(lr_lambda) else list(lr_lambda)
        if len(self.lambdas) != count:
            raise ValueError(
                f"{name}(lr_lambda): {len(self.lambdas)} functions for {count} groups\n  need one, or one for each"
            )
        super().__init__(optimizer, last_epoch)

    def rate(self, n: int, now: float, group: int) -> float:
        """Return base lr * lr_lambda(n)."""
        return self.base[group] * self.lambdas[group](n)


class MultiplicativeLR(LambdaLR):
    """lr <- lr * lr_lambda(n) at step n.

    Examples
    --------
    >>> import gradlib as gl
    >>> optimizer = gl.optim.SGD([gl.nn.Parameter(gl.tensor([1.0]))], lr=1.0)
    >>> schedule = gl.optim.MultiplicativeLR(optimizer, lambda n: 0.5)
    >>> schedule.step(), schedule.step(), optimizer.lr
    (None, None, 0.25)
    """

    def rate(self, n: int, now: float, group: int) -> float:
        """Return lr * lr_lambda(n)."""
        return now * self.lambdas[group](n) if n > 0 else now

    def restart(self) -> None:
        """Begin again, from the rates as they are."""
        self.count = 0


class StepLR(Schedule):
    """lr <- gamma lr at every `step_size`-th step.

    Examples
    --------
    >>> import gradlib as gl
    >>> optimizer = gl.optim.SGD([gl.nn.Parameter(gl.tensor([1.0]))], lr=1.0)
    >>> schedule = gl.optim.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> [(schedule.step(), optimizer.lr)[1] for _ in range(4)]
    [1.0, 0.5, 0.5, 0.25]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        positive("StepLR", "step_size", step_size)
        factors("StepLR", gamma=gamma)
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, n: int, now: float, group: int) -> float:
        """Return gamma lr at multiples of step_size."""
        return now if n == 0 or n % self.step_size else now * self.gamma


class MultiStepLR(Schedule):
    """lr <- gamma lr at each of the `milestones`.

    Examples
    --------
    >>> import gradlib as gl
    >>> optimizer = gl.optim.SGD([gl.nn.Parameter(gl.tensor([1.0]))], lr=1.0)
    >>> schedule = gl.optim.MultiStepLR(optimizer, [1, 3], gamma=0.5)
    >>> [(schedule.step(), optimizer.lr)[1] for _ in range(4)]
    [0.5, 0.5, 0.25, 0.25]
    """

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        factors("MultiStepLR", gamma=gamma)
        if not isinstance(milestones, Iterable):
            raise ValueError(f"MultiStepLR(milestones): milestones is {milestones!r}\n  need a list of steps")
        self.milestones, self.gamma = Counter(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, n: int, now: float, group: int) -> float:
        """Return gamma lr at a milestone, gamma^k lr at one named k times."""
        return now * self.gamma ** self.milestones[n]


class ConstantLR(Schedule):
    """lr = base lr * `factor` for the first `total_iters` steps, then base lr.

    Examples
    --------
    >>> import gradlib as gl
    >>> optimizer = gl.optim.SGD([gl.nn.Parameter(gl.tensor([1.0]))], lr=1.0)
    >>> schedule = gl.optim.ConstantLR(optimizer, factor=0.25, total_iters=2)
    >>> [(schedule.step(), optimizer.lr)[1] for _ in range(3)]
    [0.25, 1.0, 1.0]
    """

    def __init__(
        self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        if not (is_number(factor) and 0 < factor <= 1):
            raise ValueError(f"ConstantLR(factor): factor is {factor}\n  need 0 < factor <= 1")
        self.scale, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def rate(self, n: int, now: float, group: int) -> float:
        """Return factor lr at the start, lr / factor at the end."""
        if n == 0:
            return now * self.scale
        return now / self.scale if n == self.total_iters else now


class LinearLR(Schedule):
    """lr = base lr * f, f going from `start_factor` to `end_factor` in a straight line over `total_iters` steps.

    Before another schedule (see `SequentialLR`) it is a warm-up.

    Examples
    --------
    >>> import gradlib as gl
    >>> optimizer = gl.optim.SGD([gl.nn.Parameter(gl.tensor([1.0]))], lr=1.0)
    >>> schedule = gl.optim.LinearLR(optimizer, start_factor=0.25, total_iters=3)
    >>> [(round(optimizer.lr, 4), schedule.step())[0] for _ in range(4)]
    [0.25, 0.5, 0.75, 1.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        positive("LinearLR", "total_iters", total_iters)
        if not 0 < start_factor <= 1 or not 0 <= end_factor <= 1:
            raise ValueError(
                f"LinearLR(start_factor, end_factor): they are {start_factor} and {end_factor}\n"
                f"  need 0 < start_factor <= 1 and 0 <= end_factor <= 1"
            )
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def rate(self, n: int, now: float, group: int) -> float:
        """Return the next point of the line."""
        if n == 0:
            return now * self.start_factor
        if n > self.total_iters:
            return now
        rise = self.end_factor - self.start_factor
        return now * (1.0 + rise / (self.total_iters * self.start_factor + (n - 1) * rise))


class ExponentialLR(Schedule):
    """lr = base lr * gamma^n.

    Examples
    --------
    >>> import gradlib as gl
    >>> optimizer = gl.optim.SGD([gl.nn.Parameter(gl.tensor([1.0]))], lr=1.0)
    >>> schedule = gl.optim.ExponentialLR(optimizer, gamma=0.5)
    >>> [(schedule.step(), optimizer.lr)[1] for _ in range(3)]
    [0.5, 0.25, 0.125]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        factors("ExponentialLR", gamma=gamma)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, n: int, now: float, group: int) -> float:
        """Return gamma lr."""
        return now if n == 0 else now * self.gamma


class PolynomialLR(Schedule):
    """lr = base lr * (1 - n / total_iters)^power, 0 from `total_iters` on.

    Examples
    --------
    >>> import gradlib as gl
    >>> optimizer = gl.optim.SGD([gl.nn.Parameter(gl.tensor([1.0]))], lr=1.0)
    >>> schedule = gl.optim.PolynomialLR(optimizer, total_iters=4)
    >>> [(schedule.step(), round(optimizer.lr, 4))[1] for _ in range(5)]
    [0.75, 0.5, 0.25, 0.0, 0.0]
    """

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        positive("PolynomialLR", "total_iters", total_iters)
        factors("PolynomialLR", power=power)
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def rate(self, n: int, now: float, group: int) -> float:
        """Return the next point of the curve."""
        if n == 0 or n > self.total_iters:
            return now
        left = (1.0 - n / self.total_iters) / (1.0 - (n - 1) / self.total_iters)
        return float(now * left**self.power)


class CosineAnnealingLR(Schedule):
    """lr = eta_min + (base lr - eta_min) (1 + cos(pi n / T_max)) / 2.

    Source: Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017, equation 5.

    Examples
    --------
    >>> import gradlib as gl
    >>> optimizer = gl.optim.SGD([gl.nn.Parameter(gl.tensor([1.0]))], lr=1.0)
    >>> schedule = gl.optim.CosineAnnealingLR(optimizer, T_max=2)
    >>> [(schedule.step(), round(optimizer.lr, 4))[1] for _ in range(2)]
    [0.5, 0.0]
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:  # noqa: N803 (PyTorch's name)
        positive("CosineAnnealingLR", "T_max", T_max)
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def rate(self, n: int, now: float, group: int) -> float:
        """Return the next point of the wave."""
        if n == 0:
            return now
        angle = math.pi / self.T_max
        if (n - 1 - self.T_max) % (2 * self.T_max) == 0:  # the wave was at its bottom
            return now + (self.base[group] - self.eta_min) * (1.0 - math.cos(angle)) / 2.0
        ratio = (1.0 + math.cos(angle * n)) / (1.0 + math.cos(angle * (n - 1)))
        return ratio * (now - self.eta_min) + self.eta_min
