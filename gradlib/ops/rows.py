"""How the rows of a matrix lie in blocks of threads: what rows.cuh is launched with."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

__all__ = ["RowSplit", "held", "streamed"]


class RowSplit(NamedTuple):
    """`threads` of a row hold `packs` packs of 16 bytes each; 0 packs: what is needed again is read again."""

    threads: int
    packs: int

    @property
    def block(self) -> tuple[int, int]:
        """Threads of a row, and rows at a time."""
        return self.threads, max(1, min(8, 256 // self.threads))


@lru_cache(4096)
def held(columns: int, itemsize: int, most_threads: int, most_threads_of_four: int) -> RowSplit:
    """Choose what wastes the fewest lanes; of those, the most packs a thread.

    A block has `most_threads` at most, where each holds four packs `most_threads_of_four`.
    """
    packs, most = -(-columns * itemsize // 16), {2: 2, 4: 4, 8: 4}[itemsize]
    found: list[RowSplit] = []
    for each in (1, 2, 4):
        threads = max(32, -(-packs // (32 * each)) * 32)
        limit = most_threads_of_four if each == 4 else most_threads
        if each <= most and threads <= limit and (threads == 32 or each == most or each * 2 == most):
            found.append(RowSplit(threads, each))
    if not found:
        return RowSplit(512, 0)
    least = min(split.threads * split.packs for split in found)
    return [split for split in found if split.threads * split.packs == least][-1]


@lru_cache(4096)
def streamed(columns: int, itemsize: int) -> RowSplit:
    """Choose the threads of a row that is read once: four packs a thread or more, as far as there are threads."""
    packs = -(-columns * itemsize // 16)
    return RowSplit(max(32, min(512, -(-packs // 128) * 32)), 0)
