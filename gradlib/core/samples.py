"""Inputs on which an op is tested and timed, written beside the op."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Draw = Callable[[np.random.Generator], "np.ndarray[Any, Any]"]


class Sample(NamedTuple):
    """One call of an op: arguments that are drawn anew for each dtype, and static parameters."""

    args: tuple[Any, ...]
    params: dict[str, Any]
    # False where finite differences would step over a kink; "real" where complex values leave a phase open
    smooth: bool | str = True


def sample(*args: Any, smooth: bool | str = True, **params: Any) -> Sample:
    """Describe one call: ``sample((2, 3), (3, 4), activation="relu")``.

    An argument is a shape (standard normal values of the dtype under test), a draw such as
    `between` or `integers`, an array (taken as it is), or None.
    """
    return Sample(args, params, smooth)


def between(low: float, high: float, *shape: int) -> Draw:
    """Uniform floats in [low, high): for ops that are not defined or not smooth everywhere."""
    return lambda rng: rng.uniform(low, high, shape)


def apart(*shape: int) -> Draw:
    """Distinct floats, at least 0.1 apart and away from 0: no ties, no kinks near a max or a relu."""

    def draw(rng: np.random.Generator) -> np.ndarray[Any, Any]:
        n = int(np.prod(shape))
        return ((rng.permutation(n) - n // 2 + 0.5) * 0.1).reshape(shape)

    return draw


def integers(low: int, high: int, *shape: int, dtype: str = "int64") -> Draw:
    """Integers in [low, high), of a dtype that stays whatever dtype is under test."""
    return lambda rng: rng.integers(low, high, shape).astype(dtype)


def booleans(*shape: int) -> Draw:
    """Random booleans."""
    return lambda rng: rng.random(shape) < 0.5
