"""`Optimizer`: parameter groups, their state, and the walk over them in a step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from .. import backend as backends
from ..core import Tensor, Update, no_grad
from ..core.transfer import to_device
from ..errors import CheckpointError, DTypeError, GradientError, ShapeError, operand
from ..kernel import Table
from ..ops.update import count_up
from ..spec import REDUCED, float32, float64, int64, is_floating
from .settings import as_pair, at_least_zero


class ParameterGroup(dict[str, Any]):
    """Parameters (``group["params"]``) and the settings they share, such as ``group["lr"]``.

    The learning rate also lives on the device of the parameters, where the update reads it: assigning
    ``group["lr"]`` writes it there, so that a recorded step follows.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        self._rates: dict[str, Tensor] = {}

    def __setitem__(self, key: str, value: Any) -> None:
        if key == "lr":
            at_least_zero("optimizer", {"lr": value}, "lr")
            value = float(value)
            for rate in self._rates.values():
                rate.assign(np.array([value]))
        super().__setitem__(key, value)

    def rate(self, device: str) -> Tensor:
        """Return the learning rate as float64[1] on a device."""
        if device not in self._rates:
            self._rates[device] = Tensor(backends.get(device).asarray(np.array([self["lr"]], float64)))
        return self._rates[device]


class Optimizer:
    """Base class: changes Parameters by their gradients.

    A subclass names its `rule`, an in-place update op called as ``rule(param, *buffers, grad, lr, step, **settings)``.
    On a device that runs kernels, a step is one launch for all parameters of a group, a dtype and an age.

    Parameters
    ----------
    params : Parameters, pairs of a name and a Parameter, or dicts with ``"params"`` and settings of their own:
        parameter groups.
    defaults : the settings of groups that do not give their own.

    Raises
    ------
    ShapeError : no parameters.
    DTypeError : something that is not a floating Tensor.
    GradientError : a tensor that is the result of an op, or that occurs twice.
    """

    rule: ClassVar[Update]

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        self._tables: list[Table] = []
        self.param_groups: list[ParameterGroup] = []
        self.state: dict[Tensor, dict[str, Tensor]] = {}
        self._defaults = defaults
        self._name = type(self).__name__
        if isinstance(params, Tensor):
            raise DTypeError(f"{self._name}(params): params is a single Tensor\n  need a list: [tensor]")
        if isinstance(params, Mapping) or not isinstance(params, Iterable):
            raise DTypeError(
                f"{self._name}(params): params is of type {type(params).__name__}\n"
                f"  need Parameters: model.parameters(), called"
            )
        groups = list(params)
        if not groups:
            raise ShapeError(
                f"{self._name}(params): there are no parameters\n  need model.parameters(), not yet used up"
            )
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def add_param_group(self, group: dict[str, Any]) -> None:
        """Add parameters, with settings of their own, such as ``{"params": [...], "lr": 0.01}``."""
        unknown = group.keys() - self._defaults.keys() - {"params"}
        if unknown or "params" not in group:
            raise ValueError(
                f"{self._name}(params): a group has {', '.join(sorted(map(str, group)))}\n"
                f"  need 'params', and any of {', '.join(self._defaults)}"
            )
        members = [group["params"]] if isinstance(group["params"], Tensor) else list(group["params"])
        members = [p[1] if isinstance(p, tuple) and len(p) == 2 else p for p in members]  # of named_parameters()
        known = {id(p) for other in self.param_groups for p in other["params"]}
        for i, p in enumerate(members):
            if not isinstance(p, Tensor) or not is_floating(p.dtype):
                raise DTypeError(
                    f"{self._name}(params): {operand(f'params[{i}]', p)} is not a floating Tensor\n"
                    f"  need Parameters, such as model.parameters()"
                )
            if p.node is not None:
                raise GradientError(
                    f"{self._name}(params): params[{i}] is the result of {p.node.prim.name}\n  need a leaf"
                )
            if id(p) in known:
                raise GradientError(f"{self._name}(params): params[{i}] occurs twice: it would be updated twice a step")
            known.add(id(p))
        settings = {**self._defaults, **group, "params": members}
        self._check(settings)
        self.param_groups.append(ParameterGroup(settings))

    def _check(self, settings: dict[str, Any]) -> None:
        at_least_zero(self._name, settings, "lr")
        for key in ("betas", "etas", "step_sizes"):
            if key in settings:
                settings[key] = as_pair(self._name, key, settings[key])
        self.check(settings)

    def check(self, settings: dict[str, Any]) -> None:
        """Raise ValueError for settings that make no sense."""

    def rule_for(self, settings: Mapping[str, Any]) -> Update:
        """Return the update op of parameters with such settings."""
        return self.rule

    def buffers(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the names of the buffers that a parameter of such a group needs: all that the rule writes."""
        return self.rule_for(settings).writes[1:]

    def passed(self, group: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings that the rule takes."""
        given = {name: group[name] for name in self.rule_for(group).params if name in group}
        return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}

    def start(self, name: str, param: Tensor, settings: Mapping[str, Any]) -> Tensor:
        """Return a new buffer: zeros of the parameter's shape, float32 beside a reduced dtype, unless overridden."""
        return _zeros(param)

    # -- a step

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, or with ``set_to_none=False`` set those that exist to zero."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none or p.grad is None:
                    p.grad = None
                else:
                    p.grad = Tensor(backends.backend_of(p.data).zeros(p.shape, p.dtype))

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient; `closure`, if given, is called first and its loss returned."""
        loss = None if closure is None else closure()
        with no_grad():
            active = [(p, group) for group in self.param_groups for p in group["params"] if p.grad is not None]
            self._advance([p for p, _ in active])
            together: dict[Any, list[Tensor]] = {}
            groups: dict[int, ParameterGroup] = {}
            for p, group in active:
                key = id(group), type(p.data), p.dtype, id(self.state[p]["step"])
                together.setdefault(key, []).append(p)
                groups[key[0]] = group
            while len(self._tables) < len(together):
                self._tables.append(Table())
            for (number, *_), members, table in zip(together, together.values(), self._tables, strict=False):
                self._change(members, groups[number], table)
        return loss

    def _change(self, members: list[Tensor], group: ParameterGroup, table: Table) -> None:
        """Apply the rule to parameters of one group, device, dtype and age."""
        rule, used = self.rule_for(group), self.buffers(group)
        calls = []
        for p in members:
            state = self.state[p]
            for name in used:
                if name not in state:
                    state[name] = self.start(name, p, group)
            calls.append((p, *[state[name] if name in used else None for name in rule.writes[1:]], p.grad))
        first = members[0]
        rate, step = group.rate(first.device), self.state[first]["step"]
        rule.each(calls, rate, step, table=table, **self.passed(group))

    def _advance(self, active: list[Tensor]) -> None:
        """Count one more step for each parameter.  Those that have always stepped together share one counter."""
        fresh: dict[str, Tensor] = {}
        together: dict[int, list[Tensor]] = {}
        for p in active:
            if p not in self.state:
                if p.device not in fresh:
                    fresh[p.device] = Tensor(backends.backend_of(p.data).zeros((1,), int64))
                self.state[p] = {"step": fresh[p.device]}
            together.setdefault(id(self.state[p]["step"]), []).append(p)
        users: dict[int, int] = {}
        if len(active) < len(self.state):
            for state in self.state.values():
                users[id(state["step"])] = users.get(id(state["step"]), 0) + 1
        for key, members in together.items():
            step = self.state[members[0]]["step"]
            if users.get(key, len(members)) == len(members):
                count_up(step)
            else:  # some stay behind
                ahead = step + 1
                for p in members:
                    self.state[p]["step"] = ahead

    # -- settings and state

    @property
    def lr(self) -> float:
        """The learning rate of the first group; assigning sets that of all groups."""
        return float(self.param_groups[0]["lr"])

    @lr.setter
    def lr(self, value: float) -> None:
        for group in self.param_groups:
            group["lr"] = value

    def state_dict(self) -> dict[str, Any]:
        """Return ``{"state": {position: buffers}, "param_groups": [settings]}``; parameters appear by position."""
        order = self._order()
        return {
            "state": {
                order[p]: {name: t.detach() for name, t in state.items()}
                for p, state in self.state.items()
                if p in order
            },
            "param_groups": [
                {**{k: v for k, v in group.items() if k != "params"}, "params": [order[p] for p in group["params"]]}
                for group in self.param_groups
            ],
        }

    def _order(self) -> dict[Tensor, int]:
        return {p: i for i, p in enumerate(p for group in self.param_groups for p in group["params"])}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over settings and buffers (copies, on the parameters' devices) from another optimizer's state dict.

        Raises
        ------
        CheckpointError : other groups, names or shapes; the optimizer is left as it was.
        """
        name = f"{self._name}.load_state_dict"
        groups, saved = list(state["param_groups"]), dict(state["state"])
        sizes, own = [len(g["params"]) for g in groups], [len(g["params"]) for g in self.param_groups]
        if sizes != own:
            raise CheckpointError(f"{name}: the state has groups of {sizes} parameters, the optimizer of {own}")
        loaded: dict[Tensor, dict[str, Tensor]] = {}
        steps: dict[tuple[int, str], Tensor] = {}
        members = [(p, settings) for g, settings in zip(self.param_groups, groups, strict=True) for p in g["params"]]
        for i, (p, settings) in enumerate(members):
            if i in saved:
                loaded[p] = self._loaded(f"{name}: parameter {i}", p, saved[i], settings, steps)
        new = [
            {**g, **{k: v for k, v in other.items() if k != "params"}}
            for g, other in zip(self.param_groups, groups, strict=True)
        ]
        for settings in new:
            self._check(settings)
        for group, settings in zip(self.param_groups, new, strict=True):
            for key, value in settings.items():
                group[key] = value
        self.state = loaded

    def _loaded(
        self,
        what: str,
        p: Tensor,
        saved: Mapping[str, Any],
        settings: Mapping[str, Any],
        steps: dict[tuple[int, str], Tensor],
    ) -> dict[str, Tensor]:
        """Return one parameter's state from a checkpoint's; equal step counts on a device become one tensor."""
        missing = {"step", *self.buffers(settings)} - saved.keys()
        if missing:
            raise CheckpointError(f"{what} has {sorted(saved)}, and lacks {sorted(missing)}")
        count = int(saved["step"])
        if (count, p.device) not in steps:
            steps[count, p.device] = Tensor(backends.get(p.device).asarray(np.array([count], int64)))
        state = {"step": steps[count, p.device]}
        for key in self.buffers(settings):
            fresh = self.start(key, p, settings)
            if tuple(saved[key].shape) != fresh.shape:
                raise CheckpointError(f"{what}: {operand(key, saved[key])}, need the shape {fresh.shape}")
            data = saved[key].data if isinstance(saved[key], Tensor) else np.asarray(saved[key])
            state[key] = Tensor(to_device(data.astype(fresh.dtype), device=p.device))
        return state

    def __repr__(self) -> str:
        lines = []
        for i, group in enumerate(self.param_groups):
            count = sum(p.size for p in group["params"])
            settings = ", ".join(f"{k}={v}" for k, v in group.items() if k != "params")
            lines.append(f"  group {i}: {len(group['params'])} tensors, {count:,} numbers, {settings}")
        return "\n".join([f"{self._name}(", *lines, ")"])


def _zeros(p: Tensor) -> Tensor:
    """Return a buffer for a parameter: float32 for a reduced dtype, in which small changes would be lost."""
    return Tensor(backends.backend_of(p.data).zeros(p.shape, _wide(p)))


def _wide(p: Tensor) -> Any:
    return float32 if p.dtype in REDUCED else p.dtype
