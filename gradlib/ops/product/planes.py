"""float32 matrices as bfloat16 planes, and the gradient before an activation in the form the products want it."""

from __future__ import annotations

from typing import Any

from ... import backend as backends
from ...kernel import Kernel, ctype
from ...spec import bfloat16, float32
from .problem import Matrix

__all__ = ["gradient", "gradient_beside", "split", "split_beside"]

Array = Any

_split = Kernel("planes.cu", "split_planes", "x s p sums | rows columns room row_pitch plane_pitch strip")
_ROWS = 128  # of a block


def split(x: Array, planes: int) -> Matrix:
    """Return the planes of x (batch, rows, columns), which is contiguous, one after the other."""
    batch, rows, columns = x.shape
    p = _room(x, (batch * planes, rows))
    _run(x, p, planes, p.shape[2], rows * p.shape[2])
    return Matrix(p[:, :, :columns], planes=planes)


def split_beside(x: Array, planes: int) -> Array:
    """Return the planes of x (rows, columns) beside each other: (rows, planes, columns padded to multiples of 8)."""
    p = _room(x, (x.shape[0], planes))
    _run(x[None], p, planes, planes * p.shape[2], p.shape[2])
    return p


def gradient(g: Array, s: Array | None, activation: str | None, planes: int) -> tuple[Matrix, Array]:
    """Return dz = g act'(s) of one matrix (1, rows, columns), and its column sums (parts, columns) in float32.

    In 16 bits the one plane is dz itself, with rows padded to multiples of 16 bytes.
    """
    _, rows, columns = g.shape
    p = _room(g, (planes, rows))
    sums = _run(g, p, planes, p.shape[2], rows * p.shape[2], s, activation, gradient=True)
    return Matrix(p[:, :, :columns], planes=planes), sums


def gradient_beside(g: Array, s: Array | None, activation: str | None, planes: int) -> tuple[Array, Array]:
    """Return dz of (rows, columns) with its planes beside each other, and its column sums."""
    p = _room(g, (g.shape[0], planes))
    other = None if s is None else s[None]
    return p, _run(g[None], p, planes, planes * p.shape[2], p.shape[2], other, activation, gradient=True)


def _room(x: Array, lead: tuple[int, int]) -> Array:
    """Return an array for planes of x, its columns padded so that rows begin at multiples of 16 bytes."""
    out = bfloat16 if x.dtype == float32 else x.dtype
    return backends.backend_of(x).empty((*lead, -(-x.shape[-1] // 8) * 8), out)


def _run(
    x: Array,
    p: Array,
    planes: int,
    row_pitch: int,
    plane_pitch: int,
    s: Array | None = None,
    activation: str | None = None,
    *,
    gradient: bool = False,
) -> Array | None:
    batch, rows, columns = x.shape
    room, strips = p.shape[2], -(-rows // _ROWS)
    sums = backends.backend_of(x).empty((batch * strips, columns), float32) if gradient else None
    macros: dict[str, Any] = {
        "T": ctype(x.dtype),
        "OUT": ctype(p.dtype),
        "PLANES": planes,
        "GRADIENT": gradient,
        "ACT": activation or "none",
    }
    if p.size:
        grid = (-(-room // 256), strips, batch)
        _split(grid, (32, 8), x, s, p, sums, rows, columns, room, row_pitch, plane_pitch, _ROWS, **macros)
    return sums
