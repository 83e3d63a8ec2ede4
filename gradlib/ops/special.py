"""The error function on arrays: NumPy has none.

Source: W. J. Cody, "Rational Chebyshev approximations for the error function", Math. Comp. 23 (1969), 631-637: three
intervals, rational in x^2, in x and in 1 / x^2, good to 18 digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

__all__ = ["erf_of", "erfc_of"]

_SMALL = 0.46875

# |x| <= 0.46875: erf(x) = x P(x^2) / Q(x^2).  Highest power first, as in every table here.
_ERF_P = (1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2, 3.77485237685302021e2,
          3.20937758913846947e3)  # fmt: skip
_ERF_Q = (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3)

# 0.46875 <= x <= 4: erfc(x) = exp(-x^2) P(x) / Q(x)
_MIDDLE_P = (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1,
             2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
             1.23033935479799725e3)  # fmt: skip
_MIDDLE_Q = (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
             3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3)  # fmt: skip

# x >= 4: erfc(x) = exp(-x^2) / x (1 / sqrt(pi) - r P(r) / Q(r)), r = 1 / x^2
_FAR_P = (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
          1.60837851487422766e-2, 6.58749161529837803e-4)  # fmt: skip
_FAR_Q = (1.0, 2.56852019228982242, 1.87295284992346725, 5.27905102951428412e-1, 6.05183413124413191e-2,
          2.33520497626869185e-3)  # fmt: skip

_BLOCK = 8192  # elements worked on at a time, so that the dozen passes over them stay in the cache


def _polynomial(coefficients: tuple[float, ...], x: Any) -> Any:
    """Horner's rule, in place."""
    total = x * coefficients[0]
    for c in coefficients[1:-1]:
        total += c
        total *= x
    total += coefficients[-1]
    return total


def _near(x: Any) -> Any:
    """erf for |x| <= 0.46875."""
    square = x * x
    total = _polynomial(_ERF_P, square)
    total *= x
    total /= _polynomial(_ERF_Q, square)
    return total


def _tail(xp: Any, x: Any) -> Any:
    """erfc for x >= 0.46875."""
    scale = _gauss(xp, x)
    middle = x.dtype.type(4.0)
    y = xp.minimum(x, middle)
    total = _polynomial(_MIDDLE_P, y)
    total /= _polynomial(_MIDDLE_Q, y)
    if (far := x > middle).any():
        z = x[far]
        r = 1 / (z * z)
        correction = r * _polynomial(_FAR_P, r) / _polynomial(_FAR_Q, r)
        total[far] = (1 / math.sqrt(math.pi) - correction) / z
    total *= scale
    return total


def _gauss(xp: Any, x: Any) -> Any:
    """exp(-x^2), with x split so that the square of its leading part is exact: no digits lost for large x."""
    lead = xp.trunc(x * 16) / 16
    rest = x - lead
    rest *= x + lead
    return xp.exp(-lead * lead) * xp.exp(-rest)


def _erf_block(xp: Any, x: Any, out: Any) -> None:
    size = xp.abs(x)
    near = size <= _SMALL
    xp.minimum(size, 6.0, out=size)  # erf is 1 there
    result = xp.copysign(1 - _tail(xp, xp.maximum(size, _SMALL)), x)
    out[...] = xp.where(near, _near(xp.clip(x, -_SMALL, _SMALL)), result)


def _erfc_block(xp: Any, x: Any, out: Any) -> None:
    size = xp.abs(x)
    near = size <= _SMALL
    xp.minimum(size, 28.0, out=size)  # erfc is 0 there
    tail = _tail(xp, xp.maximum(size, _SMALL))
    out[...] = xp.where(near, 1 - _near(xp.clip(x, -_SMALL, _SMALL)), xp.where(x < 0, 2 - tail, tail))


def _by_blocks(xp: Any, x: Any, block: Callable[[Any, Any, Any], None]) -> Any:
    flat = xp.ascontiguousarray(x).reshape(-1)
    out = xp.empty_like(flat)
    for start in range(0, flat.shape[0], _BLOCK):
        block(xp, flat[start : start + _BLOCK], out[start : start + _BLOCK])
    return out.reshape(x.shape)


def erf_of(xp: Any, x: Any) -> Any:
    """Return erf(x), in the dtype of x, to a few units in the last place."""
    return _by_blocks(xp, x, _erf_block)


def erfc_of(xp: Any, x: Any) -> Any:
    """Return erfc(x) = 1 - erf(x), in the dtype of x; relative accuracy also where it is tiny."""
    return _by_blocks(xp, x, _erfc_block)
