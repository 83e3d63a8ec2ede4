"""Passes that two neighbours on the tape share in a backward walk, without the user knowing.

Where the output of one op has a single consumer, the consumer's backward may multiply the gradient by the slope of
the activation that stands between them, and add it up over the batch, as it leaves: a pass less over memory.  And a
gradient that is to be added to another leaves already added.  Only where nothing is recorded: what is handed over is no
value that a rule could differentiate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .node import Node
from .scopes import state

__all__ = ["Chain", "Handed", "Neighbours", "Slope"]

Array = Any


class Slope(NamedTuple):
    """What the gradient in an op's output is multiplied by before anything else: act'(s), and the mask of a dropout."""

    activation: str | None
    s: Array | None  # the output or the pre-activation, as the derivative reads it
    sums: bool  # whether the column sums are wanted too
    key: Array | None = None  # of the dropout
    p: float = 0.0


class Handed(NamedTuple):
    """The gradient before an activation, dz = g act'(s), in place of g, and its column sums in parts if wanted."""

    dz: Array
    sums: Array | None


class Chain(NamedTuple):
    """What an op declares in order to take part (`Primitive.chain`).  Its first input is what it is chained along."""

    slope: Callable[[Node], Slope | None]
    """Return what a consumer may multiply the gradient in the node's output by; None if it is to be left alone."""

    backward: Callable[[Node, Any, Sequence[bool], Slope | None, Array | None], Any]
    """Return the gradients of a node's inputs, the first as `Handed` if a slope is given and it was applied.

    To that of input `adds` is added what came before, if anything did.  NotImplemented: walk as usual, which is not
    allowed where the cotangent itself is `Handed`.
    """

    adds: int


class Neighbours:
    """The nodes of one backward walk, and which of them have a single consumer in it."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = nodes
        self._consumers: Counter[Any] | None = None

    def vjp(self, node: Node, g: Any, needs: Sequence[bool], pending: dict[Any, Any]) -> Any:
        """Return the gradients of a node's inputs, or NotImplemented; what it adds to is taken out of `pending`."""
        chain = node.prim.chain
        if chain is None or state.frame is not None:
            return NotImplemented
        first, other = node.parents[0], node.parents[chain.adds]
        slope = self._slope(first, pending) if needs[0] else None
        before = pending.get(other) if needs[chain.adds] and type(other) is not Node else None
        if slope is None and before is None and type(g) is not Handed:
            return NotImplemented
        grads = chain.backward(node, g, needs, slope, before)
        if before is not None and grads is not NotImplemented:
            del pending[other]
        return grads

    def _slope(self, parent: Any, pending: dict[Any, Any]) -> Slope | None:
        """Return what to multiply the gradient of a node's input by, if nobody else has a part in it."""
        if type(parent) is not Node or parent.prim.chain is None or parent in pending or hasattr(parent, "hooks"):
            return None
        slope = parent.prim.chain.slope(parent)
        if slope is None or self._consumers_of(parent) != 1:
            return None
        return slope

    def _consumers_of(self, node: Node) -> int:
        if self._consumers is None:
            inside = set(self._nodes)
            self._consumers = Counter(p for n in self._nodes for p in n.parents if p in inside)
        return self._consumers[node]
