"""Writing down what a launcher does, so that a plan (`plan.py`) can do it again with other arrays.

What can be written down makes arrays by its backend's `empty`, launches kernels, and returns arrays that it made or was
given.  Every address that it passes is looked for in these; one that is not found, or anything else that the record is
told of, spoils it, and there is no plan.
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, NamedTuple

from ..backend import watch
from ..backend.protocol import Dim3
from . import log

__all__ = ["Record", "Step"]

Array = Any
Spot = tuple[int, int]  # which array, counted from 1 (0: none), and how many bytes behind its first element


current: Record | None = None  # the one under way, of whichever thread
_lock = threading.Lock()


class Step(NamedTuple):
    """One launch of a plan."""

    go: Callable[..., None]  # called with addresses and tensor maps
    pick: Callable[[Sequence[int]], Sequence[int]]  # its addresses of all addresses of the plan
    maps: tuple[tuple[int, int, Any], ...]  # byte of the argument block, which of the addresses, what lies there


class Record:
    """What is written down of one run of a launcher with `inputs`: what this thread does inside of a `with` block.

    Its arrays are kept alive, so that no address stands for two of them.
    """

    def __init__(self, kind: Any, backend: Any, arrays: Sequence[Array]) -> None:
        self.kind = kind  # of the call
        self.spoilt = False
        self.inputs = [None if a is None else _alone(a, arrays[:i]) for i, a in enumerate(arrays)]
        self.rooms: list[tuple[tuple[int, ...], Any]] = []  # shapes and dtypes of the arrays made
        self._launches: list[tuple[Callable[..., None], list[Spot], list[tuple[int, Spot, Any]]]] = []
        self._arrays: list[Array] = []
        self._bounds: list[tuple[int, int, int]] = []  # of each array: lowest byte, first element, end
        self._pointer = backend.pointer
        self._thread = threading.get_ident()
        for array in self.inputs:
            if array is not None:
                self._add(array)

    def _add(self, array: Array) -> None:
        first = self._pointer(array)
        reach = [(n - 1) * stride for n, stride in zip(array.shape, array.strides, strict=True)]
        low = first + sum(r for r in reach if r < 0)
        end = first + sum(r for r in reach if r > 0) + array.dtype.itemsize
        if array.size == 0 or any(low < e and b < end for b, _, e in self._bounds):
            self.spoilt = True
        self._arrays.append(array)
        self._bounds.append((low, first, end))

    def __enter__(self) -> None:
        global current
        _lock.acquire()
        current = watch.listener = self
        log.refresh(recording=True)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        global current
        current = watch.listener = None
        log.refresh(recording=False)
        _lock.release()

    # -- what happens meanwhile, in this thread and in others

    def made(self, array: Array) -> None:
        """`empty` made this array."""
        if threading.get_ident() == self._thread:
            self.rooms.append((array.shape, array.dtype))
            self._add(array)

    def spoil(self) -> None:
        """Something was done that cannot be written down."""
        if threading.get_ident() == self._thread:
            self.spoilt = True

    def launched(
        self, launch: Any, sizes: tuple[Dim3, Dim3, int], values: Sequence[Any], packed: bytes, reaches: bool
    ) -> None:
        """A `Launch` was made with these values, of which the addresses come first; `reaches`: it finds more of them."""
        if threading.get_ident() != self._thread:
            return
        self.spoilt = self.spoilt or reaches
        count = len(launch.dtypes)
        maps = [(byte, self._spot(values[i].made.address), values[i].made) for i, byte in launch.map_places]
        go = launch.function.prepare(*sizes, packed, count)
        self._launches.append((go, [self._spot(address) for address in values[:count]], maps))

    def _spot(self, address: int) -> Spot:
        if address == 0:
            return 0, 0
        for i, (low, first, end) in enumerate(self._bounds, 1):
            if low <= address < end:
                return i, address - first
        self.spoilt = True
        return 0, 0

    # -- afterwards

    def index(self, array: Array) -> int:
        """Return which array this is, 0 for None; one of neither inputs nor those made spoils the record."""
        if array is None:
            return 0
        for i, own in enumerate(self._arrays, 1):
            if own is array:
                return i
        self.spoilt = True
        return 0

    def steps(self) -> tuple[list[Spot], list[Step]]:
        """Return the spots that are not the first element of an array, whose addresses follow theirs, and the steps."""
        found = dict.fromkeys(spot for _, spots, maps in self._launches for spot in (*spots, *(s for _, s, _ in maps)))
        inside = [spot for spot in found if spot[1]]
        place = {spot: spot[0] for spot in found} | {s: i for i, s in enumerate(inside, 1 + len(self._arrays))}
        steps = [
            Step(go, _picker([place[spot] for spot in spots]), tuple((byte, place[s], made) for byte, s, made in maps))
            for go, spots, maps in self._launches
        ]
        return inside, steps


def _picker(places: Sequence[int]) -> Callable[[Sequence[int]], Sequence[int]]:
    if len(places) > 1:
        return operator.itemgetter(*places)
    return lambda addresses: [addresses[i] for i in places]



def _alone(array: Array, others: Sequence[Array]) -> Array:
    """Return a copy of an array that is passed twice: each place is to have addresses of its own."""
    return array.copy(order="K") if any(array is other for other in others) else array
