"""Gradient descent whose steps are as long as the linear model can be trusted."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from ..core import Tensor, enable_grad, no_grad, op
from ..kernel import Table
from ..nn.utils import get_total_norm
from ..ops.update import sgd
from .optimizer import Optimizer
from .settings import number


class TrustRegionGradientDescent(Optimizer):
    """w_t = w_(t-1) - r grad f / |grad f|, the least of the linear model within the radius r, where f falls enough.

    rho = (f(w_(t-1)) - f(w_t)) / (r |grad f|) compares the fall of f with that of the model.  Up to `accept` the step
    is taken back.  Below `low` the radius becomes `shrink` r, above `high` `grow` r, at most `max_radius`.
    `lr` is the first radius; ``optimizer.lr`` is the radius now.

    ``step(closure)`` goes on by one and returns f where the parameters are now; `closure` forgets the gradients,
    computes the loss, calls ``backward`` and returns the loss.  ``minimize(closure)`` repeats that until an accepted
    step changes f by at most `eps`, the gradient is 0, or the radius has become too small to change anything:
    then `converged` is true.  All groups share one radius.  Kernel: ``update.cu``, for all parameters at once.

    Raises: ValueError unless 0 <= accept <= low < high and shrink < 1 < grow.
    Source: Nocedal and Wright, "Numerical optimization", 2nd edition, Algorithm 4.1, with a linear model.

    Examples
    --------
    >>> import gradlib as gl
    >>> w = gl.nn.Parameter(gl.tensor([4.0, 0.0]))
    >>> optimizer = gl.optim.TrustRegionGradientDescent([w], lr=1.0)
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (w * w).sum()
    ...     loss.backward()
    ...     return loss
    >>> optimizer.minimize(closure)[:4], optimizer.converged
    ([16.0, 9.0, 1.0, 1.0], True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        eps: float = 1e-6,
        max_radius: float = math.inf,
        *,
        accept: float = 0.1,
        low: float = 0.25,
        high: float = 0.75,
        shrink: float = 0.25,
        grow: float = 2.0,
    ) -> None:
        if not (0 <= accept <= low < high and 0 < shrink < 1 < grow and eps >= 0 and max_radius > 0):
            raise ValueError(
                f"TrustRegionGradientDescent: accept {accept}, low {low}, high {high}, shrink {shrink}, grow {grow}, "
                f"eps {eps}, max_radius {max_radius}\n"
                f"  need 0 <= accept <= low < high, 0 < shrink < 1 < grow, eps >= 0, max_radius > 0"
            )
        super().__init__(params, {"lr": lr})
        self.eps, self.max_radius = eps, max_radius
        self.accept, self.low, self.high, self.shrink, self.grow = accept, low, high, shrink, grow
        self.value: float | None = None
        self.converged = False
        self._kept: dict[Any, Table] = {}

    def _evaluate(self, closure: Callable[[], Any]) -> float:
        with enable_grad():
            return float(closure())

    def _move(self, params: list[Tensor], length: float) -> None:
        """w <- w - length g for all parameters: one launch for those of a dtype."""
        alike: dict[Any, list[Tensor]] = {}
        for p in params:
            alike.setdefault((p.device, p.dtype), []).append(p)
        for kind, members in alike.items():
            rate, once = number(members[0], length), op.cast(number(members[0], 1.0), dtype="int64")
            calls = [(p, None, p.grad) for p in members]
            sgd.each(calls, rate, once, table=self._kept.setdefault(kind, Table()))

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Try a step; return f where the parameters are after it."""
        if closure is None:
            raise TypeError(
                "TrustRegionGradientDescent.step(closure): there is no closure\n"
                "  need one that clears the gradients, computes the loss, calls backward and returns the loss"
            )
        if self.value is None:
            self.value = self._evaluate(closure)
        active = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        before = [(p, Tensor(p.data.copy()), p.grad) for p in active]
        norm, radius = float(get_total_norm([p.grad for p in active])), self.lr
        if norm == 0 or not math.isfinite(norm):
            self.converged = norm == 0
            return self.value
        with no_grad():
            self._move(active, radius / norm)
        moved = any(bool(op.any(op.not_equal(p.data, start.data))) for p, start, _ in before)
        new = self._evaluate(closure)
        rho = (self.value - new) / (radius * norm) if math.isfinite(new) else -math.inf
        if rho > self.accept:
            self.converged = abs(self.value - new) <= self.eps
            self.value = new
        else:
            self.converged = not moved
            for p, start, grad in before:
                p.assign(start)
                p.grad = grad
        if rho < self.low:
            self.lr = self.shrink * radius
        elif rho > self.high:
            self.lr = min(self.grow * radius, self.max_radius)
        return self.value

    def minimize(self, closure: Callable[[], Any], max_steps: int = 10_000) -> list[float]:
        """Step until it has converged, `max_steps` times at most; return f(w_0) and f after each step."""
        self.value, self.converged = self._evaluate(closure), False
        values = [self.value]
        while not self.converged and len(values) <= max_steps:
            values.append(float(self.step(closure)))
        return values
