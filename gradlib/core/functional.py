"""Differentiating a function: `trace` and `vjp`, of which the derived rules and the transforms are made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .batched import lift
from .node import Node, alias, collect, next_seq
from .reverse import pull
from .scopes import enable_grad, state
from .tensor import Tensor, zeros_as


def trace(f: Callable[..., Any], args: Sequence[Any], active: Sequence[bool]) -> tuple[list[Tensor], Any, int]:
    """Call `f` with the active arguments replaced by fresh Tensors to differentiate with respect to.

    Each is an `alias` of the argument: a derivative of the derivative passes through it to whatever
    tape the argument was already on, and no tape outside can be mistaken for this one.
    """
    since = next_seq()
    outer = state.grad
    with enable_grad():
        xs = [_alias(a, outer) if on else a for a, on in zip(args, active, strict=True)]
        ys = f(*xs)
    return [x for x, on in zip(xs, active, strict=True) if on], ys, since


def _alias(x: Any, outer: bool) -> Tensor:
    tensor = lift(x if isinstance(x, Tensor) else Tensor(x))
    node = Node()
    node.prim, node.params, node.seq, node.residuals = alias, {}, next_seq(), ()
    node.parents = ((tensor if tensor.node is None else tensor.node) if outer and tensor.requires_grad else None,)
    node.slots, node.counts, node.answer = (tensor.index,), None, None
    node.inputs = (tensor.spec,)
    node.outputs = tensor.spec
    result = Tensor(tensor.data)
    result.requires_grad, result.node, result.version = True, node, tensor.version
    return result


def reach(xs: list[Tensor], outputs: Sequence[Tensor], since: int) -> tuple[list[Node], set[Any], bool]:
    """Return the nodes between `xs` and `outputs`, what depends on xs, and whether an outer tape is involved."""
    sources = {x.node for x in xs}
    nodes, active = [], set(sources)
    outer = any(x.node.parents[0] is not None for x in xs)  # type: ignore[union-attr]
    for node in collect([y.node for y in outputs if y.node is not None], since):
        if node in sources:
            continue
        for parent in node.parents:
            if parent is not None and (isinstance(parent, Tensor) or parent.seq < since):
                outer = True
        if any(parent in active for parent in node.parents if parent is not None):
            active.add(node)
            nodes.append(node)
    return nodes, active, outer and state.grad


Pullback = Callable[[Sequence[Any]], list[Any]]


def vjp(f: Callable[..., Any], args: Sequence[Any], active: Sequence[bool]) -> tuple[tuple[Tensor, ...], Pullback]:
    """Return the outputs of ``f(*args)`` and its pullback: cotangents per output in, gradients per active argument out.

    Where nothing is on an outer tape the gradients are plain arrays, and nothing is recorded.
    """
    xs, ys, since = trace(f, args, active)
    outputs = outputs_of(ys)
    nodes, reached, outer = reach(xs, outputs, since)

    def pullback(cotangents: Sequence[Any]) -> list[Any]:
        create = outer or (state.grad and any(isinstance(g, Tensor) and g.requires_grad for g in cotangents))
        return pull_back(xs, outputs, nodes, reached, cotangents, create)

    return values_of(outputs, outer), pullback


def pull_back(
    xs: list[Tensor],
    outputs: list[Tensor],
    nodes: list[Node],
    reached: set[Any],
    cotangents: Sequence[Any],
    create: bool,
) -> list[Any]:
    """Walk back from `outputs` and return one gradient for each of `xs`."""
    pending = pull(outputs, [as_operand(g, create) for g in cotangents], nodes, reached, create)
    grads = []
    for x in xs:
        found = pending.get(x.node)
        grads.append(zeros_as(x.data, shape=x.shape, dtype=x.dtype) if found is None else found)
    return grads


def values_of(outputs: Sequence[Tensor], outer: bool) -> tuple[Tensor, ...]:
    """Return the outputs; where no outer tape is involved, without this one, which nobody else may see."""
    return tuple(y if outer else Tensor(y.data) for y in outputs)


def as_operand(value: Any, create: bool) -> Any:
    if value is None:
        return None
    if create:
        return value if isinstance(value, Tensor) else Tensor(value)
    return value.data if isinstance(value, Tensor) else value


def outputs_of(ys: Any) -> list[Tensor]:
    """Return what a function returned (one output or a tuple of them) as a list of Tensors."""
    return [y if isinstance(y, Tensor) else Tensor(y) for y in (ys if type(ys) is tuple else (ys,))]
