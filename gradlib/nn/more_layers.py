"""Spatial dropouts, ModuleDict, Residual, Unflatten, and the summary of a model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..core import no_grad, op
from ..errors import DTypeError
from ..ops import zeros
from ..spec import normalize_axis
from .module import Module


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
        if not isinstance(module, Module):
            raise DTypeError(f"ModuleDict: {module!r} is not a Module\n  need one, such as nn.ReLU()")
        if hasattr(ModuleDict, name) or "." in name or not name:
            raise ValueError(f"ModuleDict: {name!r} cannot be a name\n  need none of a dict's methods, and no dot")
        setattr(self, name, module)

    def __getitem__(self, name: str) -> Module:
        for key, module in self.named_children():
            if key == name:
                return module
        raise KeyError(name)

    def __delitem__(self, name: str) -> None:
        self[name]
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


class Unflatten(Module):
    """Cut axis `dim` into several, of the sizes `unflattened_size`.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.Unflatten(1, (2, 3))(gl.tensor(np.ones((5, 6)))).shape
    (5, 2, 3)
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, input: Any) -> Any:
        """Return the input with more axes."""
        axis = normalize_axis("Unflatten(dim)", self.dim, len(input.shape))
        shape = tuple(input.shape)
        return op.reshape(input, shape=(*shape[:axis], *self.unflattened_size, *shape[axis + 1 :]))

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"{self.dim}, {self.unflattened_size}"


def summary(model: Module, input_shape: Sequence[int], dtype: Any = None) -> str:
    """Return a table: each module, the shape of its output for an input of zeros, how many numbers it learns.

    The model runs once, in evaluation and off the tape, and is left as it was.  `input_shape` has the batch;
    `dtype` is by default that of the first parameter.

    Examples
    --------
    >>> import gradlib as gl
    >>> print(gl.nn.summary(gl.nn.Sequential(gl.nn.Dense(4, 8), gl.nn.ReLU()), (1, 4)))
    layer           output shape  parameters
    Sequential      (1, 8)                40
      0: Dense      (1, 8)                40
      1: ReLU       (1, 8)                 0
    40 parameters, of which 40 are learned
    """
    first = next(model.parameters(), None)
    chosen = dtype or ("float32" if first is None else first.dtype)
    names = dict(model.named_modules())
    shapes: dict[int, str] = {}

    def note(module: Module, args: Any, output: Any) -> None:
        several = output if isinstance(output, (tuple, list)) else [output]
        shapes.setdefault(id(module), ", ".join(str(tuple(t.shape)) for t in several if hasattr(t, "shape")))

    modes = [(module, module.training) for module in names.values()]
    handles = [module.register_forward_hook(note) for module in names.values()]
    try:
        with no_grad():
            model.eval()
            model(zeros(tuple(input_shape), dtype=chosen, device=None if first is None else first.device))
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes:
            module.training = mode
    rows = [("layer", "output shape", "parameters")]
    for name, module in names.items():
        indent = "  " * (name.count(".") + 1 if name else 0)
        label = f"{indent}{name.rpartition('.')[2]}: {type(module).__name__}" if name else type(module).__name__
        rows.append((label, shapes.get(id(module), ""), f"{sum(p.size for p in module.parameters()):,}"))
    wide = [max(14, *(len(row[i]) for row in rows)) if i == 0 else max(len(row[i]) for row in rows) for i in range(3)]
    lines = [f"{a:<{wide[0]}}  {b:<{wide[1]}}  {c:>{wide[2]}}" for a, b, c in rows]
    everything = sum(p.size for p in model.parameters())
    learned = math.fsum(p.size for p in model.parameters() if p.requires_grad)
    return "\n".join([*lines, f"{everything:,} parameters, of which {int(learned):,} are learned"])
