"""A launch of the checked build of `sim`: several orders of the threads on guarded copies, faults with lines.

The runtime watches every access (kernels/sim/checker.h); what it finds becomes a `KernelFault` here.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import KernelError, KernelFault, message
from .checking import ORDERS, Checks, current
from .protocol import Dim3, Reached
from .sim_guard import Named, Span, spans_of
from .sim_symbols import line_of, variables_of

__all__ = ["CheckedFunction", "Fault"]


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


class Fault(ctypes.Structure):
    """What the runtime says of a fault (kernels/sim/fault.h)."""

    _fields_ = (
        ("kind", ctypes.c_char * 16),
        ("text", ctypes.c_char * 512),
        ("argument", ctypes.c_char * 64),
        ("block", ctypes.c_uint32 * 3),
        ("thread", ctypes.c_uint32 * 3),
        ("has_thread", ctypes.c_uint32),
        ("frame_count", ctypes.c_uint32),
        ("address", ctypes.c_uint64),
        ("frames", ctypes.c_uint64 * 16),
        ("other", ctypes.c_uint64),
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

    __slots__ = ("_cluster", "_entry", "_library", "_runtime", "_source", "name", "parameter_bytes")
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
        text = ctypes.cast(getattr(library, "gradlib_sim_source"), ctypes.c_char_p).value or b""  # noqa: B009
        self._source = text.decode()

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
            raise self._fault(fault, grid, block, order)

    def _fault(self, fault: Fault, grid: Dim3, block: Dim3, order: str) -> KernelFault:
        line = line_of(self._library._name, self._source, fault.frames[: fault.frame_count])
        kind, text, argument = (part.decode(errors="replace") for part in (fault.kind, fault.text, fault.argument))
        if fault.other:
            other = line_of(self._library._name, self._source, [fault.other])
            text = text.replace("{other}", f" at line {other}" if other else "")
        where, thread = tuple(fault.block), tuple(fault.thread) if fault.has_thread else None
        place = f"{self._source}:{line}" if line is not None else self._source
        subject = f"line {line} " if line is not None and text.partition(" ")[0] in _VERBS else ""
        rows = [f"place: {place}, entry {self.name}", f"launch: grid {grid}, block {block}, threads {order}"]
        rows.append(f"thread: {thread} of block {where}" if thread else f"block: {where}")
        if fault.address:
            rows.append(f"address: {fault.address:#x}")
        fix = _FIX.get((kind, argument)) or _FIX.get(kind, "")
        return KernelFault(
            message(f"{self.name} on sim: {kind}: {subject}{text}", rows, fix),
            kind=kind, line=line, block=where, thread=thread, argument=argument or None,
        )  # fmt: skip

    def _compare(
        self, order: str, checks: Checks, grid: Dim3, block: Dim3, first: list[Any], spans: list[Span]
    ) -> None:
        for span, expected in zip(spans, first, strict=True):
            floating = np.dtype(span.dtype).kind not in "iub"
            if (checks.float_atomics and (floating or span.in_place)) or np.array_equal(span.copy, expected):
                continue
            byte = int(np.flatnonzero(span.copy != expected)[0])
            writer = self._runtime.gradlib_sim_last_writer(span.address + byte)
            line = line_of(self._library._name, self._source, [writer]) if writer else None
            size = np.dtype(span.dtype).itemsize
            start = byte // size * size
            got, wanted = (a[start : start + size].view(span.dtype)[0] for a in (span.copy, expected))
            name = " / ".join(span.names)
            raise KernelFault(
                message(
                    f"{self.name} on sim: order: element {byte // size} of {name} depends on the order of the threads",
                    [
                        f"{checks.orders[0]}: {wanted!r}",
                        f"{order}: {got!r}",
                        f"written: {self._source}:{line}",
                        f"launch: grid {grid}, block {block}",
                    ],
                    _FIX["order"],
                ),
                kind="order", line=line, argument=name,
            )  # fmt: skip


_VERBS = ("reads", "writes", "updates", "initialises", "waits", "asynchronously", "wgmma", "a")
_FIX: dict[Any, str] = {
    "out-of-bounds": "need an index below the array's length",
    (
        "out-of-bounds",
        "dynamic shared memory",
    ): "need an index below its size, which the launch sets (shared_mem=BYTES)",
    "misaligned": "need an address that is a multiple of the access's size",
    "uninitialised": "need a value written before it is read",
    "race": "need a barrier (or a release and an acquire) between the two",
    "barrier": "need every thread of the block at the same barrier",
    "warp-mask": "need every lane of the mask at the same call",
    "async": "need a wait for the asynchronous operation between the two",
    "deadlock": "need a thread that ends the wait",
    "order": "need a result that no order of the threads changes (float_atomics=True exempts floating arrays)",
}
