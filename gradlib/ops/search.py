"""Where values are: their places among sorted ones, whether they are there at all, how many are not zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import integers, leaf, op, sample
from ..errors import ShapeError, message, operand
from ..spec import Spec, bool_, int64
from .comparisons import not_equal
from .elementwise import cast
from .index import take
from .operands import of_arrays
from .reduce import sum

__all__ = ["count_nonzero", "isin", "searchsorted"]

Array = Any


def _infer_sorted(x1: Spec, x2: Spec, *, side: str) -> Spec:
    if x1.ndim != 1:
        lines = [operand("x1", x1, "sorted values"), operand("x2", x2)]
        raise ShapeError(message(f"searchsorted(x1, x2): x1 has {x1.ndim} axes", lines, "need 1"))
    return Spec(x2.shape, int64)


def _ascending(*shape: int) -> Any:
    return lambda rng: np.sort(rng.integers(0, 6, shape) * 0.5)


def _steps(*shape: int) -> Any:
    return lambda rng: rng.integers(-1, 8, shape) * 0.5


@leaf(
    "searchsorted",
    infer=_infer_sorted,
    promote="same",
    samples=lambda: [
        sample(_ascending(7), _steps(3, 5), side="left"),
        sample(_ascending(7), _steps(4), side="right"),
        sample(_ascending(1), _steps(), side="left"),
        sample(_ascending(0), _steps(2), side="right"),
        sample(_ascending(3), _steps(2, 0), side="left"),
    ],
)
def _searchsorted(xp: Any, x1: Array, x2: Array, *, side: str) -> Array:
    """y = where each element of x2 belongs among the sorted x1: before its equals, or (side "right") behind them."""
    return xp.searchsorted(x1, x2, side)


def searchsorted(x1: Any, x2: Any, *, side: str = "left", sorter: Any = None) -> Any:
    """Return the places in the sorted x1, one axis, before which the elements of x2 can be put without disorder.

    Of several places the first for ``side="left"``, the last for ``"right"``.  ``sorter`` holds the indices that sort
    x1, if it is not sorted.  NaN counts as largest.

    >>> import gradlib as gl
    >>> gl.searchsorted(gl.tensor([1.0, 2.0, 2.0, 3.0]), gl.tensor([2.0, 9.0]))
    tensor([1, 4], dtype=int64)
    """
    if side not in ("left", "right"):
        raise ValueError(f'searchsorted(x1, x2, side): side is {side!r}\n  need "left" or "right"')
    if sorter is not None:
        x1 = take(x1, sorter, axis=0)
    return _searchsorted(x1, x2, side=side)


@leaf(
    "isin",
    infer=lambda x1, x2, *, invert: Spec(x1.shape, bool_),
    promote="same",
    complex=True,
    samples=lambda: [
        sample(_steps(3, 5), _steps(2, 2), invert=False),
        sample(integers(0, 9, 7), integers(0, 9, 3), invert=True),
        sample(_steps(), _steps(0), invert=False),
        sample(_steps(0, 2), _steps(3), invert=True),
    ],
)
def _isin(xp: Any, x1: Array, x2: Array, *, invert: bool) -> Array:
    """y = whether each element of x1 is among those of x2 (or is not)."""
    return xp.isin(x1, x2, invert=invert)


def isin(x1: Any, x2: Any, *, invert: bool = False) -> Any:
    """Return whether each element of x1 is among those of x2; with `invert`, whether it is not.  NaN never is.

    >>> import gradlib as gl
    >>> gl.isin(gl.arange(4), gl.tensor([1, 3]))
    tensor([False,  True, False,  True], dtype=bool)
    """
    return _isin(x1, x2, invert=invert)


@of_arrays
def count_nonzero(x: Any, *, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
    """Return how many elements over `axis` (all axes for None) are not zero, as int64."""
    return sum(cast(x if x.dtype == bool_ else not_equal(x, 0), int64), axis=axis, keepdims=keepdims)


op.register(count_nonzero=count_nonzero, isin=isin, searchsorted=searchsorted)
