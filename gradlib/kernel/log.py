"""The launch log: what `with launches() as log:` collects, and what GRADLIB_DEBUG prints."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..backend.protocol import Dim3

__all__ = ["LaunchRecord", "debug_level", "launches", "set_debug_level"]


@dataclass(frozen=True)
class LaunchRecord:
    """One kernel launch."""

    entry: str
    file: str
    grid: Dim3
    block: Dim3
    shared: int
    macros: tuple[tuple[str, str], ...]
    device: str

    def __str__(self) -> str:
        macros = "".join(f" {name}={value}" for name, value in self.macros)
        return (
            f"{self.device}: {self.file}:{self.entry} grid={self.grid} block={self.block} shared={self.shared}{macros}"
        )


_lock = threading.Lock()
_open: list[list[LaunchRecord]] = []
_level = 0
active = False  # the one thing a launch looks at while nobody listens


def _refresh() -> None:
    global active
    active = bool(_open) or _level >= 2


def debug_level() -> int:
    """Return the level of GRADLIB_DEBUG: 2 prints every launch with its time, 4 also the source and compiler report."""
    return _level


def set_debug_level(level: int) -> None:
    """Set what GRADLIB_DEBUG sets at import."""
    global _level
    _level = level
    _refresh()


with contextlib.suppress(ValueError):
    set_debug_level(int(os.environ.get("GRADLIB_DEBUG") or 0))


@contextlib.contextmanager
def launches() -> Iterator[list[LaunchRecord]]:
    """Collect every kernel launch of any thread while the block runs; may be nested.

    Yields
    ------
    list of LaunchRecord
        Grows as kernels are launched; stays readable afterwards.
    """
    records: list[LaunchRecord] = []
    with _lock:
        _open.append(records)
        _refresh()
    try:
        yield records
    finally:
        with _lock:
            _open[:] = [other for other in _open if other is not records]
            _refresh()


def launch(record: LaunchRecord, run: Callable[[], None], backend: Any) -> None:
    """Run a launch while somebody listens: note it, and at debug level 2 wait for it and print its time."""
    if _level >= 2:
        backend.synchronize()
        start = time.perf_counter()
        run()
        backend.synchronize()
        print(f"{1e6 * (time.perf_counter() - start):10.1f} us  {record}", file=sys.stderr)
    else:
        run()
    with _lock:
        for records in _open:
            records.append(record)
