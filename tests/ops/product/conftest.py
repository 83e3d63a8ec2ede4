"""What the tests of products share: the architecture whose kernels are to be taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gradlib.backend import get


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`limits(device, architecture=..., multiprocessors=...)`: let a device say so of itself."""

    def change(device: str, **changes: Any) -> None:
        backend = get(device)
        monkeypatch.setattr(
            backend if device == "cuda" else type(backend), "limits", replace(backend.limits, **changes)
        )

    return change
