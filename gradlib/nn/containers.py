"""Modules made of modules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..errors import DTypeError
from .module import Module


class ModuleList(Module):
    """A list of modules whose parameters are found; their names are their positions.


    Examples
    --------
    >>> import gradlib as gl
    >>> layers = gl.nn.ModuleList([gl.nn.Dense(2, 3), gl.nn.ReLU()])
    >>> len(layers), layers[1], [name for name, _ in layers.named_parameters()]
    (2, ReLU(), ['0.weight', '0.bias'])
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        for module in modules:
            self.append(module)

    def append(self, module: Module) -> ModuleList:
        """Add a module at the end; return the list."""
        if not isinstance(module, Module):
            raise DTypeError(f"{type(self).__name__}: {module!r} is not a Module\n  need one, such as nn.ReLU()")
        setattr(self, str(len(self)), module)
        return self

    def __len__(self) -> int:
        return sum(1 for _ in self.children())

    def __iter__(self) -> Iterator[Module]:
        return self.children()

    def __getitem__(self, index: int | slice) -> Any:
        chosen = list(self.children())[index]
        return chosen if isinstance(chosen, Module) else type(self)._of(chosen)

    @classmethod
    def _of(cls, modules: list[Module]) -> ModuleList:
        return cls(modules)


class Sequential(ModuleList):
    """y = last(... second(first(x))): modules one after the other.

    Shapes: what the first module takes, and the last gives.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.Sequential(gl.nn.Dense(4, 8), gl.nn.ReLU(), gl.nn.Dense(8, 2))
    Sequential(
      (0): Dense(4, 8)
      (1): ReLU()
      (2): Dense(8, 2)
    )
    """

    def __init__(self, *modules: Module) -> None:
        super().__init__(modules)

    @classmethod
    def _of(cls, modules: list[Module]) -> Sequential:
        return cls(*modules)

    def forward(self, input: Any) -> Any:
        """Return the output of the last module."""
        for module in self.children():
            input = module(input)
        return input
