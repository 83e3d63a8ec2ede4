"""A line search for a step that satisfies the strong Wolfe conditions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["Point", "strong_wolfe"]


class Point(NamedTuple):
    """What is known at one place of the line: its t, the value, the slope along the line, the whole gradient."""

    t: float
    value: float
    slope: float
    gradient: Any


def cubic_minimum(a: Point, b: Point, low: float, high: float) -> float:
    """Return where the cubic through two points' values and slopes is least, kept in [low, high].

    Source: Nocedal and Wright, "Numerical optimization", 2nd edition, equation 3.59.
    """
    if a.t > b.t:
        a, b = b, a
    d1 = a.slope + b.slope - 3.0 * (a.value - b.value) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:  # no minimum, or no numbers
        return (low + high) / 2.0
    d2 = math.sqrt(square)
    width = b.slope - a.slope + 2.0 * d2
    if width == 0:
        return high
    return min(max(b.t - (b.t - a.t) * (b.slope + d2 - d1) / width, low), high)


def strong_wolfe(
    evaluate: Callable[[float], Point],
    origin: Point,
    t: float,
    reach: float,
    *,
    trials: int,
    tolerance: float,
    c1: float = 1e-4,
    c2: float = 0.9,
) -> tuple[Point, int]:
    """Return a point with f(t) <= f(0) + c1 t f'(0) and |f'(t)| <= c2 |f'(0)|, and how often `evaluate` was called.

    First the step grows until an interval must hold such a point; then the interval shrinks by cubic
    interpolation, until it is narrower than ``tolerance / reach`` or the `trials` are used up.  The lowest
    point is returned if none satisfies both.  The safeguards are those of ``torch.optim.LBFGS``.

    Source: Nocedal and Wright, "Numerical optimization", 2nd edition, Algorithms 3.5 and 3.6.
    """

    def too_high(p: Point) -> bool:
        return p.value > origin.value + c1 * p.t * origin.slope

    def flat(p: Point) -> bool:
        return abs(p.slope) <= -c2 * origin.slope

    before, here, calls = origin, evaluate(t), 1
    for trial in range(trials):
        if too_high(here) or (trial > 1 and here.value >= before.value):
            break
        if flat(here):
            return here, calls
        if here.slope >= 0:
            break
        t = cubic_minimum(before, here, here.t + 0.01 * (here.t - before.t), 10.0 * here.t)
        before, here, calls = here, evaluate(t), calls + 1
    else:
        return min(origin, here, key=lambda p: p.value), calls

    low, high = (before, here) if before.value <= here.value else (here, before)
    stalled = False
    for _ in range(trials - trial):
        left, right = min(low.t, high.t), max(low.t, high.t)
        if (right - left) * reach < tolerance:
            break
        t, margin = cubic_minimum(low, high, left, right), 0.1 * (right - left)
        if min(right - t, t - left) >= margin:
            stalled = False
        elif stalled or t >= right or t <= left:  # a second time at the edge: step away from it
            t = right - margin if right - t < t - left else left + margin
            stalled = False
        else:
            stalled = True
        here, calls = evaluate(t), calls + 1
        if too_high(here) or here.value >= low.value:
            high = here
        else:
            if flat(here):
                return here, calls
            if here.slope * (high.t - low.t) >= 0:
                high = low
            low = here
        if high.value < low.value:
            low, high = high, low
    return low, calls
