"""Learning rate schedules: each `step` sets the rate of every group to its first value times a factor."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import CheckpointError
from .optimizer import Optimizer


class Schedule:
    """lr = base lr * factor(n), n the number of `step` calls so far; a subclass defines `factor`.

    What a step is, an optimizer step or an epoch, is for the caller (or `Trainer`: optimizer steps) to say.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.base = [float(group["lr"]) for group in optimizer.param_groups]
        self.count = 0
        self._set()

    def factor(self, n: int) -> float:
        """Return what the base rate is multiplied by after n steps."""
        raise NotImplementedError

    def step(self) -> None:
        """Go on by one and set the rates."""
        self.count += 1
        self._set()

    def _set(self) -> None:
        factor = self.factor(self.count)
        for group, base in zip(self.optimizer.param_groups, self.base, strict=True):
            group["lr"] = base * factor

    def state_dict(self) -> dict[str, Any]:
        """Return how far the schedule is, and the base rates."""
        return {"count": self.count, "base": list(self.base)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from another schedule's state."""
        if len(state["base"]) != len(self.base):
            raise CheckpointError(
                f"{type(self).__name__}.load_state_dict: {len(state['base'])} base rates for {len(self.base)} groups"
            )
        self.count, self.base = int(state["count"]), list(state["base"])
        self._set()


class LambdaLR(Schedule):
    """lr = base lr * lr_lambda(n).

    Examples
    --------
    >>> import gradlib as gl
    >>> optimizer = gl.optim.SGD([gl.nn.Parameter(gl.tensor([1.0]))], lr=0.5)
    >>> schedule = gl.optim.LambdaLR(optimizer, lambda n: 0.5**n)
    >>> schedule.step()
    >>> optimizer.lr
    0.25
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float]) -> None:
        self.lr_lambda = lr_lambda
        super().__init__(optimizer)

    def factor(self, n: int) -> float:
        """Return lr_lambda(n)."""
        return self.lr_lambda(n)


class LinearLR(Schedule):
    """lr = base lr * f, f going from `start_factor` to `end_factor` in a straight line over `total_iters` steps."""

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1.0 / 3, end_factor: float = 1.0, total_iters: int = 5
    ) -> None:
        if total_iters < 1:
            raise ValueError(f"LinearLR(total_iters): total_iters is {total_iters}\n  need 1 or more")
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer)

    def factor(self, n: int) -> float:
        """Return the point of the line."""
        return self.start_factor + (self.end_factor - self.start_factor) * min(n / self.total_iters, 1.0)


class CosineAnnealingLR(Schedule):
    """lr = eta_min + (base lr - eta_min) (1 + cos(pi n / T_max)) / 2.

    Source: Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017, equation 5.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:  # noqa: N803 (PyTorch's name)
        if T_max < 1:
            raise ValueError(f"CosineAnnealingLR(T_max): T_max is {T_max}\n  need 1 or more")
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer)

    def factor(self, n: int) -> float:
        """Return how far the half wave is down."""
        return 0.5 * (1.0 + math.cos(math.pi * n / self.T_max))

    def _set(self) -> None:
        factor = self.factor(self.count)
        for group, base in zip(self.optimizer.param_groups, self.base, strict=True):
            group["lr"] = self.eta_min + (base - self.eta_min) * factor
