"""Schedules that rise and fall: triangles, one cycle, cosine with restarts.  Two of them move the momentum too."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from .optimizer import Optimizer
from .schedule import Schedule, groups_of, positive
from .settings import is_number

Each = float | Sequence[float]


def each(name: str, key: str, optimizer: Optimizer, value: Each) -> list[float]:
    """Return a number for every group."""
    count = len(groups_of(name, optimizer))
    given = value if isinstance(value, Sequence) else [value] * count
    if not all(map(is_number, given)):
        raise ValueError(f"{name}({key}): {key} is {value!r}\n  need a number, or one for each group")
    values = [float(v) for v in given]
    if len(values) != count:
        raise ValueError(f"{name}({key}): {len(values)} values for {count} groups\n  need one, or one for each")
    return values


class _Momentum:
    """The setting of each group that is its momentum: ``momentum``, or the first of ``betas``."""

    def __init__(self, name: str, optimizer: Optimizer) -> None:
        group = optimizer.param_groups[0]
        if "betas" not in group and "momentum" not in group:
            raise ValueError(
                f"{name}(cycle_momentum=True): no group has momentum or betas\n  need cycle_momentum=False"
            )
        self.optimizer, self.in_betas = optimizer, "betas" in group

    def set(self, group: int, value: float) -> None:
        settings = self.optimizer.param_groups[group]
        if self.in_betas:
            settings["betas"] = (value, *settings["betas"][1:])
        else:
            settings["momentum"] = value


class CosineAnnealingWarmRestarts(Schedule):
    """lr = eta_min + (base lr - eta_min) (1 + cos(pi k / T)) / 2, k the steps since the last restart.

    The first restart is after T = `T_0` steps; then T <- `T_mult` T.
    Source: Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.

    Examples
    --------
    >>> import gradlib as gl
    >>> optimizer = gl.optim.SGD([gl.nn.Parameter(gl.tensor([1.0]))], lr=1.0)
    >>> schedule = gl.optim.CosineAnnealingWarmRestarts(optimizer, T_0=2)
    >>> [(schedule.step(), round(optimizer.lr, 4))[1] for _ in range(4)]
    [0.5, 1.0, 0.5, 1.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,  # noqa: N803 (PyTorch's name)
        T_mult: int = 1,  # noqa: N803
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        positive("CosineAnnealingWarmRestarts", "T_0", T_0)
        positive("CosineAnnealingWarmRestarts", "T_mult", T_mult)
        self.T_0, self.T_mult, self.eta_min = T_0, T_mult, eta_min
        super().__init__(optimizer, last_epoch)

    def rate(self, n: int, now: float, group: int) -> float:
        """Return the point of the wave."""
        period = self.T_0
        if self.T_mult == 1:
            n %= period
        while n >= period:
            n, period = n - period, period * self.T_mult
        return self.eta_min + (self.base[group] - self.eta_min) * (1.0 + math.cos(math.pi * n / period)) / 2.0


class CyclicLR(Schedule):
    """lr goes from base_lr to max_lr in `step_size_up` steps and back in `step_size_down`, again and again.

    The height of a cycle is scaled: by 1 (mode "triangular"), 1 / 2^(cycle - 1) ("triangular2"), gamma^n
    ("exp_range"), or ``scale_fn(cycle)``, ``scale_fn(n)`` with ``scale_mode="iterations"``.  With
    `cycle_momentum` the momentum (or the first beta) goes the other way, between the two given.

    Source: Smith, "Cyclical learning rates for training neural networks", WACV 2017.

    Examples
    --------
    >>> import gradlib as gl
    >>> optimizer = gl.optim.SGD([gl.nn.Parameter(gl.tensor([1.0]))], lr=1.0)
    >>> schedule = gl.optim.CyclicLR(optimizer, 1.0, 3.0, step_size_up=2, cycle_momentum=False)
    >>> [(schedule.step(), optimizer.lr)[1] for _ in range(4)]
    [2.0, 3.0, 2.0, 1.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: Each,
        max_lr: Each,
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: Each = 0.8,
        max_momentum: Each = 0.9,
        last_epoch: int = -1,
    ) -> None:
        name = "CyclicLR"
        scales: dict[str, Callable[[float], float]] = {
            "triangular": lambda cycle: 1.0,
            "triangular2": lambda cycle: 1.0 / 2.0 ** (cycle - 1),
            "exp_range": lambda n: gamma**n,
        }
        if scale_fn is None and mode not in scales:
            raise ValueError(f"CyclicLR(mode): {mode!r} is unknown\n  need one of {', '.join(scales)}, or scale_fn")
        self.by_cycle = scale_mode == "cycle" if scale_fn is not None else mode != "exp_range"
        self.scale = scale_fn or scales[mode]
        down = step_size_up if step_size_down is None else step_size_down
        self.total = float(step_size_up + down)
        self.ratio = step_size_up / self.total
        lows, self.max_lrs = each(name, "base_lr", optimizer, base_lr), each(name, "max_lr", optimizer, max_lr)
        self.momentum = _Momentum(name, optimizer) if cycle_momentum else None
        self.base_momentums = each(name, "base_momentum", optimizer, base_momentum)
        self.max_momentums = each(name, "max_momentum", optimizer, max_momentum)
        self.lows = lows
        if last_epoch == -1:
            for group, low in zip(optimizer.param_groups, lows, strict=True):
                group["lr"] = low
        super().__init__(optimizer, last_epoch)

    def rate(self, n: int, now: float, group: int) -> float:
        """Return the point of the triangle; set the momentum."""
        cycle = math.floor(1 + n / self.total)
        x = 1.0 + n / self.total - cycle
        height = x / self.ratio if x <= self.ratio else (x - 1) / (self.ratio - 1)
        scale = self.scale(cycle if self.by_cycle else n)
        if self.momentum is not None:
            high = self.max_momentums[group]
            self.momentum.set(group, high - (high - self.base_momentums[group]) * height * scale)
        low = self.lows[group]
        return low + (self.max_lrs[group] - low) * height * scale


class OneCycleLR(Schedule):
    """lr rises from max_lr / div_factor to max_lr in the share `pct_start` of the steps, then falls far lower.

    It ends at max_lr / div_factor / final_div_factor, by a half cosine or a straight line
    (`anneal_strategy`); with `three_phase` it first falls to its start, as fast as it rose.  With
    `cycle_momentum` the momentum (or the first beta) goes the other way.  All steps are `total_steps`,
    or epochs * steps_per_epoch; one more is a ValueError.

    Source: Smith and Topin, "Super-convergence", 2018.

    Examples
    --------
    >>> import gradlib as gl
    >>> optimizer = gl.optim.SGD([gl.nn.Parameter(gl.tensor([1.0]))], lr=1.0)
    >>> schedule = gl.optim.OneCycleLR(optimizer, 1.0, 11, pct_start=0.5, div_factor=10, cycle_momentum=False)
    >>> [(round(optimizer.lr, 3), schedule.step())[0] for _ in range(11)]
    [0.1, 0.205, 0.472, 0.775, 0.973, 0.98, 0.827, 0.571, 0.292, 0.079, 0.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: Each,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: Each = 0.85,
        max_momentum: Each = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        name = "OneCycleLR"
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError(
                    "OneCycleLR(total_steps): the number of steps is not given\n"
                    "  need total_steps, or epochs and steps_per_epoch"
                )
            total_steps = epochs * steps_per_epoch
        positive(name, "total_steps", total_steps)
        if not 0 <= pct_start <= 1:
            raise ValueError(f"{name}(pct_start): pct_start is {pct_start}\n  need 0 <= pct_start <= 1")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"{name}(anneal_strategy): {anneal_strategy!r} is unknown\n  need 'cos' or 'linear'")
        self.total_steps, self.cosine = total_steps, anneal_strategy == "cos"
        peaks = each(name, "max_lr", optimizer, max_lr)
        starts = [peak / div_factor for peak in peaks]
        self.momentum = _Momentum(name, optimizer) if cycle_momentum else None
        lows = each(name, "base_momentum", optimizer, base_momentum)
        highs = each(name, "max_momentum", optimizer, max_momentum)
        # at the ends of the phases: (step, rates, momenta)
        turn, last = pct_start * total_steps - 1, total_steps - 1
        ends = [start / final_div_factor for start in starts]
        self.knots = [(0.0, starts, highs), (turn, peaks, lows), (float(last), ends, highs)]
        if three_phase:
            self.knots.insert(2, (2 * pct_start * total_steps - 2, starts, highs))
        if last_epoch == -1:
            for group, start in zip(optimizer.param_groups, starts, strict=True):
                group["initial_lr"] = start
        super().__init__(optimizer, last_epoch)

    def rate(self, n: int, now: float, group: int) -> float:
        """Return the point of the cycle; set the momentum."""
        if n > self.total_steps:
            raise ValueError(f"OneCycleLR.step: step {n} of {self.total_steps}\n  need a larger total_steps")
        k = next((k for k in range(1, len(self.knots)) if n <= self.knots[k][0]), len(self.knots) - 1)
        (before, rates, momenta), (after, next_rates, next_momenta) = self.knots[k - 1 : k + 1]
        way = (n - before) / (after - before)
        if self.momentum is not None:
            self.momentum.set(group, self._between(momenta[group], next_momenta[group], way))
        return self._between(rates[group], next_rates[group], way)

    def _between(self, start: float, end: float, way: float) -> float:
        if self.cosine:
            return end + (start - end) / 2.0 * (1.0 + math.cos(math.pi * way))
        return start + (end - start) * way
