"""The geometry of convolutions as implicit products: windows, the places their bases go through, the taps they have.

Spatial axes are in the arrays' order here, (depth, height, width), and turned round for the kernels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

__all__ = ["Class", "Images", "Walk", "Window", "classes", "forward_walk", "tap_strides", "whd"]

Array = Any
Ints = tuple[int, ...]


@dataclass(frozen=True)
class Window:
    """What a convolution's filter does: its size and where it goes."""

    kernel: Ints
    stride: Ints
    before: Ints  # zeros before the image
    dilation: Ints
    groups: int


@dataclass(frozen=True)
class Images:
    """Images as products take them: (batch, *size, planes * room), of which `channels` a plane count."""

    array: Array
    channels: int
    planes: int = 1

    @property
    def size(self) -> Ints:
        return tuple(self.array.shape[1:-1])

    @property
    def plane(self) -> int:
        return int(self.array.shape[-1]) // self.planes


@dataclass(frozen=True)
class Walk:
    """Where the filter's base goes: `count` places along each axis, from `low` on in `step`s; and the taps it has."""

    count: Ints
    step: Ints
    low: Ints
    taps: Ints
    offset: Ints

    def upper(self, size: Ints) -> Ints:
        """Return how far behind the last pixel of an image the last base lies."""
        ends = zip(self.count, self.step, self.low, size, strict=True)
        return tuple((n - 1) * step + low - (length - 1) for n, step, low, length in ends)

    @property
    def numbers(self) -> Ints:
        """What a walk is in the kernels' parameters."""
        axes = (self.count, self.step, self.low, self.taps, self.offset)
        defaults = (1, 1, 0, 1, 0)
        return tuple(n for axis, default in zip(axes, defaults, strict=True) for n in whd(axis, default))


def whd(axis: Ints, default: int) -> Ints:
    """Return three numbers for the axes, innermost first; `default` for axes that are not there."""
    return (*axis[::-1], *[default] * (3 - len(axis)))


def forward_walk(window: Window, out: Ints) -> Walk:
    """Return the walk of a convolution whose result has this size."""
    return Walk(out, window.stride, tuple(-p for p in window.before), window.kernel, window.dilation)


@dataclass(frozen=True)
class Class:
    """The places of x with one remainder of each stride: which of dz reach them, by which taps."""

    walk: Walk
    origin: Ints
    first: Ints  # tap of the filter that the walk's first tap is, and the step to that of its next
    next: Ints

    @property
    def reached(self) -> bool:
        """Whether there is a tap that reaches them; else the sums there are of nothing."""
        return 0 not in self.walk.taps


def classes(window: Window, size: Ints, out: Ints) -> list[Class]:
    """Split the places of x by their remainders."""
    axes = []
    for n, k, s, p, d in zip(size, window.kernel, window.stride, window.before, window.dilation, strict=True):
        axes.append([_remainder(n, k, s, p, d, a) for a in range(min(s, n))])
    found: list[Class] = []
    for index in _grid([len(axis) for axis in axes]):
        chosen = [axis[i] for axis, i in zip(axes, index, strict=True)]
        count, low, taps, offset, first, step = zip(*chosen, strict=True)
        walk = Walk(count, (1,) * len(count), low, taps, offset)
        found.append(Class(walk, tuple(index), first, step))
    return found


def _remainder(n: int, k: int, s: int, p: int, d: int, a: int) -> tuple[int, int, int, int, int, int]:
    """Along one axis, for x at a, a + s, ...: (places, first of dz, taps, offset of a tap, first tap, step of taps).

    Tap r brings x at h from dz at (h + p - r d) / s, where that divides.  The taps for which it does are r0, r0 + e,
    ... with e = s / gcd(s, d); dz is walked upwards, so the last of them is the first.
    """
    e, count = s // math.gcd(s, d), -(-(n - a) // s)
    r0 = next((r for r in range(min(e, k)) if (a + p - r * d) % s == 0), None)
    if r0 is None:
        return (count, 0, 0, 0, 0, 0)
    taps = (k - 1 - r0) // e + 1
    last = r0 + e * (taps - 1)
    return (count, (a + p - last * d) // s, taps, e * d // s, last, -e)


def _grid(counts: list[int]) -> list[Ints]:
    found: list[Ints] = [()]
    for count in counts:
        found = [(*index, i) for index in found for i in range(count)]
    return found


def tap_strides(kernel: Ints, planes: int) -> Ints:
    """Return how many matrices of the filter lie between neighbouring taps along each axis."""
    return tuple(planes * math.prod(kernel[axis + 1 :]) for axis in range(len(kernel)))
