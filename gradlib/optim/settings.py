"""The checks of optimizers' settings, and what their buffers start from."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import backend as backends
from ..core import Tensor
from ..spec import float64

_IGNORED = frozenset(("foreach", "capturable", "differentiable", "fused"))


def ignore(name: str, options: Mapping[str, Any]) -> None:
    """Warn of arguments of PyTorch's that choose an implementation and mean nothing here; refuse any other.

    >>> ignore("Adagrad", {"foreach": None})  # PyTorch's default
    """
    unknown = options.keys() - _IGNORED
    if unknown:
        raise TypeError(f"{name}() got an unexpected keyword argument {min(unknown)!r}")
    given = sorted(key for key, value in options.items() if value)
    if given:
        warnings.warn(f"{name}({', '.join(given)}) is ignored: there is one implementation", stacklevel=3)


def is_number(value: Any) -> bool:
    """Whether a setting can be computed with: an int, a float, or NumPy's."""
    return isinstance(value, (int, float, np.floating, np.integer))


def at_least_zero(name: str, settings: Mapping[str, Any], *keys: str) -> None:
    """Raise ValueError for a setting that is negative, or no number."""
    for key in keys:
        if not (is_number(settings[key]) and 0 <= settings[key] < math.inf):
            raise ValueError(f"{name}({key}): {key} is {settings[key]!r}\n  need a finite number of at least 0")


def below_one(name: str, key: str, *values: float) -> None:
    """Raise ValueError for a decay outside [0, 1)."""
    if not all(is_number(value) and 0 <= value < 1 for value in values):
        raise ValueError(f"{name}({key}): {key} is {values if len(values) > 1 else values[0]!r}\n  need [0, 1)")


def as_pair(name: str, key: str, value: Any) -> tuple[Any, Any]:
    """Return two numbers as a tuple; raise ValueError for what is not two numbers."""
    if not isinstance(value, (tuple, list)) or len(value) != 2 or not all(map(is_number, value)):
        raise ValueError(f"{name}({key}): {key} is {value!r}\n  need two numbers")
    return value[0], value[1]


def number(param: Tensor, value: float) -> Tensor:
    """Return a float64 tensor of one element, beside a parameter."""
    return Tensor(backends.get(param.device).asarray(np.array([value], float64)))
