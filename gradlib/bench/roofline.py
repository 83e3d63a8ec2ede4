"""The machine's own limits, measured in the run: how fast it copies, and how fast it multiplies matrices."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ..spec import REDUCED, as_dtype
from .case import noise
from .libraries import Gradlib
from .machine import cores
from .timing import Timer, describe, wall


def best(run: Callable[[], Any], timer: Timer, calls: int = 4, repeats: int = 7) -> float:
    """Return the seconds per run of the fastest of several repeats: what the machine can do, not what it did."""
    timer.finish(run())
    timer.warm(run, 1)
    return min(timer.warm(run, calls) for _ in range(repeats))


def roofline(device: str, dtypes: list[str], found: dict[str, Any]) -> dict[str, Any]:
    """Return ``copy_bytes`` (read and written, per second), ``<dtype>_flops`` per dtype, and ``by``, who multiplied.

    Parameters
    ----------
    device
        ``"cpu"`` or ``"cuda"``; ``"sim"`` has no limits worth the name, and gets none.
    dtypes
        Names of the dtypes to measure products in.
    found
        The libraries at hand.  On `cuda` PyTorch multiplies where installed (cuBLAS), else gradlib's own kernel, and a
        kernel cannot be held against itself: then the percentage only compares shapes.
    """
    if device == "sim":
        return {}
    result: dict[str, Any] = {
        "copy_bytes": _cpu_copy(found["gradlib"].timer) if device == "cpu" else _gpu_copy(found["gradlib"])
    }
    by = "numpy" if device == "cpu" else ("torch" if "torch" in found else "gradlib")
    size = 2048 if device == "cpu" else 8192
    for dtype in dtypes:
        wide = "float32" if device == "cpu" and as_dtype(dtype) in REDUCED else dtype  # computed in float32 there
        if f"{wide}_flops" not in result:
            try:
                result[f"{wide}_flops"] = _product(by, found, size, wide)
            except Exception as error:  # no rate, then no floor; the times still count
                result["by"] = describe(error)
                continue
        result[f"{dtype}_flops"] = result[f"{wide}_flops"]
    result.setdefault("by", f"{by}, products of {size} x {size}")
    return result


def _cpu_copy(timer: Timer, size: int = 2**26) -> float:
    """Copy 256 MB with a thread per core; NumPy alone uses one, and so does this where one thread is measured."""
    source, target = np.ones(size, np.float32), np.zeros(size, np.float32)
    count = cores() if timer.clock is wall else 1
    parts = list(zip(np.array_split(source, count), np.array_split(target, count), strict=True))

    with ThreadPoolExecutor(len(parts)) as pool:

        def copy() -> None:
            list(pool.map(lambda part: np.copyto(part[1], part[0]), parts))

        return float(2 * source.nbytes) / best(copy, timer, calls=1)


def _gpu_copy(library: Gradlib, size: int = 2**28) -> float:
    source, target = library.backend.zeros((size,), np.float32), library.backend.empty((size,), np.float32)

    def copy() -> None:
        target[...] = source

    return float(2 * source.nbytes) / best(copy, library.timer)


def _product(by: str, found: dict[str, Any], size: int, dtype: str) -> float:
    library = found.get(by) or found["gradlib"]
    host = noise((size, size), dtype)
    if by == "numpy":
        out = np.empty_like(host)
        return 2.0 * size**3 / best(lambda: np.matmul(host, host, out=out), found["gradlib"].timer, calls=1)
    a, b = library.array(host), library.array(host)
    passes = library.differentiate(lambda a, b: a @ b, (a, b), None)
    seconds = best(passes["forward"], library.timer)
    return 2.0 * size**3 / seconds
