"""Plain gradient descent, with a rule when to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..ops.update import sgd
from .optimizer import Optimizer
from .settings import at_least_zero


class GradientDescent(Optimizer):
    """w_t = w_(t-1) - lr grad f(w_(t-1)), until |f(w_t) - f(w_(t-1))| <= eps.

    ``step(closure)`` goes on by one and sets `converged`; ``minimize(closure)`` repeats that.  `closure` forgets
    the gradients, computes the loss, calls ``backward`` and returns the loss.  Kernel: ``update.cu``.

    Raises: ValueError for a negative eps.

    Examples
    --------
    >>> import gradlib as gl
    >>> w = gl.nn.Parameter(gl.tensor([4.0]))
    >>> optimizer = gl.optim.GradientDescent([w], lr=0.25, eps=1e-3)
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (w * w).sum()
    ...     loss.backward()
    ...     return loss
    >>> optimizer.minimize(closure)
    [16.0, 4.0, 1.0, 0.25, 0.0625, 0.015625, 0.00390625, 0.0009765625, 0.000244140625]
    >>> optimizer.converged
    True
    """

    rule = sgd

    def __init__(self, params: Iterable[Any], lr: float = 1e-2, eps: float = 1e-6) -> None:
        super().__init__(params, {"lr": lr, "eps": eps})
        self.value: float | None = None
        self.converged = False

    def check(self, settings: dict[str, Any]) -> None:
        """Raise ValueError for an eps that makes no sense."""
        at_least_zero("GradientDescent", settings, "eps")

    def buffers(self, settings: Any) -> tuple[str, ...]:
        """Return no names: there is no memory."""
        return ()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Evaluate the loss where the parameters are; unless it has hardly changed since the last step, take one."""
        if closure is None:
            return super().step()
        loss = closure()
        value, before = float(loss), self.value
        self.value = value
        self.converged = before is not None and abs(value - before) <= self.param_groups[0]["eps"]
        if not self.converged:
            super().step()
        return loss

    def minimize(self, closure: Callable[[], Any], max_steps: int = 10_000) -> list[float]:
        """Step until it has converged, `max_steps` times at most; return f(w_0), f(w_1), ..."""
        values: list[float] = []
        self.value, self.converged = None, False
        while not self.converged and len(values) <= max_steps:
            values.append(float(self.step(closure)))
        return values
