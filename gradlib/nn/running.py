"""Running statistics: the one thing that a forward pass changes."""

from __future__ import annotations

import math
from typing import Any

from ..core import Tensor, no_grad, op
from ..errors import ShapeError, message, operand
from ..ops.replay import replaying

Array = Any


def check_statistics(name: str, running_mean: Array | None, running_var: Array | None) -> None:
    """Refuse an evaluation without running statistics."""
    if running_mean is None or running_var is None:
        raise ShapeError(f"{name}: evaluation needs the running statistics\n  need both, or training=True")


def track(
    name: str,
    normalised: str,
    like: Array,
    running_mean: Array | None,
    running_var: Array | None,
    mean: Array,
    var: Array,
    momentum: float,
) -> None:
    """Move the running statistics that are given towards those of a batch of arrays `like`, without var's bias.

    `normalised` is what messages call `like`.
    """
    rows = math.prod(like.shape[:-1])
    if rows == 1:
        raise ShapeError(
            message(
                f"{name}: one value per channel has no variance",
                [operand(normalised, like, "batch, ..., channels")],
                "need at least two rows, or eval()",
            )
        )
    for running, batch, correction in ((running_mean, mean, 1.0), (running_var, var, rows / max(rows - 1, 1))):
        if running is not None:
            move_towards(running, batch, momentum, correction)


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
