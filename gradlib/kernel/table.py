"""`Table`: arrays of any number and any sizes for one launch, by their addresses in device memory."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ..backend import backend_of
from ..backend.protocol import Reached

__all__ = ["CHUNK", "Table"]

Array = Any
Row = Sequence[Array]  # the arrays that belong together; the first one gives the size

CHUNK = 8192  # elements of one array that a block takes at a time
_BLOCKS = 1056  # eight for each multiprocessor of the largest GPU


class Table:
    """Rows of arrays as a kernel finds them: kept from launch to launch, written anew only where something moved.

    Attributes
    ----------
    arrays : uint64, a line per row: the size, then the addresses of its arrays (0 for None).
    chunks : int32, a pair per `CHUNK` elements of a row: the row, and which of its chunks it is.
    first : int32, the first chunk of each row, and the number of all.
    done : uint32, one element: 0, for kernels whose last block has something left to do.
    count : the number of chunks.
    """

    def __init__(self) -> None:
        self._content: list[int] = []
        self._sizes: list[int] = []
        self._backend: Any = None
        self.arrays: Array = None
        self.chunks: Array = None
        self.first: Array = None
        self.done: Array = None
        self.count = 0

    @property
    def blocks(self) -> int:
        """How many blocks take the chunks in turn: enough to fill any GPU several times over."""
        return max(1, min(self.count, _BLOCKS))

    def fill(self, rows: Sequence[Row]) -> None:
        """Point at `rows`, contiguous arrays of one device."""
        backend = backend_of(rows[0][0])
        pointer = backend.pointer
        sizes = [row[0].size for row in rows]
        content: list[int] = []
        for row, size in zip(rows, sizes, strict=True):
            content.append(size)
            content.extend([0 if a is None else pointer(a) for a in row])
        if backend is not self._backend or sizes != self._sizes:
            self._backend, self._sizes = backend, sizes
            self._cut()
            self._content = []
        if content != self._content:
            self._content = content
            self.arrays = backend.asarray(np.array(content, np.uint64))

    def reached(self, rows: Sequence[Row], names: Sequence[str]) -> list[Reached]:
        """List what a kernel reaches through `arrays`; `names` are what messages call the columns."""
        width = len(names) + 1
        return [
            Reached(f"{name}[{r}]", a, self.arrays, r * width + 1 + k)
            for r, row in enumerate(rows)
            for k, (name, a) in enumerate(zip(names, row, strict=True))
            if a is not None
        ]

    @cached_property
    def other(self) -> Table:
        """A further table, for what needs two."""
        return Table()

    def __reduce__(self) -> Any:
        return Table, ()  # a copy has arrays of its own to point at

    def _cut(self) -> None:
        each = [-(-size // CHUNK) for size in self._sizes]
        rows = np.repeat(np.arange(len(each), dtype=np.int32), each)
        first = np.concatenate([[0], np.cumsum(each)]).astype(np.int32)
        chunks = np.stack([rows, np.arange(len(rows), dtype=np.int32) - first[rows]], axis=1)
        self.chunks, self.first = self._backend.asarray(chunks), self._backend.asarray(first)
        self.done = self._backend.zeros((1,), np.uint32)
        self.count = len(rows)
