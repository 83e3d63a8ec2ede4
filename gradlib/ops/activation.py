"""The activations that dense and convolution layers can fuse, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core import Saved, op

__all__ = ["FUSED", "READS_OUTPUT", "Activation", "activate", "check", "fusible", "saves_input", "with_saved"]

Activation = str | Callable[[Any], Any] | None

# The functors of activation.cuh.  The derivative of the first kind is computed from the output, which the tape keeps
# anyway; that of the second from the pre-activation, which a forward kernel has to save.
READS_OUTPUT = frozenset(("elu", "leaky_relu", "relu", "relu6", "selu"))
READS_INPUT = frozenset(("gelu", "hardswish", "mish", "sigmoid", "silu", "softplus", "tanh"))
FUSED = READS_OUTPUT | READS_INPUT


def check(what: str, activation: Activation) -> None:
    """Refuse an activation that is neither a name we know, nor callable, nor None."""
    if activation is None or callable(activation) or activation in FUSED:
        return
    raise ValueError(
        f"{what}: there is no activation {activation!r}\n  need one of {', '.join(sorted(FUSED))}, a callable, or None"
    )


def saves_input(activation: Activation, save: bool) -> bool:
    """Whether a forward kernel has to write what the activation is taken of."""
    return save and activation is not None and activation not in READS_OUTPUT


def with_saved(found: Any, activation: Activation, save: bool) -> Any:
    """Return what a launcher of y = act(z) returns that found (y, z), or `NotImplemented`.

    It is y, and if `save` what the derivative reads: z, or y where z is None.
    """
    if found is NotImplemented:
        return found
    y, z = found
    return Saved(y, (y if z is None else z,)) if save and activation is not None else y


def fusible(activation: Activation) -> bool:
    """Whether a kernel computes it."""
    return activation is None or activation in FUSED


def activate(x: Any, activation: Activation) -> Any:
    """Return act(x), in ops."""
    if activation is None:
        return x
    return activation(x) if callable(activation) else getattr(op, activation)(x)
