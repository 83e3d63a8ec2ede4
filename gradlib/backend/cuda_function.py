"""A kernel on `cuda`: loaded where it is launched, and launched by the driver's own call."""

from __future__ import annotations

import ctypes
import struct
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import KernelError
from . import nvrtc
from .protocol import Dim3, PreparedLaunch

__all__ = ["CudaFunction", "version"]


def version(number: int) -> str:
    """Return a version of CUDA from its number, 1000 * major + 10 * minor."""
    return f"{number // 1000}.{number % 1000 // 10}"


class _Local(threading.local):
    device = -1  # whose context this thread has


class CudaFunction:
    """One entry of a cubin, loaded on each device where it is launched.

    Launching goes straight to the driver with pointers into the packed argument block (0.2 us; CuPy's own
    `RawKernel.__call__` takes 2).  The driver copies the arguments before it returns, so a block may be
    used again then; blocks in use are off the list, so threads never share one.
    """

    def __init__(self, cupy: Any, path: Path, entry: str, offsets: tuple[int, ...], shared_limit: int) -> None:
        self._path, self._entry, self._offsets, self._shared_limit = path, entry, offsets, shared_limit
        self._cupy = cupy
        self._kernel = cupy.RawModule(path=str(path)).get_function(entry)
        self._device = cupy.cuda.runtime.getDevice
        self._stream = cupy.cuda.get_current_stream
        self._launch = cupy.cuda.driver.launchKernel
        self._handles: dict[int, int] = {}
        self._local = _Local()
        self._blocks: list[_Block] = []
        self._open(self._device())
        self.static_shared = int(self._kernel.shared_size_bytes)
        self.max_threads = int(self._kernel.max_threads_per_block)

    def __call__(self, grid: Dim3, block: Dim3, shared: int, packed: bytes) -> None:
        try:
            arguments = self._blocks.pop()
        except IndexError:
            arguments = _block(len(packed), self._offsets)
        arguments[0][:] = packed
        self._run((*grid, *block, shared), arguments[1])
        self._blocks.append(arguments)

    def prepare(self, grid: Dim3, block: Dim3, shared: int, packed: bytes, count: int) -> PreparedLaunch:
        """Return the launch with these arguments but for `count` addresses at their start, and tensor maps."""
        sizes, run = (*grid, *block, shared), self._run
        write = struct.Struct(f"={count}Q").pack_into
        blocks: list[_Block] = []

        def launch(addresses: Sequence[int], *maps: tuple[int, bytes]) -> None:
            try:
                arguments = blocks.pop()
            except IndexError:
                arguments = _block(len(packed), self._offsets)
                arguments[0][:] = packed
            content, table = arguments
            write(content, 0, *addresses)
            for byte, bits in maps:
                content[byte : byte + len(bits)] = bits
            run(sizes, table)
            blocks.append(arguments)

        return launch

    def _run(self, sizes: tuple[int, ...], table: int) -> None:
        """Launch on the current device and stream.  Hot."""
        device = self._device()
        if self._local.device != device:
            self._open(device)
        try:
            self._launch(self._handles[device], *sizes, self._stream(device).ptr, table, 0)
        except RuntimeError as error:  # also what an earlier kernel did wrong
            raise KernelError(f"{self._path.stem}.cu: entry {self._entry}: the launch failed: {error}") from error

    def _open(self, device: int) -> None:
        """Bind the device's context to this thread; the first time on a device, load the entry there."""
        self._cupy.cuda.runtime.memGetInfo()  # a driver call needs a context, which a run-time call makes
        if device not in self._handles:
            try:
                handle = self._kernel.kernel.ptr
            except RuntimeError as error:
                driver = version(self._cupy.cuda.runtime.driverGetVersion())
                raise KernelError(
                    f"{self._path.name}: entry {self._entry} cannot be loaded: {error}\n"
                    f"  compiled by NVRTC {version(1000 * nvrtc.version()[0] + 10 * nvrtc.version()[1])}, "
                    f"the driver serves CUDA {driver}"
                ) from error
            # Above 48 KB dynamic shared memory must be allowed; allowing it changes nothing else.
            self._kernel.max_dynamic_shared_size_bytes = self._shared_limit - int(self._kernel.shared_size_bytes)
            self._handles[device] = handle
        self._local.device = device


_Block = tuple[memoryview, int]


def _block(size: int, offsets: tuple[int, ...]) -> _Block:
    """Return memory for the arguments of one launch, and the table of pointers by which the driver finds each.

    (Not the driver's other way, one buffer for all: its layout is the compiler's, which put a tensor map, aligned to
    64 bytes, 48 bytes into a buffer where C would have it first.)
    """
    places = max(len(offsets), 1)
    memory = (ctypes.c_char * (8 * places + max(size, 1)))()  # the table, then the arguments
    first = ctypes.addressof(memory)
    table = (ctypes.c_void_p * places).from_buffer(memory)
    for i, offset in enumerate(offsets):
        table[i] = first + 8 * places + offset
    return memoryview(memory).cast("B")[8 * places : 8 * places + size], first  # the view keeps the memory alive
