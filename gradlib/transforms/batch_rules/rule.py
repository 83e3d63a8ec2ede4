"""What the rules are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...core import PRIMITIVES, Batched, Primitive, Tensor, op

Rule = Callable[[Primitive, int, Sequence[Any], Sequence[bool], dict[str, Any]], Any]


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Attach a rule to the ops called so."""

    def attach(function: Rule) -> Rule:
        for name in names:
            PRIMITIVES[name].batch = function
        return function

    return attach


def spread(x: Any, over: bool, size: int) -> Any:
    """Return x with the batch along axis 0."""
    return x if over else op.broadcast_to(x, (size, *x.shape))


def spread_all(xs: Sequence[Any], over: Sequence[bool], size: int) -> list[Any]:
    return [x if x is None else spread(x, o, size) for x, o in zip(xs, over, strict=True)]


def is_followed(x: Any) -> bool:
    """Whether a value is on the tape of anything around this `vmap`."""
    while isinstance(x, (Tensor, Batched)):
        if isinstance(x, Tensor) and x.requires_grad:
            return True
        x = x.data if isinstance(x, Tensor) else x.value
    return False


def behind(axis: Any) -> Any:
    """Return the place of an axis of the example in the batch."""
    if isinstance(axis, tuple):
        return tuple(behind(a) for a in axis)
    return axis + 1 if axis >= 0 else axis


def example_by_composite(prim: Primitive, xs: Any, over: Any, params: Any) -> Any:
    """Run the composite over the batch: parameters of one network each."""
    from ..vmap import vmap  # it is made of these rules

    axes = tuple(0 if o else None for o in over)
    return vmap(lambda *args: prim.composite(*args, **params), in_axes=axes)(*xs)  # type: ignore[misc]


def loops() -> list[str]:
    """Return the names of the library's leaf ops that run example by example under `vmap`."""
    return sorted(
        name
        for name, prim in PRIMITIVES.items()
        if prim.batch is None and not prim.fused and not prim.broadcasts and prim.module.startswith("gradlib.")
    )
