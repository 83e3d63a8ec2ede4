"""Tensor maps: what a kernel needs to copy boxes of an array by bulk tensor copies (TMA).

The checks are those of `cuTensorMapEncodeTiled`, so that a map which sim accepts is one that a GPU takes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from ..errors import KernelError, message, operand

__all__ = ["SWIZZLES", "TensorMap", "Tiling", "encode_sim", "tiling"]

SWIZZLES = (0, 32, 64, 128)  # bytes of the pattern
_SIM_FORMAT = "<8sQBBBx5I4Q5I36x"  # as TensorMapBits in kernels/sim/ptx_interface.h
_MAGIC = b"gradsim\1"


class TensorMap(bytes):
    """The 128 bytes of a map, an argument for a parameter ``const __grid_constant__ TensorMap``.

    It keeps the array alive whose memory it describes.
    """

    device: str
    array: Any

    @classmethod
    def of(cls, content: bytes, device: str, array: Any) -> TensorMap:
        """Make a map of its 128 bytes."""
        made = cls(content)
        made.device, made.array = device, array
        return made


@dataclass(frozen=True)
class Tiling:
    """An array and a box as the hardware counts them: the innermost dimension first."""

    address: int
    itemsize: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]  # in bytes, without the innermost
    box: tuple[int, ...]
    swizzle: int


def tiling(array: Any, address: int, box: tuple[int, ...], swizzle: int) -> Tiling:
    """Check an array and a box, given in the order of the array's axes.

    Raises
    ------
    KernelError
        If the hardware would refuse them: 1 to 5 axes; box of 1 to 256 along each; first byte and strides multiples of
        16; last axis contiguous; innermost row of the box a multiple of 16 bytes, and equal to the swizzle's bytes.
    """
    itemsize, shape, strides = array.dtype.itemsize, array.shape, array.strides

    def wrong(what: str, fix: str) -> KernelError:
        return KernelError(message(f"tensor_map(array, box, swizzle): {what}", [operand("array", array)], fix))

    if not 1 <= len(shape) <= 5 or len(box) != len(shape):
        raise wrong(
            f"array has {len(shape)} axes, box has {len(box)}", "need 1 to 5 axes, and a length of the box for each"
        )
    if itemsize not in (1, 2, 4, 8):
        raise wrong(f"elements of {itemsize} bytes", "need 1, 2, 4 or 8")
    if not all(1 <= n <= 256 for n in box):
        raise wrong(f"box is {box}", "need 1 to 256 along each axis")
    if not all(1 <= n < 2**32 for n in shape):
        raise wrong(f"shape is {shape}", "need 1 to 2^32 - 1 along each axis")
    if shape[-1] > 1 and strides[-1] != itemsize:
        raise wrong(f"the last axis has stride {strides[-1]}", f"need {itemsize}: elements that follow each other")
    outer = strides[:-1]
    if address % 16 or any(stride % 16 or not 0 <= stride < 2**40 for stride in outer):
        raise wrong(
            f"first byte at {address % 16} mod 16, strides {outer}",
            "need multiples of 16 bytes: pad the rows, or use a kernel that does not copy by tensor maps",
        )
    if swizzle not in SWIZZLES:
        raise wrong(f"swizzle is {swizzle!r}", "need 0, 32, 64 or 128 (bytes)")
    row = box[-1] * itemsize
    if row % 16 or (swizzle and row != swizzle):
        raise wrong(
            f"a row of the box has {row} bytes, the swizzle {swizzle}",
            "need a multiple of 16, and with a swizzle just its bytes",
        )
    return Tiling(address, itemsize, shape[::-1], outer[::-1], tuple(box[::-1]), swizzle)


def encode_sim(tiles: Tiling) -> bytes:
    """Write a tiling as the sim device's runtime reads it."""

    def padded(values: tuple[int, ...], length: int) -> tuple[int, ...]:
        return values + (1,) * (length - len(values))

    return struct.pack(
        _SIM_FORMAT,
        _MAGIC,
        tiles.address,
        len(tiles.sizes),
        tiles.itemsize,
        SWIZZLES.index(tiles.swizzle),
        *padded(tiles.sizes, 5),
        *padded(tiles.strides, 4),
        *padded(tiles.box, 5),
    )
