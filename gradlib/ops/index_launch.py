"""The launchers of the transposed index ops: sums in a fixed order where indices repeat, on every device."""

from __future__ import annotations

import math
from typing import Any

from .. import backend as backends
from ..kernel import Kernel, ctype
from ..kernel.elementwise import geometry
from ..spec import int64, is_complex, real_of
from . import along, index

__all__: list[str] = []

Array = Any

_kernel = Kernel("index.cu", "index_add", "x order sorted y | outer count inner size")


def _add(x: Array, places: Array, y: Array, outer: int, inner: int, size: int) -> None:
    """y[o, places[r], k] += x[o, r, k]; y holds zeros."""
    if is_complex(x.dtype):  # a row of pairs
        x, y, inner = x.view(real_of(x.dtype)), y.view(real_of(x.dtype)), 2 * inner
    backend = backends.backend_of(x)
    xp = backend.xp
    order = backend.coerce(xp.argsort(places, kind="stable").astype(int64))
    ordered = backend.coerce(places[order])
    count = places.size
    grid, block = geometry(outer * count * inner, 1)
    _kernel(grid, block, x, order, ordered, y, outer, count, inner, size, T=ctype(x.dtype))


@index._index_add.kernel("cuda")
def _(g: Array, indices: Array, *, axis: int, size: int) -> Array:
    before, after = g.shape[:axis], g.shape[axis + indices.ndim :]
    y = backends.backend_of(g).zeros((*before, size, *after), g.dtype)
    if g.size:
        places = indices.reshape(-1).astype(int64) % size
        _add(g, places, y, math.prod(before), math.prod(after), size)
    return y


@along._put_along.kernel("cuda")
def _(g: Array, indices: Array, *, axis: int, size: int) -> Array:
    backend = backends.backend_of(g)
    y = backend.zeros((*g.shape[:axis], size, *g.shape[axis + 1 :]), g.dtype)
    if g.size:  # the place of each element in the flattened y
        xp, strides = backend.xp, [math.prod(y.shape[k + 1 :]) for k in range(y.ndim)]
        places = sum(i * n for i, n in zip(along.lines(xp, indices.astype(int64) % size, axis), strides, strict=True))
        _add(g, backend.coerce(xp.ascontiguousarray(xp.broadcast_to(places, g.shape)).reshape(-1)), y, 1, 1, y.size)
    return y
