"""Running statistics: the one thing that a forward pass changes."""

from __future__ import annotations

from typing import Any

from ..core import Tensor, no_grad, op
from ..ops.replay import replaying

Array = Any


def move_towards(running: Array, new: Array, momentum: float, correction: float = 1.0) -> None:
    """running <- (1 - momentum) running + momentum * correction * new, in place and off the tape.

    Not where a checkpointed function runs again: the statistics moved when it ran first.
    """
    if replaying():
        return
    with no_grad():
        moved = op.add(op.multiply(running, 1.0 - momentum), op.multiply(new, momentum * correction))
        overwrite(running, op.cast(moved, dtype=running.dtype))


def overwrite(target: Array, value: Array) -> None:
    """Overwrite a Tensor or a plain array."""
    if isinstance(target, Tensor):
        target.assign(value)
    else:
        target[...] = value.data if isinstance(value, Tensor) else value
