"""float32 matrices as bfloat16 planes, and the gradient before an activation in the form the products want it."""

from __future__ import annotations

from typing import Any

from ... import backend as backends
from ...kernel import Kernel, ctype
from ...spec import bfloat16, float32
from .problem import Matrix

__all__ = ["gradient", "split"]

Array = Any

_split = Kernel("planes.cu", "split_planes", "x s p sums | rows columns pitch strip")
_ROWS = 128  # of a block


def split(x: Array, planes: int) -> Matrix:
    """Return the planes of x (batch, rows, columns), which is contiguous."""
    return _make(x, None, None, planes, gradient=False)[0]


def gradient(g: Array, s: Array | None, activation: str | None, planes: int) -> tuple[Matrix, Array]:
    """Return dz = g act'(s) of one matrix (1, rows, columns), and its column sums (parts, columns) in float32.

    In 16 bits the one plane is dz itself, with rows padded to multiples of 16 bytes.
    """
    return _make(g, s, activation, planes, gradient=True)


def _make(x: Array, s: Array | None, activation: str | None, planes: int, *, gradient: bool) -> tuple[Matrix, Array]:
    batch, rows, columns = x.shape
    backend = backends.backend_of(x)
    out = bfloat16 if x.dtype == float32 else x.dtype
    pitch = -(-columns // 8) * 8
    strips = -(-rows // _ROWS)
    p = backend.empty((batch * planes, rows, pitch), out)
    sums = backend.empty((batch * strips, columns), float32) if gradient else None
    macros: dict[str, Any] = {
        "T": ctype(x.dtype),
        "OUT": ctype(out),
        "PLANES": planes,
        "GRADIENT": gradient,
        "ACT": activation or "none",
    }
    if p.size:
        grid = (-(-columns // 256), strips, batch)
        _split(grid, (32, 8), x, s, p, sums, rows, columns, pitch, _ROWS, **macros)
    return Matrix(p[:, :, :columns], planes=planes), sums
