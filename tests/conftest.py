"""Fixtures and rules for the whole suite."""

from __future__ import annotations

import os

# The suite runs a process a core; BLAS threads on top of that only get in each other's way.  Before NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from collections.abc import Iterator
from contextlib import suppress

import pytest

from gradlib import backend as backends
from gradlib.backend import nvrtc
from gradlib.kernel import Planner

with suppress(ImportError):  # which a machine with a GPU may lack
    from hypothesis import settings

    settings.register_profile("same", derandomize=True, database=None)  # the same cases in every run
    settings.load_profile("same")


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


@pytest.fixture(autouse=True)
def _plans_of_its_own() -> Iterator[None]:
    """Forget the plans of a test: it may have put something else in the place of what launchers ask."""
    yield
    Planner.forget()


@pytest.fixture(autouse=True)
def _alone_with_its_fault(request: pytest.FixtureRequest) -> Iterator[None]:
    """End the worker of a GPU test that broke its context (an illegal instruction, say): every later test would fail.

    The test's own report has gone out by then; pytest-xdist starts another worker.
    """
    yield
    gpu = request.node.get_closest_marker("gpu") and backends.available("cuda")[0]  # a test may skip from within
    if gpu and "PYTEST_XDIST_WORKER" in os.environ:
        try:
            backends.get("cuda").synchronize()
        except Exception as error:
            print(f"{request.node.nodeid}: the GPU's context is broken: {error}", flush=True)
            os._exit(3)
