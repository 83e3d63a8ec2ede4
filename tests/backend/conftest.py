"""Kernels given as strings, launched without the loader: on sim, and on a GPU where there is one.

What the manuals promise is tested on both (`device_kernel`, `device_ptx_kernel`), so that sim and the hardware are held
to the same expectation; what only sim does (poison, late results, errors) on sim (`kernel`, `ptx_kernel`).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradlib.backend import Unit, get, sim_build
from gradlib.kernel import cache
from gradlib.kernel.source import Source

from ..devices import device_params

_FORMAT = {
    "int8": "b", "int16": "h", "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q", "float32": "f", "float64": "d",
}  # fmt: skip


INCLUDE = Path(__file__).resolve().parents[2] / "kernels" / "include"


def pack(*arguments: Any) -> tuple[bytes, tuple[int, ...]]:
    """Lay arguments out as C does: arrays as pointers, NumPy scalars by their dtype, Python's as int and float.

    Returns the block and where each argument begins in it.
    """
    layout, values, offsets = "@", [], []
    for argument in arguments:
        if isinstance(argument, bytes):  # a tensor map, aligned to 64 bytes
            layout += f"{-struct.calcsize(layout) % 64}x{len(argument)}s"
            value: Any = argument
        elif argument is None:
            layout, value = layout + "P", 0
        elif isinstance(argument, np.ndarray):
            layout, value = layout + "P", argument.ctypes.data
        elif isinstance(argument, np.generic):
            layout, value = layout + _FORMAT[argument.dtype.name], argument.item()
        else:
            layout, value = layout + ("i" if isinstance(argument, int) else "f"), argument
        values.append(value)
        size = len(argument) if isinstance(argument, bytes) else struct.calcsize(layout[-1])
        offsets.append(struct.calcsize(layout) - size)
    return struct.pack(layout, *values), tuple(offsets)


@pytest.fixture(scope="session")
def sim_folder(sim: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for files that are built outside the cache, with the runtime in it."""
    cache.folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    runtime = sim_build.runtime(cache.folder())
    folder = tmp_path_factory.mktemp("sim")
    (folder / runtime.name).symlink_to(runtime)
    return folder


class Made:
    """A kernel: `made(grid, block, *arguments, shared=0)` launches; NumPy arrays change in place on every device."""

    def __init__(self, device: str, path: Path, entry: str) -> None:
        self.device, self._path, self._entry = device, path, entry
        self._function: Any = None

    def __call__(self, grid: Any, block: Any, *arguments: Any, shared: int = 0) -> None:
        dims = [(n, 1, 1) if isinstance(n, int) else (*n, 1, 1)[:3] for n in (grid, block)]
        if self.device == "sim":
            self._launch(dims, shared, arguments)
            return
        cuda = get("cuda")
        arrays = {i: cuda.asarray(a) for i, a in enumerate(arguments) if isinstance(a, np.ndarray)}
        on_device = {i: a for i, a in enumerate(arguments) if isinstance(a, cuda.array_type)} | arrays
        self._launch(
            dims,
            shared,
            [np.uint64(cuda.pointer(on_device[i])) if i in on_device else a for i, a in enumerate(arguments)],
        )
        cuda.synchronize()
        for i, array in arrays.items():
            if arguments[i].flags.writeable:
                arguments[i][...] = cuda.to_host(array)

    def _launch(self, dims: Any, shared: int, arguments: Any) -> None:
        block, offsets = pack(*arguments)
        if self._function is None:
            self._function = get(self.device).load(self._path, self._entry, offsets)
        self._function(*dims, shared, block)


class Maker:
    """`make(text, entry, macros, includes)` builds a kernel for one device."""

    def __init__(self, device: str) -> None:
        self.device = device

    def __call__(self, text: str, entry: str = "k", macros: Any = (), includes: tuple[Path, ...] = ()) -> Made:
        if self.device == "cuda":  # what sim has without an include
            text = f"#include <cuda_fp16.h>\n#include <cuda_bf16.h>\n#line 1\n{text}"
        backend = get(self.device)
        unit = Unit("test.cu", text, tuple(dict(macros).items()), includes, (entry,))
        parts = (Source(unit.name, text, includes).digest, repr(unit.macros), entry, backend.toolchain())
        key = "test-" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
        path, _ = cache.fetch(key, backend.suffix, lambda target: backend.build(unit, target))
        return Made(self.device, path, entry)


def _ptx_maker(make: Maker) -> Callable[..., Made]:
    """Return `make` for the body of a function `k` with the given parameters, over gradlib/ptx.cuh."""

    def make_body(parameters: str, body: str, before: str = "", attributes: str = "", **macros: str) -> Made:
        head = f'#include "gradlib/ptx.cuh"\n{before}\nextern "C" __global__ void {attributes} k({parameters})'
        return make(f"{head} {{\n{body}\n}}\n", macros=macros, includes=(INCLUDE,))

    return make_body


@pytest.fixture(scope="session")
def kernel(sim: str) -> Maker:
    """`kernel(text)` builds for sim, `kernel(text)(grid, block, *arguments, shared=0)` launches."""
    return Maker(sim)


@pytest.fixture
def good(kernel: Maker) -> Callable[[], None]:
    """A launch that only works on a device in good order."""
    total = kernel("""
extern "C" __global__ void k(int* out) {
    __shared__ int sum;
    if (threadIdx.x == 0) sum = 0;
    __syncthreads();
    atomicAdd(&sum, __shfl_xor_sync(0xffffffff, (int)threadIdx.x, 1));
    __syncthreads();
    out[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}""")

    def check() -> None:
        out = np.zeros(20 * 96, np.int32)
        total(20, 96, out)
        assert (out == 96 * 95 // 2).all()

    return check


@pytest.fixture(scope="session")
def ptx_kernel(kernel: Maker) -> Callable[..., Made]:
    """`kernel` for the body of a function over gradlib/ptx.cuh."""
    return _ptx_maker(kernel)


@pytest.fixture(scope="session", params=device_params())
def device_kernel(request: pytest.FixtureRequest) -> Maker:
    """`kernel` on each device that runs kernels."""
    return Maker(request.param)


@pytest.fixture(scope="session")
def device_ptx_kernel(device_kernel: Maker) -> Callable[..., Made]:
    """`ptx_kernel` on each device that runs kernels."""
    return _ptx_maker(device_kernel)
