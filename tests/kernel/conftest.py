"""A device that compiles nothing and remembers what was launched, so that the loader is tested without a toolchain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradlib.backend
from gradlib.backend import Limits, Unit
from gradlib.errors import KernelError


class FakeArray(np.ndarray):
    """An array of the fake device."""


class FakeFunction:
    def __init__(self, path: Path, entry: str, calls: list[tuple[Any, ...]]) -> None:
        self.path, self.entry, self.calls = path, entry, calls

    def __call__(self, grid: Any, block: Any, shared: int, packed: bytes) -> None:
        self.calls.append((self.entry, grid, block, shared, packed))


class FakeBackend:
    name = "fake"
    xp = np
    array_type = FakeArray
    runs_kernels = True
    suffix = ".fake"
    limits = Limits()

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.units: list[Unit] = []
        self.version = "fake 1"
        self.fails = False
        self.log = "fake log"

    def array(self, shape: Any, dtype: Any = np.float32) -> FakeArray:
        return np.zeros(shape, dtype).view(FakeArray)

    def pointer(self, array: Any) -> int:
        return int(array.__array_interface__["data"][0])

    def synchronize(self) -> None: ...

    def event(self) -> float:
        return 0.0

    def elapsed(self, start: float, stop: float) -> float:
        return 1e-5

    def toolchain(self) -> str:
        return self.version

    def build(self, unit: Unit, target: Path) -> str:
        if self.fails:
            raise KernelError("does not compile")
        self.units.append(unit)
        target.write_text(unit.text)
        return self.log

    def load(self, path: Path, entry: str, offsets: tuple[int, ...]) -> FakeFunction:
        return FakeFunction(path, entry, self.calls)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeBackend:
    """The fake device, with an empty cache of compiled kernels."""
    backend = FakeBackend()
    monkeypatch.setitem(gradlib.backend._by_type, FakeArray, backend)
    monkeypatch.setenv("GRADLIB_CACHE", str(tmp_path / "cache"))
    return backend
