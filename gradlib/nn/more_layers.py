"""Spatial dropouts, ModuleDict, Residual, Unflatten, and the summary of a model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from ..core import Tensor, no_grad, op
from ..errors import DTypeError, ShapeError, message, operand
from ..ops import Generator, zeros
from ..spec import normalize_axis
from . import functional as F
from .module import Module


class _ChannelDropout(Module):
    """Drops whole channels of each example."""

    ndim: ClassVar[int]

    def __init__(self, p: float = 0.5, *, generator: Generator | None = None) -> None:
        if not 0 <= p <= 1:
            raise ShapeError(f"{type(self).__name__}(p): p is {p}\n  need 0 <= p <= 1")
        self.p, self.generator = p, generator

    def forward(self, input: Any) -> Any:
        """Return the input with some channels dropped."""
        if len(input.shape) != self.ndim:
            lines = [operand("input", input, "batch, ..., channels")]
            raise ShapeError(message(f"{type(self).__name__}(input): need {self.ndim} dimensions", lines))
        if not self.training or self.p == 0:
            return input
        shape = (input.shape[0], *(1,) * (self.ndim - 2), input.shape[-1])
        ones = op.ones_like(input[(slice(None), *(slice(0, 1),) * (self.ndim - 2))])
        keep = F.dropout(op.reshape(ones, shape=shape), self.p, True, generator=self.generator)
        return op.multiply(input, keep.detach() if isinstance(keep, Tensor) else keep)

    def extra_repr(self) -> str:
        """Return p."""
        return f"p={self.p}"


class Dropout1d(_ChannelDropout):
    """y = x / (1 - p) for a channel of a sequence (batch, length, channels) with probability 1 - p, else 0.

    In evaluation y = x.  Raises: ShapeError.  Kernel: composition.  Source: Tompson et al., CVPR 2015.
    """

    ndim = 3


class Dropout2d(_ChannelDropout):
    """y = x / (1 - p) for a channel of an image (batch, height, width, channels) with probability 1 - p, else 0.

    In evaluation y = x.  Raises: ShapeError.  Kernel: composition.
    Source: Tompson et al., "Efficient object localization using convolutional networks", CVPR 2015.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> y = gl.nn.Dropout2d(0.5)(gl.tensor(np.ones((1, 4, 4, 8), np.float32))).numpy()
    >>> bool((y == y[:, :1, :1]).all()), sorted(set(y.ravel().tolist()))
    (True, [0.0, 2.0])
    """

    ndim = 4


class Dropout3d(_ChannelDropout):
    """y = x / (1 - p) for a channel of a volume (batch, d, h, w, channels) with probability 1 - p, else 0, in training.

    Raises: ShapeError.  Kernel: composition.  Source: Tompson et al., CVPR 2015.
    """

    ndim = 5


class AlphaDropout(Module):
    """y = a (x, or s with probability p) + b: dropout that keeps mean 0 and variance 1, for networks of SELU.

    s = -1.7581, the limit of SELU; a = ((1 - p)(1 + p s^2))^(-1/2), b = -a p s.  In evaluation y = x.
    Kernel: composition.  Source: Klambauer et al., "Self-normalizing neural networks", 2017, section 3.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.AlphaDropout(0.3).eval()(gl.tensor([1.0])).tolist()
    [1.0]
    """

    def __init__(self, p: float = 0.5, *, generator: Generator | None = None) -> None:
        if not 0 <= p < 1:
            raise ShapeError(f"AlphaDropout(p): p is {p}\n  need 0 <= p < 1")
        self.p, self.generator = p, generator

    def forward(self, input: Any) -> Any:
        """Return the input with some elements at SELU's limit."""
        if not self.training or self.p == 0:
            return input
        limit = -1.0507009873554804934193349852946 * 1.6732632423543772848170429916717
        keep = op.multiply(F.dropout(op.ones_like(input), self.p, True, generator=self.generator), 1.0 - self.p)
        a = ((1.0 - self.p) * (1.0 + self.p * limit * limit)) ** -0.5
        kept = op.where(op.greater(keep, 0), input, limit)
        return op.subtract(op.multiply(kept, a), a * self.p * limit)

    def extra_repr(self) -> str:
        """Return p."""
        return f"p={self.p}"


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
