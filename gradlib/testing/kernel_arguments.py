"""The arguments of one launch: NumPy arrays copied to a device, laid out with the scalars as C lays out a struct."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import KernelError, message, operand
from ..kernel.signature import C_TYPES, Parameter, alignment, resolve, scalar_format

__all__ = ["KernelArguments", "Pixels", "Tiles"]

_ALIGNMENT = 256  # of every array, as a GPU's allocator aligns them
_MAP_ADDRESS = 8  # where a tensor map of sim holds the address of its array (backend/tensor_map.py)


@dataclass(frozen=True)
class Tiles:
    """An argument for a parameter ``const __grid_constant__ TensorMap``: boxes of an array, for bulk tensor copies.

    See `gradlib.backend.protocol.KernelBackend.tensor_map`.
    """

    array: Any
    box: tuple[int, ...]
    swizzle: int = 0
    steps: tuple[int, ...] | None = None

    def map_of(self, array: Any, backend: Any) -> bytes:
        """Return the map of the array's copy on a device."""
        return bytes(backend.tensor_map(array, self.box, self.swizzle, self.steps))


@dataclass(frozen=True)
class Pixels:
    """An argument for a parameter ``const __grid_constant__ TensorMap``: rows of a convolution's im2col matrix.

    See `gradlib.backend.protocol.KernelBackend.tensor_map_im2col`.
    """

    array: Any
    lower: tuple[int, ...]
    upper: tuple[int, ...]
    channels: int
    pixels: int
    swizzle: int = 0
    steps: tuple[int, ...] | None = None

    def map_of(self, array: Any, backend: Any) -> bytes:
        """Return the map of the array's copy on a device."""
        made = backend.tensor_map_im2col(
            array, self.lower, self.upper, self.channels, self.pixels, self.swizzle, self.steps
        )
        return bytes(made)


class KernelArguments:
    """What `run_kernel` was given, on a device.

    Parameters
    ----------
    where
        How errors call the entry.
    parameters, macros
        Of the entry; the file's macros with their values.
    values
        As passed: arrays, None, scalars, `Tiles` and `Pixels`.
    backend
        Where the arrays are copied to.

    Attributes
    ----------
    packed : bytes
        The argument block.
    offsets : tuple of int
        Where each argument begins in it.
    named : list
        Name, copy and place in the block of each array.
    """

    def __init__(
        self,
        where: str,
        parameters: Sequence[Parameter],
        macros: Mapping[str, Any],
        values: Sequence[Any],
        backend: Any,
    ) -> None:
        self._where, self._backend = where, backend
        self._copies: dict[tuple[int, int], Any] = {}
        self._values = values
        self.named: list[tuple[str, Any, int]] = []
        layout, fields, offsets = "=", [], []
        for parameter, value in zip(parameters, values, strict=True):
            c_type = resolve(parameter.type, macros)
            code = "Q" if parameter.pointer else scalar_format(c_type)
            boundary = alignment(code or "Q")
            if code is None:
                value, boundary = self._structure(parameter, value)
                code = f"{len(value)}s"
            padding = -struct.calcsize(layout) % boundary
            place = struct.calcsize(layout) + padding
            offsets.append(place)
            layout += f"{padding}x{code}"
            if parameter.pointer:
                array = self._copy(parameter, C_TYPES.get(c_type), value)
                self.named.append((parameter.name, array, place))
                value = 0 if array is None else backend.pointer(array)
            elif c_type == "TensorMap":
                if not isinstance(value, Tiles | Pixels):
                    raise KernelError(
                        f"{where}: {parameter.name} is {type(value).__name__}\n  need gl.testing.Tiles or Pixels"
                    )
                array = self._copy(parameter, None, value.array)
                self.named.append((parameter.name, array, place + _MAP_ADDRESS))
                value = value.map_of(array, backend)
            fields.append(value if parameter.pointer or code.endswith("s") else self._scalar(parameter, code, value))
        self.offsets = tuple(offsets)
        self.packed = struct.pack(layout, *fields)

    def _structure(self, parameter: Parameter, value: Any) -> tuple[bytes, int]:
        """Return the bytes of a struct passed by value, and its alignment."""
        if isinstance(value, np.void | np.complexfloating):
            parts = [field[0].alignment for field in (value.dtype.fields or {}).values()]
            return value.tobytes(), max(parts, default=value.dtype.itemsize)  # a complex number is a float2
        raise KernelError(
            f"{self._where}: parameter {parameter} cannot be passed by value\n"
            "  need a number, or for a struct a NumPy scalar of a structured dtype with its layout (align=True)"
            + (": sim has no textures" if parameter.type.startswith("cuda") else "")
        )

    def _scalar(self, parameter: Parameter, code: str, value: Any) -> Any:
        """Return a number that fits its parameter, as `struct` takes it."""
        if isinstance(value, np.ndarray):
            what = f"an array of shape {value.shape}"
        else:
            plain = value.item() if isinstance(value, np.generic) else value
            try:
                struct.pack(f"={code}", plain)
            except (struct.error, OverflowError, TypeError):
                what = repr(value)
            else:
                return plain
        raise KernelError(
            f"{self._where}: {parameter.name} is {what}, the parameter is {parameter}\n"
            f"  need a number that {'an' if parameter.type[0] in 'aeiou' else 'a'} {parameter.type} holds"
        )

    def copy_back(self) -> None:
        """Let the arrays that were passed change in place, as on a GPU."""
        for value in self._values:
            array = value.array if isinstance(value, Tiles | Pixels) else value
            if isinstance(array, np.ndarray) and array.flags.writeable:  # else for a const parameter
                array[...] = self._backend.to_host(self._copies[_place(array)]).reshape(array.shape)

    def _copy(self, parameter: Parameter, wanted: Any, value: Any) -> Any:
        """Return an aligned copy of an array on the device; the same one where an array is passed twice."""
        if value is None:
            return None
        if not isinstance(value, np.ndarray):
            kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
            raise KernelError(
                f"{self._where}: {parameter.name} is {kind}\n  need a NumPy array, or None for a null pointer"
            )
        if (wanted is not None and value.dtype != wanted) or not value.flags.c_contiguous:
            strided = "" if value.flags.c_contiguous else ", not C-contiguous"
            raise KernelError(
                message(
                    f"{self._where}: {parameter.name} is {value.dtype}{strided}, the parameter is {parameter}",
                    [operand(parameter.name, value)],
                    f"need a C-contiguous array of {wanted or value.dtype}",
                )
            )
        if parameter.pointer and not parameter.constant and not value.flags.writeable:
            raise KernelError(
                message(
                    f"{self._where}: {parameter.name} is read-only, the parameter is {parameter}",
                    [operand(parameter.name, value)],
                    "need an array that can be written, or a parameter that points to const",
                )
            )
        place = _place(value)
        if place not in self._copies:
            for begin, size in self._copies:
                if place[0] < begin + size and begin < place[0] + place[1]:
                    raise KernelError(
                        f"{self._where}: {parameter.name} overlaps another array without being the same\n"
                        "  need the same array twice, or two that share no memory"
                    )
            self._copies[place] = self._aligned(value)
        return self._copies[place]

    def _aligned(self, value: Any) -> Any:
        if self._backend.name == "cuda":
            return self._backend.asarray(value)
        memory: Any = (ctypes.c_ubyte * (value.nbytes + _ALIGNMENT))()
        start = -ctypes.addressof(memory) % _ALIGNMENT
        aligned = np.frombuffer(memory, np.uint8, value.nbytes, start)
        aligned[:] = value.reshape(-1).view(np.uint8)
        return self._backend.coerce(aligned.view(value.dtype).reshape(value.shape))


def _place(array: Any) -> tuple[int, int]:
    return array.__array_interface__["data"][0], array.nbytes
