"""Modules made of modules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..core import op
from ..errors import DTypeError
from .module import Module


def _module(container: str, module: Any) -> Module:
    """Return a Module; refuse what is none: a function, a class, a list of Modules."""
    if isinstance(module, Module):
        return module
    if isinstance(module, (list, tuple)) and all(isinstance(part, Module) for part in module):
        what, need = f"a {type(module).__name__} of Modules", f"{container}(*modules)"
    elif isinstance(module, type) and issubclass(module, Module):
        what, need = f"the class {module.__name__}", f"a Module of it: {module.__name__}(...)"
    else:
        what, need = repr(module), "a Module, such as nn.ReLU()"
    raise DTypeError(f"{container}: {what} is not a Module\n  need {need}")


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
        if isinstance(modules, Module) and not isinstance(modules, ModuleList):
            raise DTypeError(f"{type(self).__name__}(modules): modules is one Module\n  need a list of them: [module]")
        for module in modules:
            self.append(module)

    def _set(self, name: str, module: Module) -> None:
        setattr(self, name, _module(type(self).__name__, module))

    def append(self, module: Module) -> ModuleList:
        """Add a module at the end; return the list."""
        self._set(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> ModuleList:
        """Add several at the end; return the list."""
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> None:
        """Put a module before the one at `index`; the names of those behind it change."""
        modules = list(self.children())
        modules.insert(index, module)
        self._replace(modules)

    def _replace(self, modules: list[Module]) -> None:
        for name in [name for name, _ in self.named_children()]:
            delattr(self, name)
        self.extend(modules)

    def __delitem__(self, index: int) -> None:
        self.pop(index)

    def pop(self, index: int = -1) -> Module:
        """Take a module away and return it; the names of those behind it change."""
        modules = list(self.children())
        taken = modules.pop(index)
        self._replace(modules)
        return taken

    def __setitem__(self, index: int, module: Module) -> None:
        self._set([name for name, _ in self.named_children()][index], module)

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

    A dict gives the modules names of their own.  Shapes: what the first module takes, and the last gives.

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

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        named = modules[0] if len(modules) == 1 else None
        if isinstance(named, Mapping):
            for name, module in named.items():
                self._set(name, module)
        else:
            self.extend(modules)  # type: ignore[arg-type]

    @classmethod
    def _of(cls, modules: list[Module]) -> Sequential:
        return cls(*modules)

    def forward(self, input: Any) -> Any:
        """Return the output of the last module."""
        for module in self.children():
            input = module(input)
        return input


class ModuleDict(Module):
    """A dict of modules whose parameters are found, by name, in the order in which they came.

    Examples
    --------
    >>> import gradlib as gl
    >>> heads = gl.nn.ModuleDict({"a": gl.nn.Dense(2, 3), "b": gl.nn.ReLU()})
    >>> heads["a"], list(heads), "b" in heads, len(heads)
    (Dense(2, 3), ['a', 'b'], True, 2)
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] = ()) -> None:
        self.update(modules)

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add or replace modules."""
        for name, module in modules.items() if isinstance(modules, Mapping) else modules:
            self[name] = module

    def __setitem__(self, name: str, module: Module) -> None:
        _module("ModuleDict", module)
        if hasattr(ModuleDict, name) or "." in name or not name:
            raise ValueError(f"ModuleDict: {name!r} cannot be a name\n  need none of a dict's methods, and no dot")
        setattr(self, name, module)

    def __getitem__(self, name: str) -> Module:
        for key, module in self.named_children():
            if key == name:
                return module
        raise KeyError(name)

    def __delitem__(self, name: str) -> None:
        self.pop(name)

    def pop(self, name: str) -> Module:
        """Take a module away and return it."""
        module = self[name]
        delattr(self, name)
        return module

    def clear(self) -> None:
        """Take all modules away."""
        for name in self.keys():
            delattr(self, name)

    def __len__(self) -> int:
        return sum(1 for _ in self.children())

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, name: object) -> bool:
        return name in self.keys()

    def keys(self) -> list[str]:
        """Return the names."""
        return [name for name, _ in self.named_children()]

    def values(self) -> list[Module]:
        """Return the modules."""
        return list(self.children())

    def items(self) -> list[tuple[str, Module]]:
        """Return names and modules."""
        return list(self.named_children())


class Residual(Module):
    """y = shortcut(x) + block(x); the shortcut is x itself unless a module is given.

    Source: He et al., "Deep residual learning for image recognition", CVPR 2016, equations 1 and 2.
    Shapes: block and shortcut give equal shapes.  Derivative: every order.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.Residual(gl.nn.ReLU())(gl.tensor([1.0, -2.0])).tolist()
    [2.0, -2.0]
    """

    def __init__(self, block: Module, shortcut: Module | None = None) -> None:
        self.block = block
        self.shortcut = shortcut

    def forward(self, input: Any) -> Any:
        """Return shortcut(input) + block(input)."""
        return op.add(input if self.shortcut is None else self.shortcut(input), self.block(input))
