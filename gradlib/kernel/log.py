"""The launch log: what `with launches() as log:` collects, and what GRADLIB_DEBUG prints."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..backend import nvrtc
from ..backend.protocol import Dim3
from ..errors import KernelError
from . import cache
from .source import Source
from .work import Work, measured

__all__ = ["LaunchRecord", "debug_level", "launches", "set_debug_level", "watch"]


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
watched = 0  # how many want all launches to come from launchers, and nothing written down: plan.py, record.py
active = False  # the one thing a launch looks at while nobody listens


def _refresh() -> None:
    global active
    active = bool(_open) or _level >= 2 or watched > 0


def watch(count: int) -> None:
    """Add to the number of those who watch."""
    global watched
    with _lock:
        watched += count
        _refresh()


def debug_level() -> int:
    """Return the level of GRADLIB_DEBUG.

    2 prints every launch with its time and rates, 4 also the source of each kernel and what its compiler reported.
    """
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


def built(source: Source, macros: tuple[tuple[str, str], ...], path: Path) -> None:
    """Print a kernel that is about to be launched for the first time: what it is of, and what the compiler said."""
    listed = " ".join(f"{name}={value}" for name, value in macros) or "none"
    folders = (*source.includes, *(folder.parent for folder in source.includes))
    places = [str(folder / source.name) for folder in folders if (folder / source.name).is_file()]
    said = cache.log_of(path)
    used = [
        f"{u.entry}: {u.registers} registers, {u.spill_stores + u.spill_loads} bytes spilled, {u.stack} of stack, "
        f"{u.shared} of shared memory"
        for u in nvrtc.resources(said)
    ]
    lines = [
        f"source: {next(iter(places), f'{source.name}, a string')}",
        f"macros: {listed}",
        f"compiled: {path}",
        *[f"compiler: {line}" for line in used or said.splitlines() or ["said nothing"]],
        source.text.rstrip("\n"),
    ]
    print("\n".join(lines), file=sys.stderr)


def launch(record: LaunchRecord, run: Callable[[], None], backend: Any, work: Callable[[], Work]) -> None:
    """Run a launch while somebody listens: note it, and at debug level 2 time it alone and print what it did."""
    if _level >= 2:
        backend.synchronize()
        start = backend.event()
        run()
        seconds = backend.elapsed(start, backend.event())
        # On sim the time is that of a CPU, and says nothing.
        try:
            done = work()
        except KernelError as error:  # a comment that was not meant for this
            print(error, file=sys.stderr)
            done = Work(0, 0)
        line = measured(done, None if backend.name == "sim" else seconds, backend.limits)
        print(f"{line}  {record}", file=sys.stderr)
    else:
        run()
    with _lock:
        for records in _open:
            records.append(record)
