"""The `sim` device: CUDA kernels compiled by the host's C++ compiler and run on the CPU.

The same launch code and the same `.cu` files serve `cuda` and `sim`, so that every kernel runs, with its blocks,
barriers and shared memory, on a machine without a GPU.  Arrays are NumPy's, of a subclass of their own.
"""

from __future__ import annotations

import ctypes
import os
import struct
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import KernelError
from . import checking, sim_build, watch
from .protocol import Array, Dim3, Limits, PreparedLaunch, Unit
from .sim_checked import CheckedFunction
from .sim_fault import Fault, fast_fault
from .sim_guard import note_empty
from .tensor_map import Im2col, TensorMap, Tiling, encode_sim, im2col, tiling

__all__ = ["SimArray", "SimBackend", "SimFunction", "backend"]


class SimArray(np.ndarray[Any, Any]):
    """An array of the sim device.  Its memory is the host's; its type says where it belongs."""

    __slots__ = ()


class SimFunction:
    """A kernel entry built for the host.  Called with grid, block, bytes of dynamic shared memory, and arguments.

    Raises
    ------
    KernelError
        If the arguments do not fill the entry's parameters, or the kernel fails while it runs: threads that wait for
        ever, a write past a shared variable, a full stack, memory that is not there, a failed assertion.  What it
        wrote until then stays written.
    """

    __slots__ = ("_cluster", "_entry", "_launch", "_library", "_runtime", "_set_cluster", "name", "parameter_bytes")

    def __init__(self, runtime: ctypes.CDLL, library: ctypes.CDLL, name: str) -> None:
        self.name = name
        self._library = library  # keeps the code loaded
        try:
            self._entry = ctypes.cast(getattr(library, f"gradlib_sim_entry_{name}"), ctypes.c_void_p)
            self.parameter_bytes = ctypes.c_uint.in_dll(library, f"gradlib_sim_bytes_{name}").value
        except (AttributeError, ValueError):
            raise KernelError(f"{library._name} has no entry {name}\n  need its name in Unit.entries") from None
        self._runtime = runtime
        try:
            self._cluster = tuple((ctypes.c_uint * 3).in_dll(library, f"gradlib_sim_cluster_{name}"))
        except ValueError:
            self._cluster = ()
        self._set_cluster = runtime.gradlib_sim_set_cluster
        self._launch = runtime.gradlib_sim_launch

    def __call__(self, grid: Dim3, block: Dim3, shared: int, packed: bytes) -> None:
        if not 0 <= len(packed) - self.parameter_bytes < 8:  # a C struct may end in padding
            raise KernelError(
                f"{self.name}: {len(packed)} bytes of arguments, but its parameters take {self.parameter_bytes}"
            )
        if self._cluster:
            self._set_cluster(*self._cluster)
        if self._launch(self._entry, *grid, *block, shared, packed, None):
            text = f"{self.name} on sim, grid {grid}, block {block}: {self._runtime.gradlib_sim_error().decode()}"
            fault = self._runtime.gradlib_sim_last_fault().contents
            raise fast_fault(text, fault, self._library) if fault.kind else KernelError(text)

    def prepare(self, grid: Dim3, block: Dim3, shared: int, packed: bytes, count: int) -> PreparedLaunch:
        """Return the launch with these arguments but for `count` addresses at their start, and tensor maps."""
        write = struct.Struct(f"={count}Q").pack_into

        def launch(addresses: Sequence[int], *maps: tuple[int, bytes]) -> None:
            arguments = bytearray(packed)
            write(arguments, 0, *addresses)
            for byte, content in maps:
                arguments[byte : byte + len(content)] = content
            self(grid, block, shared, bytes(arguments))

        return launch

    def checked(self) -> CheckedFunction:
        """Return the same entry as one that reports faults; it must come from the checked build."""
        return CheckedFunction(
            self._runtime, self._library, self._entry, self.name, self.parameter_bytes, self._cluster
        )


class SimBackend:
    """The host as a CUDA device, for tests: exact in what a kernel computes, silent about its speed.

    `GRADLIB_SIM_THREADS` sets how many cores the blocks of a launch are spread over; all by default.
    """

    name = "sim"
    xp = np
    array_type: type = SimArray
    runs_kernels = True
    suffix = ".so"
    limits = Limits()
    pointer_text = "pointer({})"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runtime: ctypes.CDLL | None = None
        self._libraries: dict[Path, ctypes.CDLL] = {}
        self._constants: dict[Any, Array | None] = {}

    def asarray(self, value: Any, dtype: Any = None) -> Array:
        if isinstance(value, SimArray):
            return value if dtype is None else value.astype(dtype, copy=False)
        return np.array(value, dtype).view(SimArray)  # a copy, as to any other device

    def to_host(self, array: Array) -> Any:
        return np.asarray(array).view(np.ndarray)

    def coerce(self, value: Any) -> Array:
        return value if type(value) is SimArray else np.asarray(value).view(SimArray)

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        array = np.empty(shape, dtype).view(SimArray)
        if checking.current() is not None:
            note_empty(array)
        watch.made(array)
        return array

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Array:
        watch.spoil()
        return np.zeros(shape, dtype).view(SimArray)

    def synchronize(self) -> None:
        """A launch is done when it returns."""

    def event(self) -> float:
        return time.perf_counter()

    def elapsed(self, start: float, stop: float) -> float:
        return stop - start

    def memory(self) -> tuple[int, int]:
        page, total = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_PHYS_PAGES")
        return (total - os.sysconf("SC_AVPHYS_PAGES")) * page, total * page

    def pointer(self, array: Array) -> int:
        return int(array.__array_interface__["data"][0])

    @property
    def builder(self) -> str:
        """What a compiling process is asked for: this device, in its build of the moment."""
        return "sim:checked" if checking.current() else "sim:fast"

    def toolchain(self) -> str:
        return sim_build.identity(checking.current() is not None)

    def build(self, unit: Unit, target: Path) -> str:
        return sim_build.build(unit, target, checking.current() is not None)

    def load(self, path: Path, entry: str, offsets: tuple[int, ...] = ()) -> SimFunction | CheckedFunction:
        with self._lock:
            if self._runtime is None:
                self._runtime = self._start(path.parent)
            library = self._libraries.get(path)
            if library is None:
                library = self._libraries[path] = _open(path, ctypes.RTLD_LOCAL)
            function = SimFunction(self._runtime, library, entry)
            return function if checking.current() is None else function.checked()

    def tensor_map(
        self, array: Array, box: tuple[int, ...], swizzle: int = 0, steps: tuple[int, ...] | None = None
    ) -> TensorMap:
        """Return the map by which a kernel copies boxes of `array`; see `protocol.KernelBackend`."""
        made = tiling(array, self.pointer(array), box, swizzle, steps)
        return TensorMap.of(encode_sim(made), self.name, array, made)

    def tensor_map_im2col(
        self,
        array: Array,
        lower: tuple[int, ...],
        upper: tuple[int, ...],
        channels: int,
        pixels: int,
        swizzle: int = 0,
        steps: tuple[int, ...] | None = None,
    ) -> TensorMap:
        """Return the map by which a kernel gathers rows of an im2col matrix; see `protocol.KernelBackend`."""
        made = im2col(array, self.pointer(array), lower, upper, channels, pixels, swizzle, steps)
        return TensorMap.of(encode_sim(made), self.name, array, made)

    def constants(self) -> dict[Any, Array | None]:
        """Return the arrays of single numbers that are kept on the current device, never to be written."""
        return self._constants

    def encode(self, made: Tiling | Im2col) -> bytes:
        """Return the 128 bytes of a tensor map."""
        return encode_sim(made)

    def use_threads(self, count: int) -> None:
        """Spread the blocks of each launch over `count` threads of the host (from the first load on)."""
        if self._runtime is None:
            os.environ["GRADLIB_SIM_THREADS"] = str(count)
        else:
            self._runtime.gradlib_sim_set_workers(count)

    def _start(self, folder: Path) -> ctypes.CDLL:
        """Load the runtime, whose symbols the kernels refer to."""
        runtime = _open(sim_build.runtime(folder), ctypes.RTLD_GLOBAL)
        runtime.gradlib_sim_launch.argtypes = [ctypes.c_void_p, *[ctypes.c_uint] * 7, ctypes.c_char_p, ctypes.c_void_p]
        runtime.gradlib_sim_last_fault.restype = ctypes.POINTER(Fault)
        runtime.gradlib_sim_last_writer.argtypes = [ctypes.c_uint64]
        runtime.gradlib_sim_last_writer.restype = ctypes.c_uint64
        runtime.gradlib_sim_set_cluster.argtypes = [ctypes.c_uint] * 3
        runtime.gradlib_sim_error.restype = ctypes.c_char_p
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        runtime.gradlib_sim_set_workers(int(os.environ.get("GRADLIB_SIM_THREADS") or cores))
        return runtime


def _open(path: Path, mode: int) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(str(path), mode=mode)
    except OSError as error:
        raise KernelError(f"{path.name} cannot be loaded: {error}") from error


backend = SimBackend()
