"""Fixtures and rules for the whole suite."""

from __future__ import annotations

import os

# The suite runs a process a core; BLAS threads on top of that only get in each other's way.  Before NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest

from gradlib import backend as backends
from gradlib.backend import nvrtc


def _reason(what: str) -> str:
    there, reason = nvrtc.available() if what == "nvrtc" else backends.available(what)
    return "" if there else reason.splitlines()[0]


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to start where something that ``GRADLIB_REQUIRE`` names is missing: its tests would only skip."""
    for what in os.environ.get("GRADLIB_REQUIRE", "").split():
        if reason := _reason(what):
            pytest.exit(f"GRADLIB_REQUIRE names {what}: {reason}", returncode=1)


@pytest.fixture(scope="session")
def sim() -> str:
    """Name of the sim device, or a skip with the reason it is not here."""
    if reason := _reason("sim"):
        pytest.skip(reason)
    return "sim"
