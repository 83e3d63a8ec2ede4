"""A launch of the checked build of `sim`: several orders of the threads on guarded copies.

The runtime watches every access (kernels/sim/checker.h); what it finds becomes a `KernelFault` in sim_fault.py.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import KernelError
from .checking import ORDERS, Checks, current
from .protocol import Dim3, Reached
from .sim_fault import checked_fault, order_fault
from .sim_guard import Named, Span, spans_of
from .sim_symbols import variables_of

__all__ = ["CheckedFunction"]


class _Argument(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("begin", ctypes.c_uint64),
        ("bytes", ctypes.c_uint64),
        ("written", ctypes.c_uint64),
    )


class _Options(ctypes.Structure):
    _fields_ = (
        ("arguments", ctypes.POINTER(_Argument)),
        ("count", ctypes.c_uint32),
        ("order", ctypes.c_uint32),
        ("seed", ctypes.c_uint64),
        ("packed_bytes", ctypes.c_uint64),
        ("quiet", ctypes.c_uint64),
        ("variables", ctypes.c_uint64),
        ("data", ctypes.c_uint64),
    )


# ---- addresses of the guarded copies


def _address(array: Any) -> int:
    return int(array.__array_interface__["data"][0])


def _span(array: Any, spans: list[Span]) -> Span:
    own = _address(array)
    return next(s for s in spans if s.begin <= own <= s.end and (own < s.end or own == s.begin))


def _copied(array: Any, spans: list[Span]) -> int:
    span = _span(array, spans)
    return int(span.address + _address(array) - span.begin)


@dataclass
class _Word:
    """An address in an array, and what it becomes while the kernel runs on copies."""

    place: Any  # 8 bytes of the copy
    own: int
    copied: int

    def write(self, value: int) -> None:
        struct.pack_into("=Q", self.place, 0, value)


def _words(reached: Sequence[Reached], spans: list[Span]) -> list[_Word]:
    found = []
    for _, array, table, word in reached:
        span = _span(table, spans)
        start = _address(table) - span.begin + 8 * word
        found.append(_Word(memoryview(span.copy)[start : start + 8], _address(array), _copied(array, spans)))
    return found


class CheckedFunction:
    """A kernel entry of the checked build, called as `SimFunction` is, with the names of its arrays besides.

    Raises
    ------
    KernelFault
        At the first fault; the arrays are then as they were before the launch.
    """

    __slots__ = ("_cluster", "_entry", "_library", "_runtime", "name", "parameter_bytes")
    describes_arrays = True  # a Launch passes name, array and offset of each array parameter

    def __init__(
        self,
        runtime: ctypes.CDLL,
        library: ctypes.CDLL,
        entry: Any,
        name: str,
        parameter_bytes: int,
        cluster: tuple[int, ...] = (),
    ) -> None:
        self.name, self.parameter_bytes, self._cluster = name, parameter_bytes, cluster
        self._runtime, self._library, self._entry = runtime, library, entry

    def __call__(self, grid: Dim3, block: Dim3, shared: int, packed: bytes, arrays: Sequence[Named] = (),
                 unwritten: Collection[str] = (), reached: Sequence[Reached] = ()) -> None:  # fmt: skip
        if not 0 <= len(packed) - self.parameter_bytes < 8:
            raise KernelError(
                f"{self.name}: {len(packed)} bytes of arguments, but its parameters take {self.parameter_bytes}"
            )
        checks = current() or Checks()
        spans = spans_of([*arrays, *[(r.name, r.array, -1) for r in reached]])
        for span in spans:
            span.written &= not any(name in unwritten for name in span.names)
        relocated = self._relocate(packed, arrays, spans)
        words = _words(reached, spans)
        spans += variables_of(self._library)
        one_thread = grid[0] * grid[1] * grid[2] * block[0] * block[1] * block[2] == 1
        first: list[Any] = [span.original.copy() for span in spans]
        try:
            for order in checks.orders[:1] if one_thread else checks.orders:
                for span in spans:
                    span.reset()
                for word in words:
                    word.write(word.copied)
                self._run(order, checks.seed, grid, block, shared, relocated, spans, order != checks.orders[0])
                for word in words:
                    word.write(word.own)
                if order == checks.orders[0]:
                    first = [span.copy.copy() for span in spans]
                else:
                    self._compare(order, checks, grid, block, first, spans)
        except KernelError:
            first = [span.original for span in spans]
            raise
        finally:
            for span, result in zip(spans, first, strict=True):
                span.keep(result)

    def _relocate(self, packed: bytes, arrays: Sequence[Named], spans: list[Span]) -> bytes:
        """Return the arguments with each array's address replaced by that of its guarded copy."""
        relocated = bytearray(packed)
        for _, array, offset in arrays:
            if array is not None:
                struct.pack_into("=Q", relocated, offset, _copied(array, spans))
        return bytes(relocated)

    def _run(
        self, order: str, seed: int, grid: Dim3, block: Dim3, shared: int, packed: bytes, spans: list[Span], quiet: bool
    ) -> None:
        rows = [_Argument(" / ".join(s.names).encode(), s.address, s.end - s.begin, s.written) for s in spans]
        table = (_Argument * max(len(rows), 1))(*rows)
        variables = [span.begin for span in spans if span.in_place]
        data = [span.begin for span in spans if span.in_place and not span.constant]
        options = _Options(
            table,
            len(spans),
            ORDERS.index(order),
            seed,
            len(packed),
            quiet,
            min(variables, default=0),
            min(data, default=0),
        )
        if self._cluster:
            self._runtime.gradlib_sim_set_cluster(*self._cluster)
        if self._runtime.gradlib_sim_launch(self._entry, *grid, *block, shared, packed, ctypes.byref(options)):
            fault = self._runtime.gradlib_sim_last_fault().contents
            if not fault.kind:
                text = self._runtime.gradlib_sim_error().decode()
                raise KernelError(f"{self.name} on sim, grid {grid}, block {block}: {text}")
            raise checked_fault(fault, self.name, self._library, f"grid {grid}, block {block}, threads {order}")

    def _compare(
        self, order: str, checks: Checks, grid: Dim3, block: Dim3, first: list[Any], spans: list[Span]
    ) -> None:
        for span, expected in zip(spans, first, strict=True):
            floating = np.dtype(span.dtype).kind not in "iub"
            if (checks.float_atomics and (floating or span.in_place)) or np.array_equal(span.copy, expected):
                continue
            byte = int(np.flatnonzero(span.copy != expected)[0])
            size = np.dtype(span.dtype).itemsize
            start = byte // size * size
            got, wanted = (a[start : start + size].view(span.dtype)[0] for a in (span.copy, expected))
            rows = [f"{checks.orders[0]}: {wanted!r}", f"{order}: {got!r}", f"launch: grid {grid}, block {block}"]
            writer = self._runtime.gradlib_sim_last_writer(span.address + byte)
            raise order_fault(self.name, self._library, writer, " / ".join(span.names), byte // size, rows)
