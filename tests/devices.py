"""The devices that run kernels, as pytest parameters; `cuda` carries the marker `gpu`."""

from __future__ import annotations

import os
import zlib
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from gradlib import backend as backends
from gradlib.backend import checking

_CUDA, _WHY = backends.available("cuda")


def needs_gpu(test: Any) -> Any:
    """Mark a test that only a GPU can run."""
    return pytest.mark.gpu(pytest.mark.skipif(not _CUDA, reason=_WHY.split("\n")[0])(test))


def device_params() -> list[object]:
    """`sim` and `cuda`; one that is not here is skipped with its reason."""
    params = []
    for name in ("sim", "cuda"):
        there, reason = backends.available(name)
        marks = [pytest.mark.gpu] if name == "cuda" else []
        if not there:
            marks.append(pytest.mark.skip(reason=reason.splitlines()[0]))
        params.append(pytest.param(name, marks=marks))
    return params


def watched(device: str) -> AbstractContextManager[None]:
    """Run launches on `sim` in the checked build, in one order of the threads, by the test's name: all cost thrice.

    Under `GRADLIB_SIM=checked` they run in all.
    """
    if device != "sim" or checking.current() is not None:
        return nullcontext()
    name = os.environ["PYTEST_CURRENT_TEST"]
    return backends.checked(orders=(checking.ORDERS[zlib.crc32(name.encode()) % len(checking.ORDERS)],))
