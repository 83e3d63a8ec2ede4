"""The backward of a fused op: a primitive whose composite is the vjp of the composite.

First order runs its kernel; second order differentiates this composite, on the tape, by itself.
"""

from __future__ import annotations

from typing import Any

from ..spec import Spec
from .functional import vjp
from .primitive import Primitive


def make_backward(forward: Primitive) -> Primitive:
    """Return ``backward(*inputs, *cotangents, *residuals, needs, **params)`` of a fused primitive."""

    def composite(*args: Any, needs: tuple[bool, ...], **params: Any) -> tuple[Any, ...]:
        n = len(needs)
        inputs, cotangents = args[:n], args[n : n + forward.outputs]  # residuals are for the kernel alone
        assert forward.composite is not None
        f = forward.composite
        _, pullback = vjp(lambda *xs: f(*xs, **params), inputs, needs)
        grads = iter(pullback(cotangents))
        return tuple(next(grads) if need else None for need in needs)

    def infer(*specs: Spec | None, needs: tuple[bool, ...], **params: Any) -> tuple[Spec | None, ...]:
        return tuple(spec if need else None for spec, need in zip(specs, needs, strict=False))

    backward = Primitive(
        f"{forward.name}_backward",
        composite,
        fused=True,
        infer=infer,
        complex=forward.complex,
        outputs=len(forward.inputs),
        doc=f"The gradients of {forward.name}: one per input that `needs` one.",
    )
    backward.module = forward.module
    backward.derived = True
    return backward
