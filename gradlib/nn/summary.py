"""A table of a model: what each part gives, and how many numbers it learns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core import Tensor, no_grad
from ..errors import ShapeError
from ..ops import zeros
from ..spec import int64
from .embedding import Embedding
from .module import Module


def summary(model: Module, input_shape: Sequence[Any], dtype: Any = None) -> str:
    """Return a table: each module, the shape of its output for an input of zeros, how many numbers it learns.

    The model runs once, in evaluation and off the tape, and is left as it was.

    Parameters
    ----------
    input_shape : the input's shape, with the batch; of several inputs a list of shapes, or of Tensors to be used as
        they are.
    dtype : that of the inputs, or a list; by default that of the first parameter, and int64 where the model begins
        with an `Embedding`.

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
    names = dict(model.named_modules())
    shapes: dict[int, str] = {}

    def note(module: Module, args: Any, output: Any) -> None:
        shapes.setdefault(id(module), ", ".join(_shapes(output)))

    modes = [(module, module.training) for module in names.values()]
    handles = [module.register_forward_hook(note) for module in names.values()]
    try:
        with no_grad():
            model.eval()
            model(*_inputs(model, input_shape, dtype))
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
    learned = sum(p.size for p in model.parameters() if p.requires_grad)
    return "\n".join([*lines, f"{everything:,} parameters, of which {learned:,} are learned"])


def _shapes(output: Any) -> list[str]:
    """Return the shapes of all arrays in an output, such as an LSTM's (y, (h, c))."""
    if isinstance(output, (tuple, list)):
        return [shape for part in output for shape in _shapes(part)]
    if isinstance(output, dict):
        return _shapes(list(output.values()))
    return [str(tuple(output.shape))] if hasattr(output, "shape") else []


def _inputs(model: Module, input_shape: Sequence[Any], dtype: Any) -> list[Any]:
    if not isinstance(input_shape, (list, tuple)):
        raise ShapeError(
            f"summary(model, input_shape): input_shape is {input_shape!r}\n"
            f"  need a shape with the batch, such as (1, 28, 28, 1), or a list of them"
        )
    shapes = list(input_shape)
    one = all(isinstance(n, int) for n in shapes)
    several = [tuple(shapes)] if one else shapes
    first = next(model.parameters(), None)
    leaf = next((m for m in model.modules() if not any(True for _ in m.children())), None)
    usual = int64 if isinstance(leaf, Embedding) else "float32" if first is None else first.dtype
    dtypes = list(dtype) if isinstance(dtype, (list, tuple)) else [dtype or usual] * len(several)
    if len(dtypes) != len(several):
        raise ShapeError(f"summary(model, input_shape, dtype): {len(several)} inputs, {len(dtypes)} dtypes")
    device = None if first is None else first.device
    return [
        x if isinstance(x, Tensor) else zeros(tuple(x), dtype=kind, device=device)
        for x, kind in zip(several, dtypes, strict=True)
    ]
