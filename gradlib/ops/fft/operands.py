"""What the Fourier transforms take: dtypes, axes, sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...core import op
from ...errors import DTypeError, ShapeError, message, operand
from ...spec import normalize_axis
from ..join import pad
from .primitives import OTHER


def check(call: str, x: Any, norm: str, real: bool = False) -> None:
    """Refuse other dtypes (floating ones alone if `real`) and other norms."""
    if x.dtype.kind not in ("f" if real else "fc"):
        need = "a floating dtype" if real else "a floating or complex dtype"
        raise DTypeError(message(f"{call}: not defined for {x.dtype}", [operand("x", x)], f"need {need}"))
    if norm not in OTHER:
        raise ValueError(f'{call}: norm is {norm!r}\n  need "backward", "ortho" or "forward"')


def last(call: str, x: Any, axis: int) -> int:
    """Return the axis, counted from the end."""
    return normalize_axis(call, axis, x.ndim) - int(x.ndim)


def several(call: str, x: Any, s: Sequence[int] | None, axes: Sequence[int] | None) -> tuple[list[int], list[int]]:
    """Return the axes, counted from the end, and the size along each: -1 where it stays."""
    if axes is None:
        axes = range(-(x.ndim if s is None else len(s)), 0)
    places = [last(call, x, axis) for axis in axes]
    sizes = [-1] * len(places) if s is None else list(s)
    if len(sizes) != len(places) or len(set(places)) != len(places) or not places:
        what = f"{call}: s is {s}, axes are {tuple(axes)}"
        raise ShapeError(message(what, [operand("x", x)], "need a size for each axis, each axis once, at least one"))
    return places, sizes


def sized(call: str, x: Any, axis: int, n: int | None) -> Any:
    """Return x cut to n elements along `axis`, or filled up with zeros."""
    size = x.shape[axis]
    n = size if n in (None, -1) else n
    if n < 1:
        raise ShapeError(message(f"{call}: {n} elements along axis {axis}", [operand("x", x)], "need at least 1"))
    if n == size:
        return x
    if n < size:
        return op.getitem(x, (..., slice(0, n), *[slice(None)] * (-axis - 1)))
    widths = [(0, 0)] * x.ndim
    widths[axis] = (0, n - size)
    return pad(x, widths)
