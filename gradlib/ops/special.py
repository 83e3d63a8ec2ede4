"""The error function and the normal distribution on arrays: NumPy has neither.

For y >= 0, erfc(y) = exp(-y^2) H(u) / (1 + 2 y) with u = (y - k) / (y + k): H is so smooth that one polynomial serves
all y.  erf near 0 is x times a polynomial in x^2.  The coefficients are those of the interpolation at Chebyshev's
points, computed in 60 digits (``tests/reference/make_special.py``); results are good to a few units in the last place.

Source: M. M. Shepherd and J. G. Laframboise, "Chebyshev approximation of (1 + 2x) exp(x^2) erfc x in 0 <= x < inf",
Mathematics of Computation 36 (1981), 249-253.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["by_blocks", "erf_block", "erfc_block", "normal_block"]

Array = Any


class _Table(NamedTuple):
    """Coefficients for one precision, highest power first."""

    k: float
    tail: tuple[float, ...]  # H(u)
    near: tuple[float, ...]  # erf(x) / x, in x^2, for |x| <= 1


_SINGLE = _Table(
    2.5,
    (
        -6.601327423592082e-05, 0.0004047881423602062, 0.0004685819146055869, -0.004178661442332511,
        0.0009421644424298378, 0.032676372644295106, -0.10296889438204207, 0.15764463080147162, -0.0990244475987002,
        -0.1223574913640077, 1.2648381843668615,
    ),
    (
        7.875875062685488e-05, -0.000801686428716587, 0.005189087423433974, -0.026854212010626412, 0.11283594715160218,
        -0.37612626666720334, 1.1283791658483509,
    ),
)  # fmt: skip

_DOUBLE = _Table(
    3.75,
    (
        3.2052623379289157e-10, -2.618520156503145e-09, -3.798189797736207e-09, 3.195398612057818e-08,
        2.3398534313040898e-08, -2.4851108650210706e-07, -5.741076073013916e-08, 1.7419011945194367e-06,
        -9.733875167494142e-07, -1.1437980374495534e-05, 2.2384138525656757e-05, 5.164649341002877e-05,
        -0.00029015404203352704, 0.000293714390578856, 0.001755625843431864, -0.00974657968596217, 0.028362277420377335,
        -0.05869339857631061, 0.09230432116025894, -0.10880393014246645, 0.08227673849014977, 0.003585415485479575,
        -0.14024059858554702, 1.2375126308378275,
    ),
    (
        -7.795898827002142e-10, 1.3720064546777686e-08, -1.6208483801871705e-07, 1.6447424703317362e-06,
        -1.492473690741966e-05, 0.00012055294904839707, -0.0008548325975389692, 0.0052239776071164225,
        -0.02686617064323777, 0.11283791670945006, -0.37612638903183543, 1.1283791670955126,
    ),
)  # fmt: skip

_BLOCK = 8192  # elements worked on at a time, so that some dozen passes over them stay in the cache


def by_blocks(function: Callable[..., Array], xp: Any, x: Array, *others: Array) -> Array:
    """Return ``function(xp, x, *others)``, elementwise on arrays of one shape, computed block by block."""
    if x.ndim == 1 and x.size <= _BLOCK:
        return function(xp, x, *others)
    flat = [xp.ascontiguousarray(a).reshape(-1) for a in (x, *others)]
    out = xp.empty_like(flat[0])
    for start in range(0, out.shape[0], _BLOCK):
        part = slice(start, start + _BLOCK)
        out[part] = function(xp, *[a[part] for a in flat])
    return out.reshape(x.shape)


def _table(x: Array) -> _Table:
    return _SINGLE if x.dtype.itemsize == 4 else _DOUBLE


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    """Horner's rule, in place."""
    total = x * coefficients[0]
    for c in coefficients[1:-1]:
        total += c
        total *= x
    total += coefficients[-1]
    return total


def _scaled(y: Array) -> Array:
    """exp(y^2) erfc(y), for y >= 0."""
    table = _table(y)
    u = y + table.k
    scaled = _polynomial(table.tail, (y - table.k) / u)
    u *= 2
    u += 1 - 2 * table.k  # 1 + 2 y
    scaled /= u
    return scaled


def _tail(xp: Any, y: Array) -> Array:
    """erfc(y), for y >= 0; y is split so that the square of its leading part is exact, and no digits are lost."""
    lead = xp.trunc(y * 16)
    lead /= 16
    rest = y - lead
    rest *= y + lead
    lead *= lead
    return _scaled(y) * xp.exp(-lead) * xp.exp(-rest)


def erf_block(xp: Any, x: Array) -> Array:
    """erf(x)."""
    size = xp.abs(x)
    small = size < 1
    square = xp.minimum(size, 1)
    square *= square
    near = _polynomial(_table(x).near, square)
    near *= xp.clip(x, -1, 1)
    far = xp.copysign(1 - _tail(xp, xp.minimum(size, 6)), x)  # 1 to the last digit from there on
    near *= small  # `where` takes five times as long
    far *= ~small
    near += far
    return near


def erfc_block(xp: Any, x: Array) -> Array:
    """1 - erf(x), to full relative accuracy."""
    tail = _tail(xp, xp.minimum(xp.abs(x), 28))  # 0 from there on
    return xp.where(x < 0, 2 - tail, tail)


def normal_block(xp: Any, x: Array) -> tuple[Array, Array]:
    """The normal distribution's weight beyond abs(x), on one side, and exp(-x^2 / 2)."""
    size = xp.abs(x)
    if not bool((size < 40).all()):
        size = xp.minimum(size, 40)  # both are 0 from there on
    bell = size * size
    bell *= -0.5
    xp.exp(bell, out=bell)
    size *= math.sqrt(0.5)
    tail = _scaled(size)
    tail *= bell
    tail *= 0.5
    return tail, bell
