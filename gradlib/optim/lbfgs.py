"""L-BFGS, for smooth functions that can be evaluated again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..core import Tensor, enable_grad, no_grad, op
from ..errors import CheckpointError, DeviceError, GradientError
from ..spec import promote
from .optimizer import Optimizer
from .settings import at_least_zero
from .wolfe import Point, strong_wolfe

Array = Any

_CLOSURE = "  need one that clears the gradients, computes the loss, calls backward and returns the loss"


def _dot(a: Array, b: Array) -> float:
    return float(op.sum(op.multiply(a, b)))


def _largest(a: Array) -> float:
    return float(op.max(op.abs(a)))


class LBFGS(Optimizer):
    """p <- p - t H g, H the inverse Hessian estimated from the last `history_size` steps and changes of the gradient.

    ``step(closure)`` takes up to `max_iter` such steps (fewer once the largest |g| is at most
    `tolerance_grad`, or the change of p or of the value at most `tolerance_change`, or after `max_eval`
    evaluations); `closure` forgets the gradients, computes the loss, calls ``backward`` and returns the loss.
    t is `lr`, or with ``line_search_fn="strong_wolfe"`` searched for from there.  The arithmetic is that of
    ``torch.optim.LBFGS``.  One group of parameters, on one device.

    Raises
    ------
    ValueError : several groups, or an unknown line search.
    DeviceError : parameters on several devices.
    TypeError, GradientError : (a step) a closure that is missing, returns no loss, or leaves no gradient.

    Source: Nocedal and Wright, "Numerical optimization", 2nd edition, Algorithms 7.4 and 7.5.

    Examples
    --------
    >>> import gradlib as gl
    >>> p = gl.nn.Parameter(gl.tensor([3.0, -4.0], dtype="float64"))
    >>> optimizer = gl.optim.LBFGS([p], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = ((p - gl.tensor([1.0, 2.0], dtype="float64")) ** 2).sum()
    ...     loss.backward()
    ...     return loss
    >>> optimizer.step(closure).item()
    40.0
    >>> [round(x, 6) for x in p.tolist()]
    [1.0, 2.0]
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        limits = {"max_iter": max_iter, "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval}
        tolerances = {"tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change}
        search = {"history_size": history_size, "line_search_fn": line_search_fn}
        super().__init__(params, {"lr": lr, **limits, **tolerances, **search})
        if len(self.param_groups) != 1:
            raise ValueError(f"LBFGS(params): {len(self.param_groups)} groups of parameters\n  need one")
        self._params: list[Tensor] = self.param_groups[0]["params"]
        devices = {p.device for p in self._params}
        if len(devices) > 1:
            raise DeviceError(f"LBFGS(params): parameters are on {' and '.join(sorted(devices))}\n  need one device")
        # iteration count, evaluations, then what the last iteration left
        self.memory: dict[str, Any] = {"n_iter": 0, "func_evals": 0, "changes": [], "steps": [], "scale": 1.0}

    def check(self, settings: dict[str, Any]) -> None:
        """Raise ValueError for settings that make no sense."""
        at_least_zero("LBFGS", settings, "max_iter", "max_eval", "tolerance_grad", "tolerance_change", "history_size")
        if settings["line_search_fn"] not in (None, "strong_wolfe"):
            raise ValueError(
                f"LBFGS(line_search_fn): {settings['line_search_fn']!r} is unknown\n  need 'strong_wolfe' or None"
            )

    # -- parameters and gradient as one vector

    def _flat_gradient(self) -> Array:
        return self._flat([op.zeros_like(p.data) if p.grad is None else p.grad.data for p in self._params])

    def _flat(self, arrays: list[Array]) -> Array:
        dtype = promote(p.dtype for p in self._params)
        return op.concat([op.cast(op.reshape(a, shape=(-1,)), dtype=dtype) for a in arrays])

    def _move(self, values: Array, t: float, direction: Array) -> None:
        """Set the parameters to values + t direction."""
        start, new = 0, op.add(values, op.multiply(direction, t))
        for p in self._params:
            p.assign(op.cast(op.reshape(new[start : start + p.size], shape=p.shape), dtype=p.dtype))
            start += p.size

    def _evaluate(self, closure: Callable[[], Any]) -> tuple[float, Array]:
        with enable_grad():
            value = float(closure())
        self.memory["func_evals"] += 1
        return value, self._flat_gradient()

    # -- the direction

    def _remember(self, gradient: Array) -> None:
        """Keep the last step s and the change y of the gradient over it, if they tell a positive curvature."""
        memory = self.memory
        y = op.subtract(gradient, memory["gradient"])
        s = op.multiply(memory["direction"], memory["t"])
        curvature = _dot(y, s)
        if curvature > 1e-10:
            memory["changes"] = [*memory["changes"], y][-self.param_groups[0]["history_size"] :]
            memory["steps"] = [*memory["steps"], s][-self.param_groups[0]["history_size"] :]
            memory["scale"] = curvature / _dot(y, y)

    def _direction(self, gradient: Array) -> Array:
        """Return -H g, by the two loops over the remembered steps."""
        q = op.negative(gradient)
        pairs = [(s, y, 1.0 / _dot(y, s)) for s, y in zip(self.memory["steps"], self.memory["changes"], strict=True)]
        shares = []
        for s, y, rho in reversed(pairs):
            shares.append(_dot(s, q) * rho)
            q = op.subtract(q, op.multiply(y, shares[-1]))
        d = op.multiply(q, self.memory["scale"])
        for (s, y, rho), share in zip(pairs, reversed(shares), strict=True):
            d = op.add(d, op.multiply(s, share - _dot(y, d) * rho))
        return d

    # -- a step

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take up to `max_iter` steps; return the loss before the first."""
        if closure is None:
            raise TypeError(f"LBFGS.step(closure): there is no closure\n{_CLOSURE}")
        with enable_grad():
            loss = closure()
        if loss is None:
            raise TypeError(f"LBFGS.step(closure): the closure returned None, not the loss\n{_CLOSURE}")
        if all(p.grad is None for p in self._params):
            raise GradientError(f"LBFGS.step(closure): after the closure no parameter has a gradient\n{_CLOSURE}")
        with no_grad():
            self.memory["func_evals"] += 1
            self._iterate(closure, float(loss))
        return loss

    def _iterate(self, closure: Callable[[], Any], value: float) -> None:
        group, memory = self.param_groups[0], self.memory
        gradient = self._flat_gradient()
        if _largest(gradient) <= group["tolerance_grad"]:
            return
        budget = memory["func_evals"] - 1 + group["max_eval"]
        for iteration in range(1, group["max_iter"] + 1):
            memory["n_iter"] += 1
            if memory["n_iter"] > 1:
                self._remember(gradient)
            d = self._direction(gradient)
            t = group["lr"]
            if memory["n_iter"] == 1:
                t *= min(1.0, 1.0 / float(op.sum(op.abs(gradient))))
            memory |= {"direction": d, "gradient": gradient, "t": t}
            origin = Point(0.0, value, _dot(gradient, d), gradient)
            if origin.slope > -group["tolerance_change"]:
                return
            values = self._flat([p.data for p in self._params])
            last = iteration == group["max_iter"]
            if group["line_search_fn"] is not None:
                point = self._search(closure, origin, t, d, values, budget)
            else:
                self._move(values, t, d)
                point = Point(t, value, 0.0, gradient) if last else Point(t, *self._at(closure, d))
            memory["t"], gradient, before, value = point.t, point.gradient, value, point.value
            if last or memory["func_evals"] >= budget or _largest(gradient) <= group["tolerance_grad"]:
                return
            if (
                _largest(d) * abs(point.t) <= group["tolerance_change"]
                or abs(value - before) < group["tolerance_change"]
            ):
                return

    def _at(self, closure: Callable[[], Any], d: Array) -> tuple[float, float, Array]:
        """Return value, slope along d and gradient where the parameters are."""
        value, gradient = self._evaluate(closure)
        return value, _dot(gradient, d), gradient

    def _search(
        self, closure: Callable[[], Any], origin: Point, t: float, d: Array, values: Array, budget: int
    ) -> Point:
        def evaluate(t: float) -> Point:
            self._move(values, t, d)
            return Point(t, *self._at(closure, d))

        tolerance, trials = 1e-9, max(budget - self.memory["func_evals"], 0)
        point, _ = strong_wolfe(evaluate, origin, t, _largest(d), trials=trials, tolerance=tolerance)
        self._move(values, point.t, d)
        return point

    # -- state

    def state_dict(self) -> dict[str, Any]:
        """Return settings and memory; the history as lists of arrays."""
        memory = {k: list(v) if isinstance(v, list) else v for k, v in self.memory.items()}
        return {**super().state_dict(), "memory": memory}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over settings and memory.

        Raises
        ------
        CheckpointError : other sizes; the optimizer is left as it was.
        """
        memory = dict(state["memory"])
        size = sum(p.size for p in self._params)
        for array in (*memory["steps"], *memory["changes"]):
            if array.shape != (size,):
                raise CheckpointError(
                    f"LBFGS.load_state_dict: a step has {array.shape[0]} numbers, the parameters {size}"
                )
        super().load_state_dict(state)
        self.memory = {k: list(v) if isinstance(v, list) else v for k, v in memory.items()}
