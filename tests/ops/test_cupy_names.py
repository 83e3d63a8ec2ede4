"""Definitions are written for NumPy and for CuPy: every function they call is there in both, with these arguments.

CuPy can be imported without a GPU, so this needs none: NumPy computes, and CuPy's signatures are bound.
"""

from __future__ import annotations

import inspect
import zlib
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

from gradlib.backend import cuda
from gradlib.core import PRIMITIVES
from gradlib.testing import assert_close
from gradlib.testing.check_op import draw

cupy = pytest.importorskip("cupy")
NAMES = sorted(
    n for n, p in PRIMITIVES.items() if p.module.startswith("gradlib.") and p.impl is not None and p.samples is not None
)


class _Both:
    """NumPy's module, as far as CuPy has the same."""

    def __init__(self, numpy: Any, theirs: Any) -> None:
        self._numpy, self._theirs = numpy, theirs

    def __getattr__(self, name: str) -> Any:
        ours = getattr(self._numpy, name)
        assert hasattr(self._theirs, name), f"CuPy has no {self._numpy.__name__}.{name}"
        theirs = getattr(self._theirs, name)
        if inspect.ismodule(ours):
            return _Both(ours, theirs)
        if isinstance(ours, (type, np.ufunc)) or not callable(ours):
            return ours
        return _Call(ours, theirs)


class _Call:
    """A function of NumPy that is called as CuPy's can be."""

    def __init__(self, ours: Any, theirs: Any) -> None:
        self._ours, self._theirs = ours, theirs

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            signature = inspect.signature(self._theirs)
        except ValueError:  # compiled
            signature = None
        if signature is not None:
            signature.bind(*args, **kwargs)
        return self._ours(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:  # a method, as in np.add.at
        assert hasattr(self._theirs, name), f"CuPy has no {self._ours.__name__}.{name}"
        return getattr(self._ours, name)


@pytest.mark.parametrize("name", NAMES)
def test_cupy_has_what_a_definition_calls(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "lacks", lambda library: "")
    monkeypatch.setattr(cuda, "raising", nullcontext)
    prim = PRIMITIVES[name]
    for number, sample in enumerate(prim.samples()):
        args = draw(sample, np.dtype("float64"), zlib.crc32(name.encode()) + number)
        expected = prim.impl(np, *args, **sample.params)
        got = prim.impl(_Both(np, cupy), *args, **sample.params)
        pairs = zip(got, expected, strict=True) if isinstance(expected, tuple) else [(got, expected)]
        for a, b in pairs:
            assert_close(a, b, what=f"{name} sample {number}")  # devices may add up in another order


def test_what_cupy_lacks_is_seen() -> None:
    both = _Both(np, cupy)
    with pytest.raises(AssertionError, match=r"CuPy has no numpy\.linalg\.multi_dot"):
        both.linalg.multi_dot([np.eye(2), np.eye(2)])
    with pytest.raises(TypeError, match="hermitian"):
        both.linalg.pinv(np.eye(2), hermitian=True)
