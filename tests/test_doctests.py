"""The examples in the docstrings."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import gradlib as gl

MODULES = [m.name for m in pkgutil.walk_packages(gl.__path__, "gradlib.") if not m.name.endswith("__main__")]

NEED_SIM = {"gradlib.testing.run_kernel"}


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str, request: pytest.FixtureRequest) -> None:
    if name in NEED_SIM:
        request.getfixturevalue("sim")  # skips where there is no C++ compiler
    gl.manual_seed(0)
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0
