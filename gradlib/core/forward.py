"""Forward mode: the tape walked left to right with `jvp`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .functional import as_operand, outputs_of, pull_back, reach, trace, values_of, vjp
from .node import Node
from .operators import op
from .reverse import node_vjp
from .scopes import enable_grad, quiet, state
from .tensor import Tensor, zeros_as


class Linear:
    """A function made linear at a point: its tape, to be walked in either direction, and as often as wanted."""

    def __init__(self, f: Callable[..., Any], args: Sequence[Any], active: Sequence[bool]) -> None:
        self.inputs, ys, since = trace(f, args, active)
        self._outputs = outputs_of(ys)
        self._nodes, self._reached, self._outer = reach(self.inputs, self._outputs, since)
        self.values = values_of(self._outputs, self._outer)

    def pullback(self, cotangents: Sequence[Any]) -> list[Any]:
        """Return one gradient per active argument for one cotangent per output."""
        create = self._creates(cotangents)
        return pull_back(self.inputs, self._outputs, self._nodes, self._reached, cotangents, create)

    def pushforward(self, ts: Sequence[Any]) -> list[Any]:
        """Return one tangent per output for one tangent per active argument."""
        create = self._creates(ts)
        tangents = {x.node: [as_operand(t, create)] for x, t in zip(self.inputs, ts, strict=True)}
        push(self._nodes, tangents, create)
        result: list[Any] = []
        for y in self._outputs:
            if y.data is None:  # an output that this call has not
                result.append(None)
                continue
            found = tangents.get(y.node)
            t = None if found is None else found[y.index]
            result.append(zeros_as(y.data, shape=y.shape, dtype=y.dtype) if t is None else t)
        return result

    def _creates(self, along: Sequence[Any]) -> bool:
        return self._outer or (state.grad and any(isinstance(t, Tensor) and t.requires_grad for t in along))


def jvp(f: Callable[..., Any], args: Sequence[Any], ts: Sequence[Any]) -> tuple[tuple[Tensor, ...], list[Any]]:
    """Return the outputs of ``f(*args)`` and one tangent per output, for one tangent (or None) per argument."""
    linear = Linear(f, args, [t is not None for t in ts])
    return linear.values, linear.pushforward([t for t in ts if t is not None])


def push(nodes: list[Node], tangents: dict[Any, list[Any]], create: bool) -> dict[Any, list[Any]]:
    """Walk `nodes` from the oldest on; `tangents` has one tangent per output for what is known, and is filled."""
    with enable_grad() if create else quiet():
        for node in nodes:
            if node in tangents:
                continue
            ts = [
                None if p is None or p not in tangents else tangents[p][slot]
                for p, slot in zip(node.parents, node.slots, strict=True)
            ]
            if any(t is not None for t in ts):
                tangents[node] = node_jvp(node, ts, create)
    return tangents


def node_jvp(node: Node, ts: list[Any], create: bool) -> list[Any]:
    """Return one tangent per output for one tangent (or None) per input."""
    prim = node.prim
    inputs, answer = node.kept(create)
    if prim.opaque:
        return _jvp_by_vjp(node, ts, create)
    if prim.fused:
        return list(jvp(lambda *xs: prim.composite(*xs, **node.params), inputs, ts)[1])  # type: ignore[misc]
    if prim.linear:
        like = next(t for t in ts if t is not None)
        full = [
            zeros_as(like, shape=getattr(x, "shape", ()), dtype=getattr(x, "dtype", like.dtype)) if t is None else t
            for t, x in zip(ts, node.inputs, strict=True)
        ]
        result = prim(*full, **node.params)
        return list(result) if type(result) is tuple else [result]
    if prim.jvp is not None:
        result = prim.jvp(ts, answer, *inputs, **node.params)
        return list(result) if type(result) is tuple else [result]
    if prim.broadcasts and type(node.outputs) is not tuple:
        return [_jvp_elementwise(node, ts, inputs, answer)]
    return _jvp_by_vjp(node, ts, create)


def _jvp_elementwise(node: Node, ts: list[Any], inputs: list[Any], answer: Any) -> Any:
    """The Jacobian of an elementwise op with respect to each input is diagonal, hence its own transpose.

    (Of complex inputs too where the op is holomorphic; the others, such as `abs`, have a jvp rule.)
    """
    total = None
    for i, t in enumerate(ts):
        if t is None:
            continue
        if t.shape != node.outputs.shape:
            t = op.broadcast_to(t, shape=node.outputs.shape)
        if t.dtype != node.outputs.dtype:
            t = op.cast(t, dtype=node.outputs.dtype)
        term = node.prim.vjp[i](t, answer, *inputs, **node.params)  # type: ignore[index, misc]
        total = term if total is None else op.add(total, term)
    return total


def _jvp_by_vjp(node: Node, ts: list[Any], create: bool) -> list[Any]:
    """The vjp is linear in its cotangent g, so the vjp of it with respect to g, at t, is the jvp."""
    active = [t is not None for t in ts]
    like = next(t for t in ts if t is not None)
    zeros = [zeros_as(like, shape=s.shape, dtype=s.dtype) for s in node.output_specs()]

    def pullback(*gs: Any) -> Any:
        grads = node_vjp(node, list(gs) if len(gs) > 1 else gs[0], active, create)
        return tuple(g for g, a in zip(grads, active, strict=True) if a)

    _, back = vjp(pullback, zeros, [True] * len(zeros))
    return back([t for t in ts if t is not None])
