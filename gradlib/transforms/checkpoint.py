"""`checkpoint`: keep a function's inputs instead of its inside, and run it again in the backward pass."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from ..core import Tensor, at_level, enable_grad
from ..core.functional import _alias
from ..core.node import Node, collect, next_seq
from ..core.reverse import pull
from ..core.scopes import state
from ..core.tensor import shared_version
from ..errors import GradientError
from ..ops.replay import draw_again, note_keys
from ..spec import Spec
from .derivative import _as_output
from .opaque import is_tracked, outside_of_vmap, put_on_tape
from .tree import Build, flatten
from .vmap import vmap


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that computes what `f` does and keeps only its inputs for the backward pass.

    The backward pass runs `f` again, with the same random numbers, so memory holds the inside of one
    checkpointed function at a time: a chain of L keeps L inputs; nested, in groups of sqrt(L), about 2 sqrt(L).
    `f` may be a network or close over parameters, which get their gradients, and may contain checkpoints.

    Derivative: every order, in both modes.  `f` must do the same every time it is called.
    Source: Griewank and Walther, "Algorithm 799: Revolve", ACM TOMS 26 (2000); Chen et al., "Training deep
    nets with sublinear memory cost", arXiv:1604.06174 (2016).

    >>> import gradlib as gl
    >>> gl.grad(gl.checkpoint(lambda x: gl.sin(gl.sin(x))))(gl.tensor(0.0))
    tensor(1., dtype=float32)
    """

    @functools.wraps(f, updated=())
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        if not state.grad and state.frame is None:
            return f(*args, **kwargs)
        leaves, rebuild = flatten((args, kwargs))
        structure: list[Build] = []

        def flat(*xs: Any) -> tuple[Any, ...]:
            inner_args, inner_kwargs = rebuild(list(xs))
            outputs, unflatten = flatten(f(*inner_args, **inner_kwargs))
            structure.append(unflatten)
            return tuple(outputs)

        outputs = outside_of_vmap(lambda f, axes: checkpoint(vmap(f, axes)), flat, leaves)
        if outputs is None:
            outputs = list(flat(*leaves)) if not state.grad else _run(f, flat, leaves)
        return structure[0](outputs)

    return checkpointed


def _run(f: Callable[..., Any], flat: Callable[..., Any], leaves: list[Any]) -> list[Any]:
    """Run once, recording to see what is used from outside; put one Node on the tape instead of all that."""
    places = [i for i, x in enumerate(leaves) if is_tracked(x)]
    level = state.frame
    with note_keys() as keys:
        _, outputs, nodes = _again(flat, leaves, places)
    used, versions = _used_from_outside(nodes)
    tracked = [k for k, y in enumerate(outputs) if y.requires_grad]
    if not tracked or not (places or used):
        return [Tensor(y.data) for y in outputs]

    def backward(inputs: Sequence[Any], cotangents: Sequence[Any]) -> list[Any]:
        create = state.grad
        for tensor, count in versions:
            if shared_version(tensor).count != count:
                raise GradientError(
                    f"backward: a parameter used in checkpoint({getattr(f, '__name__', 'f')}) was changed in place "
                    f"after that\n  need backward() before assign() or the optimizer's step"
                )
        full = list(leaves)
        for i, x in zip(places, inputs, strict=False):
            full[i] = x
        with at_level(level), draw_again(keys):
            xs, ys, again = _again(flat, full, places, outer=create)
        sources: set[Any] = {x.node for x in xs} | {key for key, _ in used}
        reached = set(sources)
        walked = []
        for node in again:
            if node not in sources and any(parent in reached for parent in node.parents if parent is not None):
                reached.add(node)
                walked.append(node)
        gs = [g if g is None or create or not isinstance(g, Tensor) else g.data for g in cotangents]
        ends = [x.node for x in xs]  # the others' gradients are not whole yet
        pending = pull([ys[k] for k in tracked], gs, walked, reached, create, ends)
        grads = [pending.get(x.node) for x in xs]
        for key, slot in used:
            found = pending.get(key)
            grads.append(found[slot] if isinstance(found, list) else found)
        return grads

    values = [leaves[i] for i in places]
    kept = [True] * len(places) + [False] * len(used)
    stand_ins = [_stand_in(key, slot) for key, slot in used]
    for i in places:  # the node keeps the inputs
        leaves[i] = None
    results = iter(put_on_tape("checkpoint", [*values, *stand_ins], [outputs[k].data for k in tracked], backward, kept))
    return [next(results) if y.requires_grad else y for y in outputs]


def _again(
    flat: Callable[..., Any], leaves: Sequence[Any], places: Sequence[int], outer: bool = False
) -> tuple[list[Tensor], list[Tensor], list[Node]]:
    """Run `flat` on aliases of its tracked leaves; return those, the outputs, and the Nodes made."""
    since = next_seq()
    with enable_grad():
        xs = [_alias(leaves[i], outer) for i in places]
        full = list(leaves)
        for i, x in zip(places, xs, strict=True):
            full[i] = x
        ys = [_as_output(flat, y) for y in flat(*full)]
    return xs, ys, collect([y.node for y in ys if y.node is not None], since)


def _used_from_outside(nodes: Sequence[Node]) -> tuple[list[tuple[Any, int]], list[tuple[Tensor, int]]]:
    """Return what the Nodes depend on besides each other, and the versions of the leaves among it."""
    own = set(nodes)
    found: dict[tuple[Any, int], None] = {}
    for node in nodes:
        for parent, slot in zip(node.parents, node.slots, strict=True):
            if parent is not None and parent not in own:
                found[parent, slot if isinstance(parent, Node) else 0] = None
    used = list(found)
    return used, [(key, shared_version(key).count) for key, _ in used if isinstance(key, Tensor)]


def _stand_in(key: Any, slot: int) -> Tensor:
    """Return a Tensor at that place of the tape, whose values nobody needs."""
    if isinstance(key, Tensor):
        return key
    spec = key.outputs if isinstance(key.outputs, Spec) else key.outputs[slot]
    tensor = Tensor(spec)
    tensor.requires_grad, tensor.node, tensor.index = True, key, slot
    return tensor
