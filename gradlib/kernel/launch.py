"""One prepared launch: a loaded entry, what its arguments must be, and the checks before it runs."""

from __future__ import annotations

import operator
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..backend.protocol import Dim3, Function, KernelBackend, Limits, Reached
from ..errors import DeviceError, KernelError, message, operand
from . import log, record
from .signature import alignment
from .source import Source
from .work import Work, work

__all__ = ["Launch", "Slot", "offsets"]

Reaches = Callable[[], list[Reached]]


@dataclass(frozen=True)
class Slot:
    """One parameter with its type resolved."""

    name: str
    c_type: str
    pointer: bool
    dtype: np.dtype[Any] | None  # of an array's elements; None for a scalar, and for void*
    format: str  # struct code


class Launch:
    """A kernel ready for one device and one set of macros.  Calling it is the hot path: it checks, packs, launches."""

    __slots__ = (
        "backend", "block_limit", "count", "describes", "dtypes", "entry", "file", "function", "grid_limit", "kind",
        "macros", "map_places", "pack", "pointer", "shared_limit", "sizes", "slots", "source", "threads",
    )  # fmt: skip

    def __init__(
        self,
        source: Source,
        entry: str,
        macros: tuple[tuple[str, str], ...],
        backend: KernelBackend,
        function: Function,
        slots: list[Slot],
    ) -> None:
        limits = backend.limits
        self.source, self.file, self.entry, self.macros, self.slots = source, source.name, entry, macros, slots
        self.backend, self.function = backend, function
        self.kind: Any = backend.array_type
        self.pointer = backend.pointer
        self.count = len(slots)
        layout, places = _layout(slots)
        self.map_places = tuple((i, places[i]) for i, slot in enumerate(slots) if slot.c_type == "TensorMap")
        self.dtypes = tuple(slot.dtype for slot in slots if slot.pointer)
        self.pack = layout.pack
        self.grid_limit, self.block_limit = limits.grid, limits.block
        self.sizes: dict[Any, tuple[Dim3, Dim3, int]] = {}  # those already checked
        # A function may know its own bounds, tighter than the device's.
        self.describes = getattr(function, "describes_arrays", False)  # it wants the arrays' names
        self.threads = min(limits.threads, getattr(function, "max_threads", limits.threads))
        self.shared_limit = limits.shared - getattr(function, "static_shared", 0)

    def __call__(
        self, grid: Any, block: Any, shared: int, args: tuple[Any, ...], reached: Reaches | None = None
    ) -> None:
        try:
            sizes = self.sizes.get((grid, block, shared))
        except TypeError:  # a list, say: not hashable, so no tuple of ints
            sizes = None
        grid, block, shared = sizes or self._sizes(grid, block, shared)
        if len(args) != self.count:
            names = ", ".join(slot.name for slot in self.slots)
            raise self._error(f"{len(args)} arguments were passed, the entry takes {self.count}", f"need {names}")
        kind, pointer = self.kind, self.pointer
        values: list[Any] = []
        for array, dtype in zip(args, self.dtypes, strict=False):
            if array is None:
                values.append(0)
                continue
            if type(array) is not kind or array.dtype is not dtype or not array.flags.c_contiguous:
                self._check(len(values), array)
            values.append(pointer(array))
        values.extend(args[len(values) :])
        for index, _ in self.map_places:
            if getattr(values[index], "device", None) != self.backend.name:
                slot = self.slots[index]
                raise self._error(
                    f"{slot.name} is {values[index]!r}", f"need what {self.backend.name}'s tensor_map returns"
                )
        try:
            packed = self.pack(*values)
        except (struct.error, OverflowError, TypeError, ValueError):
            raise self._bad_scalar(values) from None
        function: Callable[..., None] = self._describing(args, reached) if self.describes else self.function
        if log.active:
            noted = log.LaunchRecord(self.entry, self.file, grid, block, shared, self.macros, self.backend.name)
            run = partial(function, grid, block, shared, packed)
            log.launch(noted, run, self.backend, lambda: self._work(grid, args, reached))
            under_way = record.current
            if under_way is not None:
                under_way.launched(self, (grid, block, shared), values, packed, reached is not None)
        else:
            function(grid, block, shared, packed)

    def _work(self, grid: Dim3, args: tuple[Any, ...], reached: Reaches | None) -> Work:
        """Return what a launch computes and moves."""
        arrays = [array for array, slot in zip(args, self.slots, strict=True) if slot.pointer and array is not None]
        arrays += [args[i].array for i, _ in self.map_places]
        arrays += [found.array for found in (reached() if reached else ())]
        once = {self.pointer(array): int(array.nbytes) for array in arrays}  # one may be passed twice
        scalars = {slot.name: value for slot, value in zip(self.slots, args, strict=True) if not slot.pointer}
        scalars |= zip(("grid_x", "grid_y", "grid_z"), grid, strict=True)
        return work(self.source, self.entry, dict(self.macros), scalars, sum(once.values()))

    def _describing(self, args: tuple[Any, ...], reached: Reaches | None) -> Callable[..., None]:
        arrays = [slot.name for slot in self.slots if slot.pointer]  # they come first, eight bytes each
        named = [(name, array, 8 * i) for i, (name, array) in enumerate(zip(arrays, args, strict=False))]
        # A tensor map of sim holds the address of its array 8 bytes from its start (backend/tensor_map.py).
        named += [(self.slots[i].name, args[i].array, byte + 8) for i, byte in self.map_places]
        function: Any = self.function
        return partial(function, arrays=named, reached=reached() if reached else ())

    def _check(self, index: int, array: Any) -> None:
        """Look again at an array that is not the plain case; raise unless it will do."""
        slot = self.slots[index]
        if not isinstance(array, self.kind):
            on_device = f"array of {self.backend.name}"
            if hasattr(array, "dtype") and hasattr(array, "shape"):
                raise DeviceError(
                    message(
                        f"{self.file}: entry {self.entry}: {slot.name} is a {type(array).__name__}, "
                        f"other arrays are on {self.backend.name}",
                        [operand(slot.name, array)],
                        f"need an {on_device}",
                    )
                )
            raise self._error(f"{slot.name} is {array!r}", f"need an {on_device}, or None")
        if slot.dtype is not None and array.dtype != slot.dtype:
            raise self._error(
                f"{slot.name} has dtype {array.dtype}, the entry takes {slot.c_type}* ({slot.dtype})",
                f"need {slot.name} as {slot.dtype}",
                array,
                slot,
            )
        if not array.flags.c_contiguous:
            raise self._error(
                f"{slot.name} is not C-contiguous: strides {array.strides}", "need a contiguous copy", array, slot
            )

    def _bad_scalar(self, values: list[Any]) -> KernelError:
        for slot, value in zip(self.slots, values, strict=True):
            try:
                struct.pack("=" + slot.format, value)
            except (struct.error, OverflowError, TypeError, ValueError) as error:
                return self._error(f"{slot.name} = {value!r} is no {slot.c_type}: {error}", f"need a {slot.c_type}")
        raise AssertionError("every value packs alone")  # pragma: no cover

    def _sizes(self, grid: Any, block: Any, shared: Any) -> tuple[Dim3, Dim3, int]:
        """Check the sizes of a launch, and remember those that are right."""
        given = (grid, block, shared)
        try:
            sizes = _dim3(grid), _dim3(block), operator.index(shared)
        except (TypeError, ValueError):
            raise self._error(
                f"grid is {grid!r}, block is {block!r}, shared is {shared!r}",
                "need an int or a tuple of up to three for grid and block, an int for shared",
            ) from None
        self._check_limits(*sizes)
        if len(self.sizes) >= 4096:
            self.sizes.clear()
        self.sizes[given] = sizes
        return sizes

    def _check_limits(self, grid: Dim3, block: Dim3, shared: int) -> None:
        limits = Limits(threads=self.threads, block=self.block_limit, grid=self.grid_limit, shared=self.shared_limit)
        if wrong := beyond(limits, grid, block, shared):
            raise self._error(*wrong)

    def _error(self, what: str, fix: str, array: Any = None, slot: Slot | None = None) -> KernelError:
        lines = [operand(slot.name, array)] if slot is not None else []
        if self.macros:
            lines.append("macros: " + " ".join(f"{name}={value}" for name, value in self.macros))
        return KernelError(message(f"{self.file}: entry {self.entry}: {what}", lines, fix))


def beyond(limits: Limits, grid: Dim3, block: Dim3, shared: int) -> tuple[str, str] | None:
    """Say which size of a launch is outside the limits, and what would do; None if none is."""
    for name, size, limit in (("grid", grid, limits.grid), ("block", block, limits.block)):
        for axis, value, most in zip("xyz", size, limit, strict=False):
            if not 0 < value <= most:
                return f"{name}.{axis} is {value}, the limits are 1 and {most}", f"{name} is {size}"
    threads = block[0] * block[1] * block[2]
    if threads > limits.threads:
        return f"a block has {threads} threads, the limit is {limits.threads}", f"block is {block}"
    if not 0 <= shared <= limits.shared:
        return (
            f"{shared} bytes of dynamic shared memory, the limit is {limits.shared}",
            f"need 0 <= shared <= {limits.shared}",
        )
    return None


def offsets(slots: list[Slot]) -> tuple[int, ...]:
    """Return where each argument begins in the packed block."""
    return _layout(slots)[1]


def _layout(slots: list[Slot]) -> tuple[struct.Struct, tuple[int, ...]]:
    """Lay the arguments out as C does, each at a multiple of its alignment, mostly its own size; and say where.

    (Python's native alignment would do the same, but its "f" turns what overflows into infinity.)
    """
    layout, offset, places = "=", 0, []
    for slot in slots:
        gap, size = -offset % alignment(slot.format), struct.calcsize("=" + slot.format)
        layout += f"{gap}x{slot.format}"
        places.append(offset + gap)
        offset += gap + size
    return struct.Struct(layout), tuple(places)


def _dim3(size: Any) -> Dim3:
    """Make three ints of an int or of a tuple of up to three; TypeError or ValueError if it is neither."""
    sizes = tuple(map(operator.index, size if isinstance(size, tuple) else (size,)))
    if not 1 <= len(sizes) <= 3:
        raise ValueError(size)
    x, y, z = (*sizes, 1, 1)[:3]
    return x, y, z
