"""Tensor maps: what a kernel needs to copy parts of an array by bulk tensor copies (TMA).

The checks are those of `cuTensorMapEncodeTiled` and `cuTensorMapEncodeIm2col`, so that a map which sim accepts is one
that a GPU takes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from ..errors import KernelError, message, operand

__all__ = ["MAP_BYTES", "SWIZZLES", "Im2col", "TensorMap", "Tiling", "encode_sim", "im2col", "tiling"]

MAP_BYTES = 128
SWIZZLES = (0, 32, 64, 128)  # bytes of the pattern
_SIM_FORMAT = "<8sQBBBB5I4Q5I5Bx3h3h18x"  # as TensorMapBits in kernels/sim/ptx_interface.h
_MAGIC = b"gradsim\2"
_MAX_BOX, _MAX_STEP, _MAX_CHANNELS, _MAX_PIXELS = 256, 8, 256, 1024
_CORNER_BITS = {3: 16, 4: 8, 5: 5}  # of each corner's coordinates, by the number of axes


class TensorMap(bytes):
    """The 128 bytes of a map, an argument for a parameter ``const __grid_constant__ TensorMap``.

    It keeps the array alive whose memory it describes.
    """

    device: str
    array: Any
    made: Tiling | Im2col

    @classmethod
    def of(cls, content: bytes, device: str, array: Any, made: Tiling | Im2col) -> TensorMap:
        """Make a map of its 128 bytes."""
        found = cls(content)
        found.device, found.array, found.made = device, array, made
        return found


@dataclass(frozen=True)
class Tiling:
    """An array and a box as the hardware counts them: the innermost dimension first.

    `box` counts the elements loaded, every `steps`-th of the array's.
    """

    address: int
    itemsize: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]  # in bytes, without the innermost
    box: tuple[int, ...]
    swizzle: int
    steps: tuple[int, ...]


@dataclass(frozen=True)
class Im2col:
    """An array of images and the pixels a convolution walks over, as the hardware counts them: C, W, H, D, N.

    The base of the filter goes from `lower` to size - 1 + `upper` along each of W, H, D, by `steps`.
    """

    address: int
    itemsize: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]  # in bytes, without the innermost
    lower: tuple[int, ...]
    upper: tuple[int, ...]
    channels: int
    pixels: int
    swizzle: int
    steps: tuple[int, ...]


def _wrong(call: str, array: Any, what: str, fix: str) -> KernelError:
    return KernelError(message(f"{call}: {what}", [operand("array", array)], fix))


def _check_layout(call: str, array: Any, address: int, row: int, swizzle: int, steps: tuple[int, ...]) -> None:
    """Check what both kinds of maps ask for; `row` is how many bytes are copied together."""
    itemsize, shape, strides = array.dtype.itemsize, array.shape, array.strides
    if itemsize not in (1, 2, 4, 8):
        raise _wrong(call, array, f"elements of {itemsize} bytes", "need 1, 2, 4 or 8")
    if not all(1 <= n < 2**32 for n in shape):
        raise _wrong(call, array, f"shape is {shape}", "need 1 to 2^32 - 1 along each axis")
    if shape[-1] > 1 and strides[-1] != itemsize:
        raise _wrong(
            call, array, f"the last axis has stride {strides[-1]}", f"need {itemsize}: elements that follow each other"
        )
    if address % 16 or any(stride % 16 or not 0 <= stride < 2**40 for stride in strides[:-1]):
        raise _wrong(
            call,
            array,
            f"first byte at {address % 16} mod 16, strides {strides[:-1]}",
            "need multiples of 16 bytes: pad the rows, or use a kernel that does not copy by tensor maps",
        )
    if swizzle not in SWIZZLES:
        raise _wrong(call, array, f"swizzle is {swizzle!r}", "need 0, 32, 64 or 128 (bytes)")
    if row % 16 or (swizzle and row != swizzle):
        raise _wrong(
            call,
            array,
            f"a row of the box has {row} bytes, the swizzle {swizzle}",
            "need a multiple of 16, and with a swizzle just its bytes",
        )
    if len(steps) != len(shape) or not all(1 <= n <= _MAX_STEP for n in steps) or steps[-1] != 1:
        raise _wrong(
            call, array, f"steps are {steps}", f"need 1 to {_MAX_STEP} for each of {len(shape)} axes, the last one 1"
        )


def tiling(
    array: Any, address: int, box: tuple[int, ...], swizzle: int, steps: tuple[int, ...] | None = None
) -> Tiling:
    """Check an array and a box, given in the order of the array's axes.

    Raises
    ------
    KernelError
        If the hardware would refuse them: 1 to 5 axes; box times step 1 to 256 along each, steps 1 to 8, that of the
        last axis 1; first byte and strides multiples of 16; last axis contiguous; innermost row of the box a multiple
        of 16 bytes, and equal to the swizzle's bytes.
    """
    call, shape = "tensor_map(array, box, swizzle, steps)", array.shape
    steps = (1,) * len(shape) if steps is None else tuple(steps)
    if not 1 <= len(shape) <= 5 or len(box) != len(shape):
        raise _wrong(
            call,
            array,
            f"array has {len(shape)} axes, box has {len(box)}",
            "need 1 to 5 axes, and a length of the box for each",
        )
    _check_layout(call, array, address, box[-1] * array.dtype.itemsize, swizzle, steps)
    if not all(1 <= n * step <= _MAX_BOX for n, step in zip(box, steps, strict=True)):
        raise _wrong(call, array, f"box is {tuple(box)} in steps {steps}", f"need 1 to {_MAX_BOX} along each axis")
    strides = array.strides[-2::-1]
    return Tiling(address, array.dtype.itemsize, shape[::-1], strides, tuple(box[::-1]), swizzle, steps[::-1])


def im2col(
    array: Any,
    address: int,
    lower: tuple[int, ...],
    upper: tuple[int, ...],
    channels: int,
    pixels: int,
    swizzle: int,
    steps: tuple[int, ...] | None = None,
) -> Im2col:
    """Check an array (N, [D, [H,]] W, C) and the bounding box of a convolution; see `protocol.KernelBackend`.

    Raises
    ------
    KernelError
        If the hardware would refuse them: 3 to 5 axes; corners of 16, 8 or 5 bits; 1 to 256 channels, 1 to 1024 pixels;
        a bounding box that is not empty; and what `tiling` asks of the array, the steps and the swizzle.
    """
    call, shape = "tensor_map_im2col(array, lower, upper, channels, pixels, swizzle, steps)", array.shape
    if not 3 <= len(shape) <= 5 or not len(lower) == len(upper) == len(shape) - 2:
        raise _wrong(
            call,
            array,
            f"array has {len(shape)} axes, lower {len(lower)}, upper {len(upper)}",
            "need (N, W, C), (N, H, W, C) or (N, D, H, W, C), and corners for the axes between",
        )
    steps = (1,) * (len(shape) - 2) if steps is None else tuple(steps)
    _check_layout(call, array, address, channels * array.dtype.itemsize, swizzle, (1, *steps, 1))
    most = 2 ** (_CORNER_BITS[len(shape)] - 1)
    if not all(-most <= corner < most for corner in (*lower, *upper)):
        raise _wrong(call, array, f"corners are {tuple(lower)}, {tuple(upper)}", f"need {-most} to {most - 1}")
    if not all(low <= n - 1 + high for n, low, high in zip(shape[1:-1], lower, upper, strict=True)):
        raise _wrong(
            call, array, f"between {tuple(lower)} and {tuple(upper)} lies no pixel", "need lower <= size - 1 + upper"
        )
    if not 1 <= channels <= _MAX_CHANNELS or not 1 <= pixels <= _MAX_PIXELS:
        raise _wrong(
            call,
            array,
            f"{channels} channels, {pixels} pixels",
            f"need 1 to {_MAX_CHANNELS} channels and 1 to {_MAX_PIXELS} pixels",
        )
    return Im2col(
        address, array.dtype.itemsize, shape[::-1], array.strides[-2::-1], tuple(lower[::-1]), tuple(upper[::-1]),
        channels, pixels, swizzle, (1, *steps[::-1], 1),
    )  # fmt: skip


def encode_sim(made: Tiling | Im2col) -> bytes:
    """Write a map as the sim device's runtime reads it."""

    def padded(values: tuple[int, ...], length: int, filler: int = 1) -> tuple[int, ...]:
        return values + (filler,) * (length - len(values))

    images = isinstance(made, Im2col)
    box = (made.channels, made.pixels) if isinstance(made, Im2col) else made.box
    return struct.pack(
        _SIM_FORMAT,
        _MAGIC,
        made.address,
        len(made.sizes),
        made.itemsize,
        SWIZZLES.index(made.swizzle),
        images,
        *padded(made.sizes, 5),
        *padded(made.strides, 4),
        *padded(box, 5),
        *padded(made.steps, 5),
        *padded(made.lower if isinstance(made, Im2col) else (), 3, 0),
        *padded(made.upper if isinstance(made, Im2col) else (), 3, 0),
    )
