"""The `cpu` device: plain NumPy arrays."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

from .protocol import Array


class CpuBackend:
    """NumPy.  Runs no CUDA kernels: here an op is its own definition."""

    name = "cpu"
    xp = np
    array_type: type = np.ndarray
    runs_kernels = False

    def asarray(self, value: Any, dtype: Any = None) -> Array:
        return np.asarray(value, dtype)

    def to_host(self, array: Array) -> Any:
        return array

    def coerce(self, value: Any) -> Array:
        return np.asarray(value)

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        return np.empty(shape, dtype)

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Array:
        return np.zeros(shape, dtype)

    def synchronize(self) -> None:
        """NumPy is done when it returns."""

    def event(self) -> float:
        return time.perf_counter()

    def elapsed(self, start: float, stop: float) -> float:
        return stop - start

    def memory(self) -> tuple[int, int]:
        page, total = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_PHYS_PAGES")
        return (total - os.sysconf("SC_AVPHYS_PAGES")) * page, total * page


backend = CpuBackend()
