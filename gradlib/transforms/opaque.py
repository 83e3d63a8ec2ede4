"""What `checkpoint` and `custom_vjp` share: a function on the tape as one Node, with a backward of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import backend as backends
from ..core import Batched, Primitive, Tensor
from ..core.apply import record
from ..core.debug import note_line
from ..core.scopes import state

Backward = Callable[[Sequence[Any], Sequence[Any]], Sequence[Any]]  # inputs, cotangents -> one gradient per input


def put_on_tape(
    name: str, inputs: Sequence[Tensor], outputs: Sequence[Any], backward: Backward, kept: Sequence[bool]
) -> tuple[Tensor, ...]:
    """Return the outputs (arrays) as Tensors made by one Node of `inputs`, whose derivative is `backward`.

    ``backward`` gets the inputs that are `kept` (others as Specs) and all cotangents, as Tensors where its own
    derivative is recorded, else as arrays; it returns one gradient or None for each input.
    """

    def composite(*xs: Any) -> Any:
        raise AssertionError(f"{name} is differentiated by its own backward")

    def derivative(*args: Any, needs: tuple[bool, ...]) -> tuple[Any, ...]:
        n = len(needs)
        grads = list(backward(args[:n], args[n:]))
        for i, (need, x) in enumerate(zip(needs, args, strict=False)):
            if need and grads[i] is None:
                like = next(g for g in args[n:] if g is not None)
                zeros = backends.backend_of(like.data if isinstance(like, Tensor) else like).zeros(x.shape, x.dtype)
                grads[i] = Tensor(zeros) if state.grad else zeros
        return tuple(g if need else None for g, need in zip(grads, needs, strict=True))

    prim = Primitive(name, composite, fused=True, infer=lambda *specs: specs[0], outputs=len(outputs))
    prim.opaque = True
    prim._backward = derivative  # type: ignore[assignment]
    prim._plan_keeps = lambda mask, count: (list(kept), False)  # type: ignore[method-assign]
    results: tuple[Tensor, ...] = record(prim, tuple(inputs), {}, tuple(outputs), ())
    for y in results:
        note_line(y)
    return results


def is_tracked(x: Any) -> bool:
    """Whether a leaf is on the tape at this level."""
    return isinstance(x, Tensor) and x.requires_grad and (state.frame is None or is_inside(x))


def is_inside(x: Any) -> bool:
    """Whether a leaf is one example of the innermost running `vmap`."""
    data = x.data if isinstance(x, Tensor) else x
    return isinstance(data, Batched) and data.frame is state.frame


def outside_of_vmap(transform: Callable[..., Any], f: Callable[..., Any], leaves: Sequence[Any]) -> list[Any] | None:
    """Under `vmap`, where nothing inside is being differentiated, call ``transform(f, axes)`` outside, on the batch.

    The vmap of a transform is the transform of the vmap, and outside is where the tape is.  `axes` are the
    in_axes of the leaves.  Return the outputs, or None where this does not apply.
    """
    frame = state.frame
    if frame is None or any(map(is_tracked, leaves)):
        return None
    data = [x.data if isinstance(x, Tensor) else x for x in leaves]
    inside = [is_inside(x) for x in leaves]
    if not any(inside):
        return None
    values = [d.value if i else x for d, i, x in zip(data, inside, leaves, strict=True)]
    axes = tuple(0 if i and d.over else None for d, i in zip(data, inside, strict=True))
    if all(axis is None for axis in axes):
        return None
    with frame.left():
        outs = transform(f, axes)(*values)
    return [Tensor(Batched(frame, y, True)) for y in outs]
