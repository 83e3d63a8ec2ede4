"""Writing down what a launcher does, so that a plan (`plan.py`) can do it again with other arrays.

What can be written down makes arrays by its backend's `empty`, launches kernels, and returns arrays that it made or was
given.  Every address that it passes is looked for in these; one that is not found, or anything else that the record is
told of, spoils it, and there is no plan.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any, NamedTuple

from ..backend import watch
from ..backend.protocol import Dim3, PreparedLaunch
from . import log

__all__ = ["Launched", "Record", "Spot"]

Array = Any
Spot = tuple[int, int] | None  # which array, inputs first, and how many bytes behind its first element

current: Record | None = None  # the one under way, of whichever thread
_lock = threading.Lock()


class Launched(NamedTuple):
    """One launch."""

    go: PreparedLaunch
    addresses: tuple[Spot, ...]
    maps: tuple[tuple[int, Spot, Any], ...]  # byte of the argument block, what the map is of, and how

    @property
    def uses(self) -> set[int]:
        """The arrays that it reads or writes."""
        return {spot[0] for spot in (*self.addresses, *[spot for _, spot, _ in self.maps]) if spot is not None}


class Record:
    """What is written down of one run of a launcher with `inputs`: what this thread does inside of a `with` block.

    Its arrays are kept alive, so that no address stands for two of them.
    """

    def __init__(self, kind: Any, backend: Any, arrays: Sequence[Array]) -> None:
        self.kind, self.backend = kind, backend
        self.spoilt = False
        self.inputs = [None if a is None else _alone(a, arrays[:i]) for i, a in enumerate(arrays)]
        self.done: list[Array | Launched] = []  # the arrays made, and the launches, in their order
        self._arrays: list[Array] = []
        self._bounds: list[tuple[int, int, int]] = []  # of each array: lowest byte, first element, end
        self._pointer = backend.pointer
        self._thread = threading.get_ident()
        for array, given in zip(self.inputs, arrays, strict=True):
            self._add(array)
            if given is not array and given.strides != array.strides:  # type: ignore[union-attr]
                self.spoilt = True  # a copy, which is of another kind

    def _add(self, array: Array) -> None:
        self._arrays.append(array)
        if array is None:
            self._bounds.append((0, 0, 0))
            return
        first = self._pointer(array)
        reach = [(n - 1) * stride for n, stride in zip(array.shape, array.strides, strict=True)]
        low = first + sum(r for r in reach if r < 0)
        end = first + sum(r for r in reach if r > 0) + array.dtype.itemsize
        if array.size == 0 or any(low < e and b < end for b, _, e in self._bounds):
            self.spoilt = True
        self._bounds.append((low, first, end))

    def __enter__(self) -> None:
        global current
        _lock.acquire()
        current = watch.listener = self
        log.watch(1)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        global current
        current = watch.listener = None
        log.watch(-1)
        _lock.release()

    # -- what happens meanwhile, in this thread and in others

    def made(self, array: Array) -> None:
        """`empty` made this array."""
        if threading.get_ident() == self._thread:
            self.done.append(array)
            self._add(array)

    def spoil(self) -> None:
        """Something was done that cannot be written down."""
        if threading.get_ident() == self._thread:
            self.spoilt = True

    def launched(
        self, launch: Any, sizes: tuple[Dim3, Dim3, int], values: Sequence[Any], packed: bytes, reaches: bool
    ) -> None:
        """A `Launch` was made with these values, addresses first; `reaches`: it finds more of them in its arrays."""
        if threading.get_ident() != self._thread:
            return
        self.spoilt = self.spoilt or reaches
        count = len(launch.dtypes)
        addresses = tuple(map(self._spot, values[:count]))
        maps = tuple((byte, self._spot(values[i].made.address), values[i].made) for i, byte in launch.map_places)
        self.done.append(Launched(launch.function.prepare(*sizes, packed, count), addresses, maps))

    def _spot(self, address: int) -> Spot:
        if address == 0:
            return None
        for i, (low, first, end) in enumerate(self._bounds):
            if low <= address < end:
                return i, address - first
        self.spoilt = True
        return None

    # -- afterwards

    def index(self, array: Array) -> int | None:
        """Return which array this is; one that is neither an input nor was made spoils the record."""
        if array is not None:
            for i, own in enumerate(self._arrays):
                if own is array:
                    return i
            self.spoilt = True
        return None


def _alone(array: Array, others: Sequence[Array]) -> Array:
    """Return a copy of an array that is passed twice: each place is to have addresses of its own."""
    return array.copy(order="K") if any(array is other for other in others) else array
