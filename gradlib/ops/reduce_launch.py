"""The launchers of the reductions: any axes as one axis of an (outer, length, inner) view, in one launch or two."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import backend as backends
from ..core import Primitive
from ..kernel import Kernel
from ..spec import REDUCED, DType, float32, is_complex, uint8
from . import reduce

__all__: list[str] = []

Array = Any
Axes = tuple[int, ...]

_rows = Kernel("reduce.cu", "reduce_rows", "x y part | outer length share")
_columns = Kernel("reduce.cu", "reduce_columns", "x y part | length inner share")
_finish_rows = Kernel("reduce.cu", "finish_rows", "part y | outer segments n")
_finish_columns = Kernel("reduce.cu", "finish_columns", "part y | segments inner n")

_BLOCKS = 1024  # that keep any GPU busy: with fewer lines than that, a line is cut into segments


def _view(shape: Axes, axis: Axes) -> tuple[int, int, int] | None:
    """Return (outer, length, inner) if the axes that are not of size 1 are neighbours, else None."""
    long = [i for i, n in enumerate(shape) if n != 1]
    at = [k for k, i in enumerate(long) if i in axis]
    if not at:
        return math.prod(shape), 1, 1
    if at[-1] - at[0] + 1 != len(at):
        return None
    sizes = [shape[i] for i in long]
    return math.prod(sizes[: at[0]]), math.prod(sizes[at[0] : at[-1] + 1]), math.prod(sizes[at[-1] + 1 :])


def _state_size(op: str, dtype: DType) -> int:
    """Bytes of a partial result: what the .cu calls State."""
    if op.startswith("Arg"):
        return 16
    if op in ("Any", "All"):
        return 4
    return (float32 if dtype in REDUCED else dtype).itemsize


def _share(length: int, blocks: int, least: int) -> int:
    """Return how many neighbours along a line one block takes; it depends on the shape alone, so bits repeat."""
    share = max(least, -(-length * blocks // _BLOCKS))
    return length if share >= length else share


def _reduce(x: Array, y: Array, axis: Axes, op: str) -> Any:
    """Fill y, or return NotImplemented."""
    if y.size == 0:
        return y
    if is_complex(x.dtype):
        return NotImplemented
    view = _view(x.shape, axis)
    if view is None:  # axes apart: bring them together
        kept = [i for i in range(x.ndim) if i not in axis]
        backend = backends.backend_of(x)
        x = backend.coerce(backend.xp.ascontiguousarray(x.transpose(*kept, *axis)))
        view = y.size, math.prod(x.shape[len(kept) :]), 1
    outer, length, inner = view
    macros: dict[str, Any] = {"T": x.dtype, "OP": op}
    if y.dtype != x.dtype:
        macros["OUT"] = y.dtype
    if inner == 1:
        block = (32, 4) if length <= 1024 else (256, 1)
        lines, least = -(-outer // block[1]), 32 * block[0]
    else:
        bx = min(32, 1 << (inner - 1).bit_length())
        block = (bx, 256 // bx)
        lines, least = outer * -(-inner // bx), 32 * block[1]
    if lines >= 2**31:
        return NotImplemented
    share = max(1, _share(length, lines, least))
    segments = max(1, -(-length // share))
    part = None
    if segments > 1:
        part = backends.backend_of(x).empty((outer * segments * inner * _state_size(op, y.dtype),), uint8)
    if inner == 1:
        _rows((lines, segments), block, x, y, part, outer, length, share, **macros)
        if part is not None:
            _finish_rows(lines, block, part, y, outer, segments, length, **macros)
    else:
        _columns((lines, segments), block, x, y, part, length, inner, share, **macros)
        if part is not None:
            _finish_columns(lines, block, part, y, segments, inner, length, **macros)
    return y


def _attach(primitive: Primitive, op: str) -> None:
    @primitive.kernel("cuda", planned=True)
    def _(x: Array, *, axis: Any, keepdims: bool) -> Any:
        spec = primitive.spec([x], {"axis": axis, "keepdims": keepdims})
        y = backends.backend_of(x).empty(spec.shape, spec.dtype)
        axes: Axes = (int(axis),) if isinstance(axis, (int, np.integer)) else axis
        return _reduce(x, y, axes, op)


_attach(reduce._sum, "Sum")
_attach(reduce._mean, "Mean")
_attach(reduce._prod, "Prod")
_attach(reduce._max, "Max")
_attach(reduce._min, "Min")
_attach(reduce._argmax, "ArgMax")
_attach(reduce._argmin, "ArgMin")
_attach(reduce._any, "Any")
_attach(reduce._all, "All")
