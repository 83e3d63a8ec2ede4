"""What a built kernel's file says of itself: source lines of its addresses, and its `__device__` variables."""

from __future__ import annotations

import ctypes
import re
import subprocess
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from .sim_guard import Span

__all__ = ["line_of", "source_of", "variables_of"]

_SOURCE = "gradlib_sim_source"  # a symbol that every kernel's file has
_DATA, _CONSTANT = frozenset("bBdDrR"), frozenset("rR")  # what nm calls zeroed, initialised and constant data


def _run(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:  # without binutils a fault has no line
        return ""


@lru_cache(maxsize=4096)
def _frames(library: str, address: int) -> tuple[tuple[str, int], ...]:
    """Return (file, line) of a return address, innermost inlined function first."""
    found = re.findall(
        r"^(.*):(\d+)(?: \(discriminator \d+\))?$",
        _run("addr2line", "-i", "-e", library, hex(address - 1)),
        re.MULTILINE,
    )
    return tuple((Path(file).name, int(line)) for file, line in found)


def line_of(library: str, source: str, addresses: Sequence[int]) -> int | None:
    """Return the innermost line of `source` itself among the frames; headers are skipped."""
    for address in addresses:
        for file, line in _frames(library, address):
            if file == source:
                return line
    return None


def source_of(library: ctypes.CDLL) -> str:
    """Return the name of the `.cu` file that a loaded kernel was made of."""
    return (ctypes.cast(getattr(library, _SOURCE), ctypes.c_char_p).value or b"").decode()


@lru_cache(maxsize=1024)
def _symbols(library: str) -> tuple[tuple[str, int, int, bool], ...]:
    """Return name, address in the file, size and whether it is constant, of each variable that is the kernel's own."""
    found = re.findall(
        r"^([0-9a-f]+) ([0-9a-f]+) (\w) (.*)$", _run("nm", "-S", "-C", "--defined-only", library), re.MULTILINE
    )
    return tuple(
        (name, int(address, 16), int(size, 16), kind in _CONSTANT)
        for address, size, kind, name in found
        if kind in _DATA and (name == _SOURCE or not name.startswith("gradlib_"))
    )


def variables_of(library: ctypes.CDLL) -> list[Span]:
    """Return the `__device__` and `__constant__` variables of a loaded kernel, where they lie."""
    base, spans = 0, []
    symbols = _symbols(library._name)
    for name, address, _, _ in symbols:
        if name == _SOURCE:
            base = ctypes.addressof(ctypes.c_char.in_dll(library, _SOURCE)) - address
    for name, address, size, constant in sorted(symbols, key=lambda symbol: symbol[1]) if base else ():
        if name != _SOURCE and "gradlib_variable_" not in name and size:
            spans.append(Span(base + address, base + address + size, [name.rpartition("::")[2]], np.uint8))
            spans[-1].stay(constant)
    return spans
