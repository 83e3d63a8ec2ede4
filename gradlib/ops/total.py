"""Sums of float32 (and of complex64, its pairs) that keep their digits, whatever the layout.

NumPy adds in pairs along the axis of smallest stride, but row after row along any other: the sum over a batch of
100,000 rows loses three digits.  Here no more than `RUN` terms are added in a row, then the runs' sums likewise.
"""

from __future__ import annotations

import math
from typing import Any

from ..spec import complex64, float32

__all__ = ["total"]

Array = Any

RUN = 64


def total(xp: Any, x: Array, axis: tuple[int, ...], keepdims: bool = False) -> Array:
    """Return the sum of x over `axis` (sorted); the error in float32 grows like the logarithm of the count."""
    count = math.prod(x.shape[a] for a in axis)
    if x.dtype not in (float32, complex64) or count <= RUN or _added_in_pairs(x, axis):
        return x.sum(axis, keepdims=keepdims)
    y = x
    if x.flags.c_contiguous and axis[-1] - axis[0] == len(axis) - 1:  # neighbours are as good as one axis
        y = _tree(xp, x.reshape(*x.shape[: axis[0]], count, *x.shape[axis[-1] + 1 :]), axis[0])
    else:
        for a in reversed(axis):
            y = _tree(xp, y, a)
    return y.reshape([1 if i in axis else n for i, n in enumerate(x.shape)]) if keepdims else y


def _added_in_pairs(x: Array, axis: tuple[int, ...]) -> bool:
    """Whether the axis of smallest stride is one of those summed over."""
    if x.flags.c_contiguous:
        return bool(axis[-1] == x.ndim - 1)
    steps = [(abs(s), -i) for i, (s, n) in enumerate(zip(x.strides, x.shape, strict=True)) if n > 1]
    return not steps or -min(steps)[1] in axis


def _tree(xp: Any, x: Array, a: int) -> Array:
    """Sum over one axis in runs, then over the runs' sums."""
    before, after = x.shape[:a], x.shape[a + 1 :]
    lead = (slice(None),) * a
    while (n := x.shape[a]) > RUN:
        runs = n // RUN
        sums = x[(*lead, slice(0, runs * RUN))].reshape(*before, runs, RUN, *after).sum(a + 1)
        if runs * RUN < n:
            rest = x[(*lead, slice(runs * RUN, n))].sum(a, keepdims=True)
            sums = xp.concatenate((sums, rest), a)
        x = sums
    return x.sum(a)
