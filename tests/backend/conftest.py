"""Kernels given as strings, built and launched on sim without the loader."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradlib.backend import Unit, get

_FORMAT = {
    "int8": "b", "int16": "h", "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q", "float32": "f", "float64": "d",
}  # fmt: skip


INCLUDE = Path(__file__).resolve().parents[2] / "kernels" / "include"


def pack(*arguments: Any) -> bytes:
    """Lay arguments out as C does: arrays as pointers, NumPy scalars by their dtype, Python's as int and float."""
    layout, values = "@", []
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
    return struct.pack(layout, *values)


@pytest.fixture(scope="session")
def sim_folder(sim: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the session's kernels and the runtime are built."""
    return tmp_path_factory.mktemp("sim")


@pytest.fixture(scope="session")
def kernel(sim_folder: Path) -> Callable[..., Callable[..., None]]:
    """`kernel(text)` builds, `kernel(text)(grid, block, *arguments, shared=0)` launches."""
    numbers, backend = itertools.count(), get("sim")

    def make(text: str, entry: str = "k", macros: Any = (), includes: tuple[Path, ...] = ()) -> Callable[..., None]:
        target = sim_folder / f"{next(numbers)}.so"
        backend.build(Unit("test.cu", text, tuple(dict(macros).items()), includes, (entry,)), target)
        function = backend.load(target, entry)

        def launch(grid: Any, block: Any, *arguments: Any, shared: int = 0) -> None:
            dims = [(n, 1, 1) if isinstance(n, int) else (*n, 1, 1)[:3] for n in (grid, block)]
            function(*dims, shared, pack(*arguments))

        return launch

    return make


@pytest.fixture(scope="session")
def ptx_kernel(kernel: Callable[..., Callable[..., None]]) -> Callable[..., Callable[..., None]]:
    """`kernel` for the body of a function `k` with the given parameters, over gradlib/ptx.cuh."""

    def make(parameters: str, body: str, before: str = "", attributes: str = "", **macros: str) -> Callable[..., None]:
        head = f'#include "gradlib/ptx.cuh"\n{before}\nextern "C" __global__ void {attributes} k({parameters})'
        return kernel(f"{head} {{\n{body}\n}}\n", macros=macros, includes=(INCLUDE,))

    return make
