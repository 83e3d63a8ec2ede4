"""Launches of grouped products: on tensor cores where they are faster, else of grouped.cu."""

from __future__ import annotations

from typing import Any

from .. import backend as backends
from ..kernel import Kernel, ctype
from ..spec import float32, int32
from .activation import Activation
from .product import Matrix, Outputs, Steps, gradient, grouped, passes, planes_of, prepared, worthwhile
from .tiling import LARGEST, combine, parts, split, tiling

__all__ = ["column_sums", "columns_product", "dz_of", "fits", "offsets_of", "rows_gradient", "rows_product"]

Array = Any

_offsets = Kernel("group_offsets.cu", "group_offsets", "sizes offsets y z | groups rows n")
_forward = Kernel("grouped.cu", "grouped_forward", "x w b offsets y z | rows groups n k")
_dx = Kernel("grouped.cu", "grouped_dx", "g s w offsets dx | rows groups n k")
_dw = Kernel("grouped.cu", "grouped_dw", "x g s offsets dw | n k")
_db = Kernel("grouped.cu", "grouped_db", "g s offsets db part | groups splits n")


def fits(rows: int, groups: int, n: int, k: int) -> bool:
    """Whether the kernels, which count in 32 bits, take these sizes."""
    return max(rows, n, k) <= LARGEST and groups <= 65535


def offsets_of(sizes: Array, like: Array, rows: int, *outputs: Array | None) -> Array:
    """Return where the groups begin, and where the last one ends; the rows of up to two outputs from there become 0."""
    backend, groups = backends.backend_of(like), sizes.shape[0]
    offsets = backend.empty((groups + 1,), int32)
    y, z = (*outputs, None, None)[:2]
    n = next((out.shape[1] for out in outputs if out is not None), 0)
    index: dict[str, Any] = {"INDEX": "int"} if sizes.dtype == int32 else {}
    blocks = min(max(1, -(-rows * n // 256)), 264)
    _offsets(blocks, 256, sizes, offsets, y, z, groups, rows, n, T=ctype(like.dtype), **index)
    return offsets


def mean(rows: int, groups: int) -> int:
    """Return the rows of a group as the choices of configurations take them."""
    return max(1, -(-rows // groups))


def rows_product(
    x: Array, w: Matrix, b: Array | None, offsets: Array, y: Array, z: Array | None, activation: Activation = None
) -> None:
    """Fill the rows of y that belong to groups: act(x[r] w[g] + b[g]); z takes what act is applied to."""
    (rows, k), n, groups = x.shape, y.shape[1], w.array.shape[0]
    if k and worthwhile(x, mean(rows, groups), n, k, groups):
        left, right = prepared(Matrix(x[None])), prepared(w)
        if left is not None and right is not None:
            steps = Steps(bias=b is not None, activation=activation, save=z is not None)  # type: ignore[arg-type]
            grouped.rows(left, right, offsets, Outputs(y, z, bias=b), passes(x), steps)
            return
    tile = tiling(rows, n)
    blocks = (rows // tile.BM + groups) * -(-n // tile.BN)
    macros: dict[str, Any] = {**tile.macros, "T": ctype(y.dtype), "ACT": activation or "none"}
    if w.transposed:  # which is what the gradient in x is
        _dx(blocks, tile.threads, x, None, w.array, offsets, y, rows, groups, k, n, **macros)
    else:
        _forward(blocks, tile.threads, x, w.array, b, offsets, y, z, rows, groups, n, k, **macros)


def dz_of(x: Array, g: Array, s: Array | None, activation: Activation, n: int, k: int, groups: int) -> Matrix | None:
    """Return dz = g act'(s) as an operand of tensor cores, where the gradients are to be computed there."""
    rows = g.shape[0]
    if not k or not worthwhile(x, mean(rows, groups), n, k, groups):
        return None
    if activation is None and g.dtype != float32:
        return prepared(Matrix(g[None]))
    return gradient(g[None], None if s is None else s[None], activation, planes_of(x))[0]  # type: ignore[arg-type]


def rows_gradient(
    g: Array, s: Array | None, w: Array, dz: Matrix | None, offsets: Array, dx: Array, activation: Activation
) -> None:
    """Fill the rows of dx that belong to groups: dz[r] w[g]^T."""
    (rows, k), (groups, _, n) = dx.shape, w.shape
    right = None if dz is None else prepared(Matrix(w))
    if dz is not None and right is not None:
        grouped.rows(dz, right._replace(transposed=True), offsets, Outputs(dx), passes(dx), Steps())
        return
    tile = tiling(rows, k)
    blocks = (rows // tile.BM + groups) * -(-k // tile.BN)
    _dx(blocks, tile.threads, g, s, w, offsets, dx, rows, groups, n, k, **tile.macros, T=ctype(dx.dtype),
        ACT=activation or "none")  # fmt: skip


def columns_product(
    x: Array, g: Array, s: Array | None, dz: Matrix | None, offsets: Array, dw: Array, activation: Activation = None
) -> None:
    """Fill dw (groups, k, n): the sum of x[r]^T dz[r] over each group."""
    groups, k, n = dw.shape
    left = None if dz is None else prepared(Matrix(x[None]))
    if dz is not None and left is not None:
        grouped.columns(left._replace(transposed=True), dz, offsets, dw, passes(x))
        return
    tile = tiling(k, n)
    _dw((tile.blocks(k, n), 1, groups), tile.threads, x, g, s, offsets, dw, n, k, **tile.macros, T=ctype(dw.dtype),
        ACT=activation or "none")  # fmt: skip


def column_sums(g: Array, s: Array | None, offsets: Array, groups: int, activation: Activation) -> Array:
    """Return (groups, n): the sums of g act'(s) over each group's rows, in two levels."""
    rows, n = g.shape
    db = backends.backend_of(g).empty((groups, n), g.dtype)
    if db.size:
        splits, _ = split(-(-n // 32) * groups, mean(rows, groups), 128)
        splits = max(1, min(splits, 65535 // groups))
        part = parts(db, splits, db.shape)
        grid = (-(-n // 32), groups * splits)
        whole = db if part is None else None
        _db(grid, (32, 8), g, s, offsets, whole, part, groups, splits, n, T=ctype(g.dtype), ACT=activation or "none")
        if part is not None:
            combine(part, db)
    return db
