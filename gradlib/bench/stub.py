"""A `cuda` device without a GPU, whose driver does nothing: what is left of an op is what Python does for it.

Its arrays are made about as fast as CuPy's (0.5 to 0.7 us), its driver call is free (a real one takes 2 to 3 us).
"""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from .. import backend as backends
from ..backend.cuda import CudaBackend
from ..backend.protocol import Unit

__all__ = ["StubArray", "stub"]


class _Memory:
    __slots__ = ("ptr",)

    def __init__(self, ptr: int) -> None:
        self.ptr = ptr


_ROOM = 1 << 30  # bytes between addresses, which nobody looks at
_lasting = map(_Memory, itertools.count(_ROOM, _ROOM))  # of what is made of data
# Of what `empty` makes: a few again and again, as a pool hands them out.
_pool = itertools.cycle([_Memory(n * _ROOM) for n in range(1 << 20, (1 << 20) + 256)])


class StubArray(np.ndarray[Any, Any]):
    """An array of the stub.  Its views have its address, whichever element they begin with."""

    data: Any = None  # as an attribute of its own, in place of NumPy's

    def __new__(cls, shape: tuple[int, ...], dtype: Any) -> Any:
        made = _new(cls, shape, dtype)
        made.data = next(_pool)
        return made

    def __array_finalize__(self, base: Any) -> None:
        if base is not None:
            self.data = base.data if isinstance(base, StubArray) and self.base is not None else next(_lasting)


_new = np.ndarray.__new__


class _Kernel:
    shared_size_bytes, max_threads_per_block = 0, 1024
    max_dynamic_shared_size_bytes = 0
    kernel = SimpleNamespace(ptr=1)


class _CuPy:
    """As much of CuPy as launches need."""

    ndarray = StubArray

    def __init__(self) -> None:
        attributes = {f"Max{kind}Dim{axis}": 1024 for kind in ("Block", "Grid") for axis in "XYZ"}
        attributes |= {
            "MaxThreadsPerBlock": 1024,
            "MaxSharedMemoryPerBlockOptin": 232448,
            "MultiProcessorCount": 132,
            "MaxGridDimX": 2**31 - 1,
        }
        stream = SimpleNamespace(ptr=1)
        runtime = SimpleNamespace(
            getDevice=lambda: 0, memGetInfo=lambda: (1, 2), getDeviceProperties=lambda _: {"name": b"stub"}
        )
        device = SimpleNamespace(id=0, compute_capability="90", attributes=attributes, synchronize=lambda: None)
        self.launches = 0
        self.cuda = SimpleNamespace(
            Device=lambda: device,
            runtime=runtime,
            driver=SimpleNamespace(launchKernel=self._launch),
            get_current_stream=lambda _: stream,
        )

    def _launch(self, *_: int) -> None:
        self.launches += 1

    def RawModule(self, path: str) -> Any:  # noqa: N802  (CuPy's name)
        return SimpleNamespace(get_function=lambda entry: _Kernel())

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        return StubArray(shape, dtype)

    def asarray(self, value: Any, dtype: Any = None) -> Any:
        return np.array(value, dtype).view(StubArray)


class _Stub(CudaBackend):
    """The backend of `cuda` over the stub, with nothing compiled and no tensor map encoded."""

    suffix = ".stub"

    def toolchain(self) -> str:
        return "stub"

    def build(self, unit: Unit, target: Path) -> str:
        target.write_bytes(b"")
        return ""

    def encode(self, made: Any) -> bytes:
        return bytes(128)


@cache
def stub() -> Any:
    """Return the device; its arrays, which `asarray` makes, are known from then on."""
    made = _Stub(_CuPy())
    backends.add(made)
    return made
