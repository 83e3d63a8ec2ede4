"""What the tests of products share: the architecture whose kernels are to be taken, and that they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gradlib.backend import get
from gradlib.ops import conv_tensor


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`limits(device, architecture=..., multiprocessors=...)`: let a device say so of itself."""

    def change(device: str, **changes: Any) -> None:
        backend = get(device)
        monkeypatch.setattr(
            backend if device == "cuda" else type(backend), "limits", replace(backend.limits, **changes)
        )

    return change


@pytest.fixture
def tensor_cores(limits: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """`tensor_cores(device, architecture)`: let convolutions go there, however small they are."""

    def there(device: str, architecture: str) -> None:
        limits(device, architecture=architecture, multiprocessors=4)
        monkeypatch.setattr(conv_tensor, "_gains", lambda *key: True)

    return there
