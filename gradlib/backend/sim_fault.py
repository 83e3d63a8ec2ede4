"""What the runtime of `sim` says of a fault, and the `KernelFault` that becomes of it, with lines and a remedy."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from typing import Any

from ..errors import KernelFault, message
from .sim_symbols import line_of, source_of

__all__ = ["Fault", "checked_fault", "fast_fault", "order_fault"]

# First words of what the runtime says, before which the line belongs.
_VERBS = {"reads", "writes", "updates", "initialises", "waits", "asynchronously", "wgmma", "a", "divides", "shifts",
          "converts"}  # fmt: skip
_FIX: dict[Any, str] = {
    "out-of-bounds": "need an index below the array's length",
    (
        "out-of-bounds",
        "dynamic shared memory",
    ): "need an index below its size, which the launch sets (shared_mem=BYTES)",
    (
        "out-of-bounds",
        "the thread's stack",
    ): "need a recursion that ends, and local arrays that fit (a GPU's stack is 1 KiB unless it is told otherwise)",
    "misaligned": "need an address that is a multiple of the access's size",
    "uninitialised": "need a value written before it is read",
    "race": "need a barrier (or a release and an acquire) between the two",
    "barrier": "need every thread of the block at the same barrier",
    "warp-mask": "need every lane of the mask at the same call",
    "async": "need a wait for the asynchronous operation between the two",
    "arithmetic": "need operands for which C++ defines the result: a GPU's may differ from any other machine's",
    "deadlock": "need a thread that ends the wait",
    "order": "need a result that no order of the threads changes (float_atomics=True exempts floating arrays)",
}


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

    def places(self) -> dict[str, Any]:
        """Return kind, block, thread and argument as `KernelFault` has them."""
        return {
            "kind": self.kind.decode(),
            "block": tuple(self.block),
            "thread": tuple(self.thread) if self.has_thread else None,
            "argument": self.argument.decode(errors="replace") or None,
        }


def fast_fault(text: str, fault: Fault, library: ctypes.CDLL) -> KernelFault:
    """Return the error of a launch of the fast build, which names a line in its text alone, if at all."""
    found = re.search(rf" at {re.escape(source_of(library))}:(\d+)", text)
    if not found:
        text = f"{text}\n  the checked build names the line: run_kernel(check=True), GRADLIB_SIM=checked"
    return KernelFault(text, line=int(found[1]) if found else None, **fault.places())


def checked_fault(fault: Fault, entry: str, library: ctypes.CDLL, launch: str) -> KernelFault:
    """Return the error of a launch of the checked build; `launch` says with what sizes, and in which order."""
    source = source_of(library)
    line = line_of(library._name, source, fault.frames[: fault.frame_count])
    text, places = fault.text.decode(errors="replace"), fault.places()
    if fault.other:
        other = line_of(library._name, source, [fault.other])
        text = text.replace("{other}", f" at line {other}" if other else "")
    kind, thread = places["kind"], places["thread"]
    subject = f"line {line} " if line is not None and text.partition(" ")[0] in _VERBS else ""
    rows = [f"place: {source if line is None else f'{source}:{line}'}, entry {entry}", f"launch: {launch}"]
    rows.append(f"thread: {thread} of block {places['block']}" if thread else f"block: {places['block']}")
    if fault.address:
        rows.append(f"address: {fault.address:#x}")
    fix = _FIX.get((kind, places["argument"])) or _FIX.get(kind, "")
    return KernelFault(message(f"{entry} on sim: {kind}: {subject}{text}", rows, fix), line=line, **places)


def order_fault(
    entry: str, library: ctypes.CDLL, writer: int, argument: str, element: int, rows: Sequence[str]
) -> KernelFault:
    """Return the error of an element that two orders of the threads leave with different values.

    `writer` is the return address of what wrote it last, 0 if that is not known.
    """
    source = source_of(library)
    line = line_of(library._name, source, [writer]) if writer else None
    return KernelFault(
        message(
            f"{entry} on sim: order: element {element} of {argument} depends on the order of the threads",
            [*rows, f"written: {source}:{line}"],
            _FIX["order"],
        ),
        kind="order", line=line, argument=argument,
    )  # fmt: skip
