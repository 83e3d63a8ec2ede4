"""Names that PyTorch's tensors have and ours have not: what to write instead, for the error that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

# A name there: the call here.
INSTEAD = {
    "bfloat16": "x.to('bfloat16')",
    "bmm": "x @ y",
    "bool": "x.to('bool')",
    "chunk": "gl.split(x, parts, axis=...)",
    "clamp": "x.clip(min, max)",
    "clone": "x.copy()",
    "cpu": "x.to('cpu')",
    "cuda": "x.to('cuda')",
    "dim": "x.ndim",
    "double": "x.to('float64')",
    "eq": "x == y",
    "expand": "gl.broadcast_to(x, shape)",
    "float": "x.to('float32')",
    "gather": "gl.take_along_axis(x, index, axis=...)",
    "ge": "x >= y",
    "gt": "x > y",
    "half": "x.to('float16')",
    "index_select": "gl.take(x, index, axis=...)",
    "int": "x.to('int32')",
    "is_cuda": "x.device == 'cuda'",
    "le": "x <= y",
    "long": "x.to('int64')",
    "lt": "x < y",
    "masked_fill": "gl.where(mask, value, x)",
    "mm": "x @ y",
    "ne": "x != y",
    "new_ones": "gl.ones_like(x)",
    "new_zeros": "gl.zeros_like(x)",
    "norm": "gl.linalg.vector_norm(x)",
    "numel": "x.size",
    "permute": "x.permute_dims(axes)",
    "scatter": "x.at[index].set(values)",
    "t": "x.T",
    "topk": "x.argsort(descending=True)[..., :k]",
    "transpose": "x.swapaxes(axis1, axis2)",
    "type": "x.to(dtype)",
    "unsqueeze": "x.expand_dims(axis=...)",
    "view": "x.reshape(shape)",
}
NOT_NEEDED = {"contiguous": "every array may have any strides"}


class Hints:
    """The last resort of attribute access: only reached for a name that is not there."""

    __slots__ = ()

    if not TYPE_CHECKING:  # a type checker would take it for every name

        def __getattr__(self, name: str) -> Any:
            text = f"{type(self).__name__!r} object has no attribute {name!r}"
            if name in INSTEAD:
                text += f"\n  need {INSTEAD[name]}"
            elif name in NOT_NEEDED:
                text += f"\n  it is not needed: {NOT_NEEDED[name]}"
            elif name.endswith("_") and hasattr(type(self), name[:-1]):
                text += f"\n  a tensor does not change: need x = x.{name[:-1]}(...), or x.assign(values) of a leaf"
            raise AttributeError(text, name=name, obj=self)
