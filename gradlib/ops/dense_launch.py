"""Launches of a fully connected layer: one forward; backward the gradient before the activation and two products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import backend as backends
from ..core import Slope
from ..kernel import Kernel, ctype
from ..spec import float32, is_floating
from .activation import Activation, fusible, saves_input
from .product import (
    AFTER,
    Matrix,
    Outputs,
    Problem,
    Steps,
    direct,
    gradient,
    passes,
    planes_of,
    prepared,
    product,
    worthwhile,
)
from .tiling import LARGEST, combine, parts, split, tiling

__all__ = ["as_product", "backward", "column_sums", "forward", "on_tensor_cores", "products", "room", "sizes"]

Array = Any

_forward = Kernel("dense.cu", "dense_forward", "x w b y z | m n k")
_dx = Kernel("dense.cu", "dense_dx", "g s w dx | m n k")
_dw = Kernel("dense.cu", "dense_dw", "x g s dw part | m n k rows")
_db = Kernel("dense.cu", "dense_db", "g s db part | m n rows")


def sizes(x: Array, w: Array) -> tuple[int, int, int]:
    """Return m, n, k of y (m, n) = x (m, k) w (k, n)."""
    k, n = w.shape
    return math.prod(x.shape[:-1]), n, k


def on_tensor_cores(x: Array, w: Array, activation: Activation) -> bool:
    """Whether a layer's products go there."""
    m, n, k = sizes(x, w)
    return not _declines(x, m, n, k, activation) and worthwhile(x, m, n, k)


def _declines(x: Array, m: int, n: int, k: int, activation: Activation) -> bool:
    return not is_floating(x.dtype) or not fusible(activation) or max(m, n, k) > LARGEST


def forward(x: Array, w: Array, b: Array | None, activation: Any, save: bool) -> Any:
    """Return (y, z): z is the pre-activation if `save` and the activation's derivative reads it, else None."""
    m, n, k = sizes(x, w)
    if _declines(x, m, n, k, activation):
        return NotImplemented
    y, z = room(x, w, saves_input(activation, save))
    if y.size and not as_product(x, w, b, y, z, activation):
        tile = tiling(m, n)
        _forward(tile.blocks(m, n), tile.threads, x, w, b, y, z, m, n, k, **tile.macros,
                 T=ctype(y.dtype), ACT=activation or "none")  # fmt: skip
    return y, z


def room(x: Array, w: Array, save: bool) -> tuple[Array, Array | None]:
    """Return arrays for the result, and for the pre-activation if it is to be saved."""
    backend, shape = backends.backend_of(x), (*x.shape[:-1], w.shape[1])
    return backend.empty(shape, x.dtype), backend.empty(shape, x.dtype) if save else None


def as_product(
    x: Array,
    w: Array,
    b: Array | None,
    y: Array,
    z: Array | None,
    activation: Any,
    residual: Array | None = None,
    key: Array | None = None,
    p: float = 0.0,
) -> bool:
    """Compute z = x w + b where it is wanted, y = dropout(act(z)) + residual, if a product kernel is faster."""
    m, n, k = sizes(x, w)
    of_y, of_z, added = (None if a is None else a.reshape(1, m, n) for a in (y, z, residual))
    out = Outputs(of_y, of_z, bias=b, residual=added, key=key, p=p)
    steps = Steps(bias=b is not None, activation=activation, save=z is not None, dropout=key is not None,
                  residual=0 if residual is None else AFTER)  # fmt: skip
    problem = Problem(m, n, k, 1, 1, x.dtype.itemsize, steps=steps)
    left, right = Matrix(x.reshape(1, m, k)), Matrix(w[None])
    if direct(problem, left, right, out):
        return True
    if not worthwhile(x, m, n, k):
        return False
    of_left, of_right = prepared(left), prepared(right)
    if of_left is None or of_right is None:
        return False
    product(problem._replace(passes=passes(x)), of_left, of_right, out)
    return True


def backward(x: Array, w: Array, g: Array, s: Array | None, activation: Any, needs: Sequence[bool]) -> Any:
    """Return dx, dw and db, those that are needed; s is what the activation's derivative reads."""
    m, n, k = sizes(x, w)
    if _declines(x, m, n, k, activation):
        return NotImplemented
    if m and worthwhile(x, m, n, k):
        found = products(x, w, g, s, activation, needs)
        if found is not NotImplemented:
            return found[0]
    macros: dict[str, Any] = {"T": ctype(x.dtype), "ACT": activation or "none"}
    backend = backends.backend_of(x)
    dx = dw = db = None
    if needs[0]:
        dx = backend.empty(x.shape, x.dtype)
        if dx.size and not (s is None and _direct(g.reshape(m, n), w, dx, m, k, n, False, True)):
            tile = tiling(m, k)
            _dx(tile.blocks(m, k), tile.threads, g, s, w, dx, m, n, k, **tile.macros, **macros)
    if needs[1]:
        dw = backend.empty(w.shape, w.dtype)
        if dw.size and not (s is None and _direct(x.reshape(m, k), g.reshape(m, n), dw, k, n, m, True, False)):
            tile = tiling(k, n)
            splits, rows = split(tile.blocks(k, n), m, 256)
            part = parts(dw, splits, dw.shape)
            grid = (tile.blocks(k, n), 1, splits)
            whole = dw if part is None else None
            _dw(grid, tile.threads, x, g, s, whole, part, m, n, k, rows, **tile.macros, **macros)
            if part is not None:
                combine(part, dw)
    if needs[2]:
        db = column_sums(g, s, m, n, activation)
    return dx, dw, db


def _direct(a: Array, b: Array, y: Array, m: int, n: int, k: int, a_transposed: bool, b_transposed: bool) -> bool:
    """Compute y (m, n) of matrices as they stand in memory, if `direct` takes it."""
    problem = Problem(m, n, k, 1, 1, y.dtype.itemsize, a_transposed, b_transposed)
    return direct(problem, Matrix(a[None], a_transposed), Matrix(b[None], b_transposed), Outputs(y.reshape(1, m, n)))


def products(
    x: Array,
    w: Array,
    g: Array | None,
    s: Array | None,
    activation: Any,
    needs: Sequence[bool],
    *,
    dz: Array | None = None,
    sums: Array | None = None,
    slope: Slope | None = None,
    before: Array | None = None,
) -> Any:
    """Return ((dx, dw, db), column sums of dx) by tensor cores: dz = g act'(s), dx = dz w^T, dw = x^T dz + before.

    `dz` and `sums`, its column sums in parts, come from elsewhere where they are given.  With a `slope`, dx is
    multiplied by it, and added up along the rows where it says so.  NotImplemented: the arrays cannot go there.
    """
    backend, (m, n, k) = backends.backend_of(x), sizes(x, w)
    right = prepared(Matrix(w[None])) if needs[0] else None
    left = prepared(Matrix(x.reshape(1, m, k))) if needs[1] else None
    if (needs[0] and right is None) or (needs[1] and left is None):
        return NotImplemented
    if dz is not None:
        of_dz = Matrix(dz.reshape(1, m, n))
    elif activation is None and x.dtype != float32:
        of_dz = Matrix(g.reshape(1, m, n))  # type: ignore[union-attr]
    else:
        rows = g.reshape(1, m, n)  # type: ignore[union-attr]
        of_dz, sums = gradient(rows, None if s is None else s.reshape(1, m, n), activation, planes_of(x))
    dx = dw = db = totals = None
    if right is not None:
        dx = backend.empty(x.shape, x.dtype)
        out, steps = Outputs(dx.reshape(1, m, k)), Steps()
        if slope is not None:
            s_of_x = None if slope.activation is None else slope.s.reshape(1, m, k)  # type: ignore[union-attr]
            out = out._replace(slope=s_of_x, key=slope.key, p=slope.p)
            steps = Steps(slope=slope.activation, dropout=slope.key is not None, sums=slope.sums)
        problem = Problem(m, k, n, 1, passes(x), x.dtype.itemsize, False, True, steps)
        totals = product(problem, of_dz, right._replace(transposed=True), out)
    if left is not None:
        dw = backend.empty(w.shape, w.dtype)
        steps = Steps(residual=AFTER if before is not None else 0)
        problem = Problem(k, n, m, 1, passes(x), w.dtype.itemsize, True, False, steps)
        added = None if before is None else before[None]
        product(problem, left._replace(transposed=True), of_dz, Outputs(dw[None], residual=added))
    if needs[2] and sums is None:
        db = column_sums(g, s, m, n, activation)
    elif needs[2]:
        db = backend.empty((n,), w.dtype)
        combine(sums, db)
    return (dx, dw, db), None if totals is None else totals.array


def column_sums(g: Array, s: Array | None, m: int, n: int, activation: Activation) -> Array:
    """Return the gradient of a bias: the column sums of g act'(s), both (m, n), in two levels."""
    db = backends.backend_of(g).empty((n,), g.dtype)
    if n:
        splits, rows = split(-(-n // 32), m, 128)
        part = parts(db, splits, db.shape)
        whole = db if part is None else None
        grid = (-(-n // 32), splits)
        _db(grid, (32, 8), g, s, whole, part, m, n, rows, T=ctype(g.dtype), ACT=activation or "none")
        if part is not None:
            combine(part, db)
    return db
