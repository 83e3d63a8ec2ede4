"""What is done to many tensors at once, off the tape: the norm of all, clipping, moving averages.

On a device that runs kernels each is one launch for all tensors of a dtype (the norm two), and no value is read on
the host; elsewhere it is the composition.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from typing import Any

from .. import backend as backends
from ..core import op, sample, update
from ..kernel import CHUNK, Kernel, Table
from ..spec import REDUCED, float32, float64

__all__ = ["clamped", "move_average", "scaled_to_norm", "total_norm"]

Array = Any

_BLOCK = 256
_partial = Kernel("tensors.cu", "norm_partial", "arrays chunks part | count share p")
_finish = Kernel("tensors.cu", "norm_finish", "part total | parts p")
_scale = Kernel("tensors.cu", "scale_to_norm", "arrays chunks total | count share max_norm")
_clamp = Kernel("tensors.cu", "clamp", "arrays chunks | count share bound")
_average = Kernel("tensors.cu", "move_average", "arrays chunks | count share decay")


class _Kept(threading.local):
    """The tables of each thread, by what they are for and the sizes they hold: training asks for them again."""

    def __init__(self) -> None:
        self.tables: dict[Any, Table] = {}

    def table(self, what: str, rows: Sequence[Sequence[Array]]) -> Table:
        key = what, rows[0][0].dtype, tuple([row[0].size for row in rows])
        found = self.tables.pop(key, None) or Table()
        while len(self.tables) >= 16:  # the one not asked for the longest time goes
            del self.tables[next(iter(self.tables))]
        self.tables[key] = found
        found.fill(rows)
        return found


_kept = _Kept()


def _by_dtype(arrays: Sequence[Array]) -> dict[Any, list[int]]:
    places: dict[Any, list[int]] = {}
    for i, a in enumerate(arrays):
        places.setdefault(a.dtype, []).append(i)
    return places


def _one_backend(arrays: Sequence[Array]) -> Any:
    """Return the backend of plain arrays that one launch can take, else None."""
    if not arrays:
        return None
    backend = backends.backend_of(arrays[0])
    return backend if backend.runs_kernels and all(type(a) is backend.array_type for a in arrays) else None


# -- the norm


def total_norm(arrays: Sequence[Array], norm_type: float = 2.0) -> Array:
    """Return (sum of |x|^p)^(1/p) over all elements of all arrays, the largest |x| for ``norm_type=math.inf``.

    The dtype is float64 if any array's is, else float32.
    """
    if not norm_type > 0:
        raise ValueError(f"total_norm(norm_type): norm_type is {norm_type!r}\n  need a number above 0, or infinity")
    arrays = [a for a in arrays if a.size]
    if not arrays:
        return backends.get("cpu").zeros((), float32)
    backend = _one_backend(arrays)
    if backend is None:
        return _norm_definition(arrays, norm_type)
    wide = float64 if any(a.dtype == float64 for a in arrays) else float32
    ready = [a if a.flags.c_contiguous else backend.coerce(backend.xp.ascontiguousarray(a)) for a in arrays]
    several = [[[ready[i]] for i in places] for places in _by_dtype(ready).values()]
    tables = [_kept.table("norm", rows) for rows in several]
    part = backend.empty((sum(table.blocks for table in tables),), float64)
    start = 0
    for rows, table in zip(several, tables, strict=True):
        own = part[start : start + table.blocks]
        start += table.blocks
        _partial(
            table.blocks, _BLOCK, table.arrays, table.chunks, own, table.count, CHUNK, float(norm_type),
            reached=lambda table=table, rows=rows: table.reached(rows, ("x",)), T=rows[0][0].dtype,
        )  # fmt: skip
    total = backend.empty((), wide)
    _finish(1, _BLOCK, part, total, len(part), float(norm_type), T=wide)
    return total


def _norm_definition(arrays: Sequence[Array], norm_type: float) -> Array:
    parts = []
    for a in arrays:
        wide = op.cast(a, dtype=float32) if a.dtype in REDUCED else a
        if norm_type == math.inf:
            parts.append(op.max(op.abs(wide)))
        elif norm_type == 2:
            parts.append(op.sum(op.multiply(wide, wide)))
        else:
            parts.append(op.sum(op.power(op.abs(wide), norm_type)))
    together = op.stack(parts)
    if norm_type == math.inf:
        return op.max(together)
    return op.sqrt(op.sum(together)) if norm_type == 2 else op.power(op.sum(together), 1.0 / norm_type)


# -- elementwise


def scaled_to_norm(arrays: Sequence[Array], max_norm: float, total: Array) -> list[Array]:
    """Return x min(1, max_norm / (total + 1e-6)) for each array: not in place, for gradients may share memory."""

    def launch(table: Table, **common: Any) -> None:
        if total.dtype == float64 != common["T"]:
            common["TOTAL"] = "double"
        sizes = (table.count, CHUNK, float(max_norm))
        _scale(table.blocks, _BLOCK, table.arrays, table.chunks, total, *sizes, **common)

    made = _each("scale", arrays, launch, total)
    if made is None:
        factor = op.minimum(op.divide(max_norm, op.add(total, 1e-6)), 1.0)
        made = [op.multiply(a, op.cast(factor, dtype=a.dtype)) for a in arrays]
    return made


def clamped(arrays: Sequence[Array], bound: float) -> list[Array]:
    """Return min(max(x, -bound), bound) for each array."""

    def launch(table: Table, **common: Any) -> None:
        _clamp(table.blocks, _BLOCK, table.arrays, table.chunks, table.count, CHUNK, float(bound), **common)

    made = _each("clamp", arrays, launch)
    return [op.clip(a, -bound, bound) for a in arrays] if made is None else made


def _each(what: str, arrays: Sequence[Array], launch: Callable[..., None], *others: Array) -> list[Array] | None:
    """Launch on (y, x) of each dtype and return the y; None where there is no kernel for the arrays."""
    backend = _one_backend([*arrays, *others])
    if backend is None:
        return None
    made = [backend.empty(a.shape, a.dtype) for a in arrays]
    for dtype, places in _by_dtype(arrays).items():
        rows = [[made[i], backend.coerce(backend.xp.ascontiguousarray(arrays[i]))] for i in places]
        table = _kept.table(what, rows)
        if table.count:
            launch(table, reached=lambda table=table, rows=rows: table.reached(rows, ("y", "x")), T=dtype)
    return made


# -- averages


def _average_samples() -> list[Any]:
    return [sample((5, 7), (5, 7), decay=0.9), sample((1,), (1,), decay=0.0), sample((0, 3), (0, 3), decay=0.5)]


@update("move_average", writes="average", samples=_average_samples)
def move_average(average: Array, value: Array, *, decay: float) -> tuple[Array]:
    """a <- a + (1 - decay) (v - a).

    Shapes: equal.  Dtypes: floating, equal.  Kernel: ``tensors.cu``.
    """
    return (op.add(average, op.multiply(op.subtract(value, average), 1.0 - decay)),)


@move_average.group_kernel("cuda")
def _(rows: list[list[Array]], *, table: Table, decay: float) -> Any:
    dtypes = {a.dtype for row in rows for a in row}
    if len(dtypes) != 1 or any(v.shape != a.shape for a, v in rows):
        return NotImplemented
    table.fill(rows)
    if table.count:
        _average(
            table.blocks, _BLOCK, table.arrays, table.chunks, table.count, CHUNK, float(decay),
            reached=lambda: table.reached(rows, move_average.own), T=dtypes.pop(),
        )  # fmt: skip
    return None
