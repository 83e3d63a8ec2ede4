"""Fixtures and rules for the whole suite."""

from __future__ import annotations

import pytest

from gradlib import backend as backends


@pytest.fixture(scope="session")
def sim() -> str:
    """Name of the sim device, or a skip with the reason it is not here."""
    there, reason = backends.available("sim")
    if not there:
        pytest.skip(reason.splitlines()[0])
    return "sim"
