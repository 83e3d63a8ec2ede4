"""How a matrix product is cut into blocks: tile sizes by shape, and the split of long sums.

The answers depend on shapes alone, never on the device: the same call gives the same bits everywhere it runs.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from .. import backend as backends
from ..kernel import Kernel, ctype
from ..spec import REDUCED, float32

__all__ = ["LARGEST", "Tiling", "combine", "parts", "split", "tiling"]

LARGEST = 2**31 - 1  # sizes and counts are `int` in the kernels

_BLOCKS = 264  # enough to fill the largest GPU (132 multiprocessors) twice

_split_sum = Kernel("split.cu", "split_sum", "part y | splits count")


class Tiling(NamedTuple):
    """Tile sizes of `gemm.cuh`: a block computes BM x BN elements, a thread TM x TN of them."""

    BM: int
    BN: int
    BK: int
    TM: int
    TN: int

    @property
    def threads(self) -> int:
        return (self.BM // self.TM) * (self.BN // self.TN)

    @property
    def macros(self) -> dict[str, int]:
        return self._asdict()

    def blocks(self, m: int, n: int) -> int:
        """Return how many tiles cover an m x n result."""
        return -(-m // self.BM) * -(-n // self.BN)


_SQUARE = Tiling(64, 64, 16, 4, 4)
_LARGE = Tiling(128, 128, 8, 8, 8)
_NARROW = Tiling(128, 32, 16, 4, 4)
_NARROWEST = Tiling(128, 16, 16, 4, 2)


@lru_cache(4096)
def tiling(m: int, n: int) -> Tiling:
    """Choose the tile for an m x n result: narrow where there are few columns, large where blocks abound."""
    if m >= 256 and n <= 32:
        return _NARROWEST if n <= 16 else _NARROW
    if _LARGE.blocks(m, n) >= _BLOCKS:
        return _LARGE
    return _SQUARE


def split(blocks: int, length: int, least: int) -> tuple[int, int]:
    """Cut a sum over `length` so that about `_BLOCKS` blocks have work, none less than `least` terms.

    Returns (how many parts, terms of each but the last).  More parts than one also shorten the chains of
    additions: a float32 sum in two levels loses fewer digits.
    """
    wanted = max(1, min(-(-_BLOCKS // max(blocks, 1)), length // least))
    each = -(-length // wanted)
    return -(-length // each) if length else 1, each


def parts(like: Any, splits: int, shape: tuple[int, ...]) -> Any:
    """Return the workspace of a split sum, in the accumulator's dtype; None for one part."""
    if splits == 1:
        return None
    dtype = float32 if like.dtype in REDUCED else like.dtype
    return backends.backend_of(like).empty((splits, *shape), dtype)


def combine(part: Any, result: Any) -> None:
    """Add the parts of a split sum, in order, into `result`."""
    blocks = min(-(-result.size // 256), 4096)
    _split_sum(blocks, 256, part, result, part.shape[0], result.size, T=ctype(result.dtype))
