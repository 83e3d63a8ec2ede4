"""Modules that hold the settings of a function in `nn.functional`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from ..core import Tensor
from .module import Module


class Held(Module):
    """A module that calls `function` with the settings that it was made with."""

    function: ClassVar[Callable[..., Any]]
    names: Sequence[str] = ()

    def _keep(self, settings: dict[str, Any]) -> None:
        """Keep the arguments of the constructor; those that PyTorch has as buffers become part of the state."""
        self.names = [name for name in settings if name not in ("self", "__class__")]
        for name in self.names:
            if name.endswith("weight") or name == "_random_samples":
                self.register_buffer(name, settings[name])
            else:
                setattr(self, name, settings[name])

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """Return the function's value."""
        if not self.names:
            return type(self).function(*inputs, **named)
        return type(self).function(*inputs, **named, **{name: getattr(self, name) for name in self.names})

    def extra_repr(self) -> str:
        """Return what has no default, or differs from it."""
        defaults = inspect.signature(type(self).__init__).parameters
        shown = [(name, getattr(self, name), defaults[name].default) for name in self.names if name in defaults]
        return ", ".join(
            f"{name}={value!r}" for name, value, default in shown if not isinstance(value, Tensor) and value != default
        )
