"""Prints the coefficients of gradlib/ops/special.py.  Needs mpmath."""

from __future__ import annotations

from collections.abc import Callable

import mpmath as mp

mp.mp.dps = 60


def interpolate(f: Callable[[mp.mpf], mp.mpf], degree: int) -> list[mp.mpf]:
    """Coefficients in powers, lowest first, of the polynomial through f at Chebyshev's points of [-1, 1]."""
    n = degree + 1
    angles = [mp.pi * (mp.mpf(k) + 0.5) / n for k in range(n)]
    values = [f(mp.cos(a)) for a in angles]
    basis = [[mp.mpf(1)], [mp.mpf(0), mp.mpf(1)]]
    while len(basis) < n:
        following = [mp.mpf(0), *[2 * v for v in basis[-1]]]
        basis.append([a - b for a, b in zip(following, basis[-2] + [mp.mpf(0)] * 2, strict=True)])
    powers = [mp.mpf(0)] * n
    for j, polynomial in enumerate(basis[:n]):
        c = (2 if j else 1) * sum(v * mp.cos(j * a) for v, a in zip(values, angles, strict=True)) / n
        for i, p in enumerate(polynomial):
            powers[i] += c * p
    return powers


def tail(k: mp.mpf) -> Callable[[mp.mpf], mp.mpf]:
    def h(u: mp.mpf) -> mp.mpf:
        y = k * (1 + u) / (1 - u)
        if y < 1e4:
            return (1 + 2 * y) * mp.exp(y * y) * mp.erfc(y)
        return (1 + 2 * y) / (y * mp.sqrt(mp.pi)) * (1 - 1 / (2 * y * y) + 3 / (4 * y**4))

    return h


def near(v: mp.mpf) -> mp.mpf:
    x = mp.sqrt((v + 1) / 2)
    return mp.erf(x) / x


def in_square(powers: list[mp.mpf]) -> list[mp.mpf]:
    """The same polynomial in s = (v + 1) / 2."""
    result = [mp.mpf(0)] * len(powers)
    base = [mp.mpf(1)]
    for c in powers:
        for i, b in enumerate(base):
            result[i] += c * b
        base = [2 * a - b for a, b in zip([mp.mpf(0), *base], [*base, mp.mpf(0)], strict=True)]
    return result


for name, k, degree, near_degree in (("single", 2.5, 10, 6), ("double", 3.75, 23, 11)):
    print(name, [float(c) for c in reversed(interpolate(tail(mp.mpf(k)), degree))])
    print("  near", [float(c) for c in reversed(in_square(interpolate(near, near_degree)))])
