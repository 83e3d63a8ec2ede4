"""What is timed: a `Case` is one op at one shape, with its floor and a way to run it in each library."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..spec import as_dtype

Arrays = dict[str, Any]  # NumPy arrays by name: the inputs every library starts from
Run = Callable[[], Any]
Passes = dict[str, Run]  # "forward", "backward", "step" -> one run of it

SIZES = ("tiny", "small", "medium", "full")


@dataclass(frozen=True)
class Work:
    """The least one run of a pass can do.

    Parameters
    ----------
    flops
        Multiplications and additions of the matrix product or convolution (a fused pair counts two); 0 for the rest,
        whose arithmetic is never the limit.
    bytes
        Compulsory traffic: every input read once and every output written once, nothing in between.
    ops
        How many ops one run makes, where time per op is what counts.
    """

    flops: float = 0.0
    bytes: float = 0.0
    ops: int = 1

    def floor(self, roofline: Mapping[str, float], dtype: str) -> float | None:
        """Return the seconds it takes at the machine's measured rates; None where a rate was not measured."""
        times = []
        if self.flops:
            if f"{dtype}_flops" not in roofline:
                return None
            times.append(self.flops / roofline[f"{dtype}_flops"])
        if self.bytes:
            if "copy_bytes" not in roofline:
                return None
            times.append(self.bytes / roofline["copy_bytes"])
        return max(times, default=None)


@dataclass(frozen=True)
class Case:
    """One op at one shape.

    `entries` maps a library, or a library and a variant of it (``"torch channels_last"``), to a function
    ``(library, arrays) -> passes``.
    """

    suite: str
    name: str
    dtype: str
    work: Mapping[str, Work]  # by pass
    inputs: Callable[[], Arrays]
    entries: Mapping[str, Callable[[Any, Arrays], Passes]] = field(repr=False)


_BLOCK = 1_000_003  # prime: rows of a power of two do not repeat


def noise(shape: tuple[int, ...], dtype: str, *, seed: int = 0, scale: float = 1.0, shift: float = 0.0) -> Any:
    """Return normal numbers of a fixed seed; big arrays repeat one block: quick, and as hard to compute with."""
    count = math.prod(shape)
    block = np.random.default_rng(seed).standard_normal(min(count, _BLOCK), dtype=np.float32)
    block = (block * np.float32(scale) + np.float32(shift)).astype(as_dtype(dtype))
    return np.resize(block, shape)


def labels(count: int, classes: int) -> Any:
    """Return `count` class numbers of a fixed seed."""
    return np.random.default_rng(1).integers(0, classes, count)
