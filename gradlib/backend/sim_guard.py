"""Memory of a checked launch on `sim`: guarded copies of the arrays, and which of them nothing has written yet."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .protocol import Array

__all__ = ["Named", "Span", "note_empty", "spans_of"]

Named = tuple[str, Array | None, int]  # an array parameter: its name, what was passed, where in the arguments it stands

_GUARD = 4096  # bytes on either side of an array
_POISON = 0xFF  # what fresh memory holds: NaN in every floating type


_fresh: dict[int, tuple[weakref.ref[Any], int]] = {}


def note_empty(array: Any) -> None:
    """Fill a new array with poison and remember, while it lives, that nothing has written it."""
    owner = array if array.base is None else array.base
    owner.reshape(-1).view(np.uint8).fill(_POISON)
    address = array.__array_interface__["data"][0]

    def forget(dead: weakref.ref[Any]) -> None:
        if address in _fresh and _fresh[address][0] is dead:
            del _fresh[address]

    if array.nbytes:
        _fresh[address] = (weakref.ref(owner, forget), array.nbytes)


def _unwritten(address: int, content: Any) -> bool:
    """Whether the memory at `address` is fresh and still holds nothing but poison; it counts as fresh only once."""
    found = next((start for start, (_, size) in _fresh.items() if start <= address < start + size), None)
    if found is None:
        return False
    del _fresh[found]
    return bool((content == _POISON).all())


@dataclass
class Span:
    """Memory that one argument, or several that overlap, cover; and what a launch uses in its place: a guarded copy.

    A variable of the kernel's own is used where it lies; `original` is then what it held.
    """

    begin: int
    end: int
    names: list[str]
    dtype: Any

    def __post_init__(self) -> None:
        self.original: Any = None
        self.copy: Any = None
        self.written = True
        self.in_place = self.constant = False

    def stay(self, constant: bool) -> None:
        """Use the memory where it is."""
        source: Any = (ctypes.c_ubyte * (self.end - self.begin)).from_address(self.begin)
        self.copy = np.frombuffer(source, np.uint8)
        self.original = self.copy.copy()
        self.address = self.begin
        self.in_place, self.constant = True, constant

    def reset(self) -> None:
        """Let the launch find what was there at first."""
        if not self.constant:
            self.copy[:] = self.original

    def keep(self, result: Any) -> None:
        """Let the caller find what a launch left."""
        if not self.constant:
            (self.copy if self.in_place else self.original)[:] = result

    def allocate(self) -> None:
        size = self.end - self.begin
        source: Any = (ctypes.c_ubyte * size).from_address(self.begin)
        self.original = np.frombuffer(source, np.uint8) if size else np.empty(0, np.uint8)
        self._memory = np.empty(size + 2 * _GUARD + 256, np.uint8)
        start = _GUARD + (self.begin - self._memory.ctypes.data - _GUARD) % 256  # the same place in a line of memory
        self.copy = self._memory[start : start + size]
        self.address = self.copy.ctypes.data
        self.written = not _unwritten(self.begin, self.original)


def _extent(array: Array) -> tuple[int, int]:
    """Return the addresses that a kernel may reach through `array`.

    A view of one element is how a launcher hands over the start of a strided operand: with its strides the kernel may
    reach all of the memory that the view is of.
    """
    if array.size == 1:
        while isinstance(array.base, np.ndarray):
            array = array.base
    low, high = np.lib.array_utils.byte_bounds(array)
    return int(low), int(high)


def spans_of(arrays: Sequence[Named]) -> list[Span]:
    found: list[Span] = []
    ranges = []
    for name, array, _ in arrays:
        if array is not None:
            ranges.append((*_extent(array), name, array.dtype))
    for begin, end, name, dtype in sorted(ranges, key=lambda r: r[:2]):
        last = found[-1] if found else None
        if last and (begin < last.end or (begin, end) == (last.begin, last.end)):
            last.end = max(last.end, end)
            last.names.append(name)
        else:
            found.append(Span(begin, end, [name], dtype))
    for span in found:
        span.allocate()
    return found
