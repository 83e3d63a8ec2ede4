"""CuTe layouts, CUTLASS's notation of nested shapes and strides: a second source for the layouts of the PTX manual."""

from __future__ import annotations

from typing import Any


def offsets(shape: Any, stride: Any) -> list[int]:
    """Return where each index goes, counting through the shape from its left.

    >>> offsets((2, 3), (10, 1))
    [0, 10, 1, 11, 2, 12]
    """
    if isinstance(shape, int):
        return [i * stride for i in range(shape)]
    found = [0]
    for inner, step in zip(shape, stride, strict=True):
        found = [low + high for high in offsets(inner, step) for low in found]
    return found


def threads_and_values(shape: Any, stride: Any) -> list[list[int]]:
    """Evaluate a (thread, value) layout: entry [thread][value]."""
    values = offsets(shape[1], stride[1])
    return [[t + v for v in values] for t in offsets(shape[0], stride[0])]


def swizzled(offset: int, bits: int) -> int:
    """Apply CuTe's Swizzle<bits, 4, 3> to an offset in bytes: bits 7 and up are XORed onto bits 4 and up."""
    return offset ^ ((offset >> 7 & (1 << bits) - 1) << 4)
