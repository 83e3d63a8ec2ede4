"""The tape: `Node`, one application of a primitive, and the walks over it.

Right to left with `vjp` it is reverse mode, left to right with `jvp` forward mode.  Nodes are sorted by
creation, which is a topological order, so nothing recurses and a chain of any length works.
A walk computes on plain arrays, or, where a derivative of the result may be asked for, on Tensors.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .. import backend as backends
from ..errors import DTypeError, GradientError, ShapeError, message, operand
from ..spec import REDUCED, Spec, float32
from .operators import op
from .primitive import Primitive, leaf
from .scopes import enable_grad, no_grad, state
from .tensor import Tensor, ones_as, zeros_as

next_seq: Callable[[], int] = itertools.count().__next__


@leaf("alias", infer=lambda x: x, vjp=(lambda g, ans, x: g,), linear=True, view=True, moves=True)
def alias(xp: Any, x: Any) -> Any:
    """y = x: a new name for the same values, to differentiate with respect to."""
    return x


class Node:
    """One application of a primitive.  It owns no Tensor it produced; of its inputs it keeps what `saves` names."""

    __slots__ = (
        "__weakref__",
        "answer",
        "counts",
        "inputs",
        "outputs",
        "params",
        "parents",
        "prim",
        "residuals",
        "seq",
        "slots",
    )

    prim: Primitive
    params: dict[str, Any]
    seq: int
    parents: Sequence[Any]  # per input: the Node that made it, the leaf Tensor itself, or None
    slots: Sequence[int]  # per input: which output of the parent it is
    inputs: Sequence[Any]  # per input: the Tensor or array kept, or its Spec
    counts: list[int] | None  # per input: the version of its buffer when it was kept
    outputs: Any  # Spec, or a tuple of them
    answer: Any  # the output array(s), where the derivative reads them
    residuals: tuple[Any, ...]  # what the forward kernel left for the backward kernel

    def release(self) -> None:
        """Drop what was kept: a second backward cannot pass here."""
        self.inputs = self.answer = self.residuals = None  # type: ignore[assignment]

    def kept(self, create: bool) -> tuple[list[Any], Any]:
        """Return the kept inputs and answer for a rule: Tensors on the tape if `create`, else plain arrays."""
        if self.inputs is None:
            raise GradientError(
                f"backward: the tape through {self.prim.name} was already used and freed\n"
                f"  need backward(retain_graph=True) the first time"
            )
        values: list[Any] = []
        for i, x in enumerate(self.inputs):
            if isinstance(x, Tensor):
                if self.counts is not None and x.version is not None and x.version.count != self.counts[i]:
                    raise GradientError(
                        message(
                            f"backward: an input of {self.prim.name} was changed in place after it was used",
                            [operand(self.name_of(i), x)],
                            f"version {x.version.count}, used at version {self.counts[i]}; "
                            f"need backward() before assign() or the optimizer's step",
                        )
                    )
                values.append(x if create else x.data)
            else:
                values.append(x)
        answer = self.answer
        if create and answer is not None:
            many = type(answer) is tuple
            rebuilt = tuple(_again(a, self, i) for i, a in enumerate(answer if many else (answer,)))
            answer = rebuilt if many else rebuilt[0]
        return values, answer

    def name_of(self, i: int) -> str:
        names = self.prim.inputs
        return names[i] if i < len(names) and not self.prim.variadic else f"input {i}"

    def output_specs(self) -> tuple[Spec, ...]:
        return (self.outputs,) if isinstance(self.outputs, Spec) else self.outputs


def _again(array: Any, node: Node, index: int) -> Tensor | None:
    """Return a Tensor for an output of `node`, on the tape as the first one was."""
    if array is None:
        return None
    result = Tensor(array)
    result.requires_grad, result.node, result.index = True, node, index
    return result


def collect(roots: Iterable[Node], since: int = -1) -> list[Node]:
    """Return every Node reachable from `roots` that was created at or after `since`, oldest first."""
    seen = {root for root in roots if root.seq >= since}
    stack = list(seen)
    while stack:
        for parent in stack.pop().parents:
            if isinstance(parent, Node) and parent not in seen and parent.seq >= since:
                seen.add(parent)
                stack.append(parent)
    return sorted(seen, key=lambda node: node.seq)


# -- reverse mode


def node_vjp(node: Node, gs: list[Any], needs: Sequence[bool], create: bool) -> Sequence[Any]:
    """Return the gradient for each input that `needs` one, given one cotangent (or None) per output."""
    prim = node.prim
    inputs, answer = node.kept(create)
    if prim.fused:
        return prim.backward(*inputs, *gs, *node.residuals, needs=tuple(needs), **node.params)  # type: ignore[no-any-return]
    if prim.outputs == 1 and type(node.outputs) is not tuple:
        g: Any = gs[0]
        dtype = node.outputs.dtype
    else:
        specs = node.output_specs()
        like = next(g for g in gs if g is not None)
        g = tuple(
            zeros_as(like, shape=s.shape, dtype=s.dtype) if x is None else x for x, s in zip(gs, specs, strict=True)
        )
        dtype = specs[0].dtype
    if dtype in REDUCED and not prim.moves:  # a rule is several ops: compute it in float32, round once
        g = tuple(map(_widen, g)) if type(g) is tuple else _widen(g)
        inputs = [_widen(x) for x in inputs]
        answer = tuple(map(_widen, answer)) if type(answer) is tuple else _widen(answer)
    grads: list[Any] = []
    for i, need in enumerate(needs):
        if not need:
            grads.append(None)
            continue
        rule = prim.vjp if callable(prim.vjp) else prim.vjp[i]  # type: ignore[index]
        if rule is None:
            raise GradientError(f"{prim.name}: no derivative with respect to {node.name_of(i)}")
        prefix = (i,) if prim.variadic else ()
        if callable(prim.vjp) and not prim.variadic:
            prefix = (i,)
        grads.append(rule(*prefix, g, answer, *inputs, **node.params))
    for i, grad in enumerate(grads):
        if grad is None:
            continue
        shape, dtype = node.inputs[i].shape, node.inputs[i].dtype
        if prim.broadcasts and grad.shape != shape:
            grad = op.sum_to(grad, shape=shape)
        if grad.dtype != dtype:
            grad = op.cast(grad, dtype=dtype)
        grads[i] = grad
    return grads


def _widen(x: Any) -> Any:
    if isinstance(x, Spec) or getattr(x, "dtype", None) not in REDUCED:
        return x
    return op.cast(x, dtype=float32)


class _Pending:
    """Cotangents on their way: the sum of what has arrived, per Node and output."""

    def __init__(self) -> None:
        self.values: dict[Any, list[Any]] = {}

    def add(self, key: Any, index: int, count: int, g: Any) -> None:
        slots = self.values.get(key)
        if slots is None:
            slots = self.values[key] = [None] * count
        slots[index] = g if slots[index] is None else op.add(slots[index], g)

    def pop(self, key: Any) -> list[Any] | None:
        return self.values.pop(key, None)


def _count(key: Any) -> int:
    return len(key.outputs) if isinstance(key, Node) and type(key.outputs) is tuple else 1


def pull(
    outputs: Sequence[Tensor], cotangents: Sequence[Any], nodes: list[Node], active: set[Any], create: bool
) -> _Pending:
    """Walk `nodes` (oldest first) from the newest back; return the cotangents of whatever is in `active` and not walked."""
    pending = _Pending()
    for y, g in zip(outputs, cotangents, strict=True):
        key = y if y.node is None else y.node
        if key in active and g is not None:
            pending.add(key, y.index, _count(key), g)
    with enable_grad() if create else no_grad():
        for node in reversed(nodes):
            gs = pending.pop(node)
            if gs is None:
                continue
            needs = [parent is not None and parent in active for parent in node.parents]
            grads = node_vjp(node, gs, needs, create)
            for parent, slot, need, grad in zip(node.parents, node.slots, needs, grads, strict=True):
                if need and grad is not None:
                    pending.add(parent, slot, _count(parent), grad)
    return pending


def backward(y: Tensor, gradient: Any, retain_graph: bool) -> None:
    """Add d<gradient, y> to ``.grad`` of every leaf that `y` depends on."""
    if not y.requires_grad:
        raise GradientError(
            message("backward(): this tensor does not depend on any tensor with requires_grad=True", [operand("x", y)],
                    "need gl.tensor(..., requires_grad=True), and no gl.no_grad() around the computation")
        )  # fmt: skip
    if gradient is None:
        if y.size != 1:
            raise GradientError(
                message(f"backward(): only a single element has a gradient by itself, this has {y.size}",
                        [operand("x", y)], "need x.sum().backward() or x.backward(gradient=...) of this shape")
            )  # fmt: skip
        g = ones_as(y.data, shape=y.shape, dtype=y.dtype)
    else:
        g = check_cotangent("backward(gradient)", gradient, y)
    nodes = [] if y.node is None else collect([y.node])
    active: set[Any] = set(nodes)
    leaves = {p for node in nodes for p in node.parents if isinstance(p, Tensor)} or {y}
    active |= leaves
    pending = pull([y], [g], nodes, active, create=False)
    arrived = [(tensor, slots[0]) for tensor, slots in pending.values.items()]
    for tensor, value in arrived:  # only now, when nothing can fail any more, do the leaves change
        total = value if tensor.grad is None else op.add(tensor.grad.data, value)
        tensor.grad = Tensor(total)
    if not retain_graph:
        for node in nodes:
            node.release()


def check_cotangent(what: str, value: Any, like: Tensor) -> Any:
    """Return a cotangent given by the user as a plain array on `like`'s device, checked against its shape and dtype."""
    backend = backends.backend_of(like.data)
    array = value.data if isinstance(value, Tensor) else value
    if not backends.is_array(array):
        array = backend.asarray(array, like.dtype)
    if backends.backend_of(array) is not backend:
        array = backend.asarray(backends.backend_of(array).to_host(array))
    if tuple(array.shape) != like.shape:
        raise ShapeError(message(f"{what}: the cotangent's shape differs", [operand("gradient", array), operand("x", like)],
                                 "need equal shapes"))  # fmt: skip
    if array.dtype != like.dtype:
        raise DTypeError(message(f"{what}: the cotangent's dtype differs", [operand("gradient", array), operand("x", like)],
                                 f"need gradient.to({like.dtype})"))  # fmt: skip
    return array


# -- forward mode


def push(nodes: list[Node], tangents: dict[Any, list[Any]], create: bool) -> dict[Any, list[Any]]:
    """Walk `nodes` from the oldest on; `tangents` maps what is already known to one tangent per output, and is filled."""
    with enable_grad() if create else no_grad():
        for node in nodes:
            if node in tangents:
                continue
            ts = [None if p is None or p not in tangents else tangents[p][slot]
                  for p, slot in zip(node.parents, node.slots, strict=True)]  # fmt: skip
            if any(t is not None for t in ts):
                tangents[node] = node_jvp(node, ts, create)
    return tangents


def node_jvp(node: Node, ts: list[Any], create: bool) -> list[Any]:
    """Return one tangent per output for one tangent (or None) per input."""
    prim = node.prim
    inputs, answer = node.kept(create)
    if prim.fused:
        return list(jvp(lambda *xs: prim.composite(*xs, **node.params), inputs, ts)[1])  # type: ignore[misc]
    if prim.linear:
        like = next(t for t in ts if t is not None)
        full = [zeros_as(like, shape=getattr(x, "shape", ()), dtype=getattr(x, "dtype", like.dtype)) if t is None else t
                for t, x in zip(ts, node.inputs, strict=True)]  # fmt: skip
        result = prim(*full, **node.params)
        return list(result) if type(result) is tuple else [result]
    if prim.broadcasts and type(node.outputs) is not tuple:
        return [_jvp_elementwise(node, ts, inputs, answer)]
    if prim.jvp is not None:
        result = prim.jvp(ts, answer, *inputs, **node.params)
        return list(result) if type(result) is tuple else [result]
    return _jvp_by_vjp(node, ts, create)


def _jvp_elementwise(node: Node, ts: list[Any], inputs: list[Any], answer: Any) -> Any:
    """The Jacobian of an elementwise op with respect to each input is diagonal, hence its own transpose."""
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
        grads = node_vjp(node, list(gs), active, create=True)
        return tuple(g for g, a in zip(grads, active, strict=True) if a)

    _, back = vjp(pullback, zeros, [True] * len(zeros))
    return back([t for t in ts if t is not None])


# -- differentiating a function, which is what the derived rules and the transforms are made of


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
    tensor = x if isinstance(x, Tensor) else Tensor(x)
    node = Node()
    node.prim, node.params, node.seq, node.residuals = alias, {}, next_seq(), ()
    node.parents = ((tensor if tensor.node is None else tensor.node) if outer and tensor.requires_grad else None,)
    node.slots, node.counts, node.answer = (tensor.index,), None, None
    node.inputs = (tensor.spec,)
    node.outputs = tensor.spec
    result = Tensor(tensor.data)
    result.requires_grad, result.node, result.version = True, node, tensor.version
    return result


def _reach(xs: list[Tensor], outputs: Sequence[Tensor], since: int) -> tuple[list[Node], set[Any], bool]:
    """Return the nodes between `xs` and `outputs`, the set of what depends on xs, and whether an outer tape is involved."""
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
    """Return the outputs of ``f(*args)`` and its pullback: one cotangent per output in, one gradient per active argument out.

    Where nothing is on an outer tape the gradients are plain arrays, and nothing is recorded.
    """
    xs, ys, since = trace(f, args, active)
    outputs = [y if isinstance(y, Tensor) else Tensor(y) for y in (ys if type(ys) is tuple else (ys,))]
    nodes, reached, outer = _reach(xs, outputs, since)

    def pullback(cotangents: Sequence[Any]) -> list[Any]:
        create = outer or (state.grad and any(isinstance(g, Tensor) and g.requires_grad for g in cotangents))
        gs = [_as_operand(g, create) for g in cotangents]
        pending = pull(outputs, gs, nodes, reached, create)
        grads = []
        for x in xs:
            found = pending.pop(x.node)
            grad = zeros_as(x.data, shape=x.shape, dtype=x.dtype) if found is None else found[0]
            grads.append(grad)
        return grads

    return _values(outputs, outer), pullback


def jvp(f: Callable[..., Any], args: Sequence[Any], ts: Sequence[Any]) -> tuple[tuple[Tensor, ...], list[Any]]:
    """Return the outputs of ``f(*args)`` and one tangent per output, for one tangent (or None) per argument."""
    active = [t is not None for t in ts]
    xs, ys, since = trace(f, args, active)
    outputs = [y if isinstance(y, Tensor) else Tensor(y) for y in (ys if type(ys) is tuple else (ys,))]
    nodes, _, outer = _reach(xs, outputs, since)
    known = [t for t in ts if t is not None]
    create = outer or (state.grad and any(isinstance(t, Tensor) and t.requires_grad for t in known))
    tangents: dict[Any, list[Any]] = {x.node: [_as_operand(t, create)] for x, t in zip(xs, known, strict=True)}
    push(nodes, tangents, create)
    result = []
    for y in outputs:
        found = tangents.get(y.node)
        t = None if found is None else found[y.index]
        result.append(zeros_as(y.data, shape=y.shape, dtype=y.dtype) if t is None else t)
    return _values(outputs, outer), result


def _values(outputs: Sequence[Tensor], outer: bool) -> tuple[Tensor, ...]:
    """Return the outputs; where no outer tape is involved, without this one, which nobody else may see."""
    return tuple(y if outer else Tensor(y.data) for y in outputs)


def _as_operand(value: Any, create: bool) -> Any:
    if value is None:
        return None
    if create:
        return value if isinstance(value, Tensor) else Tensor(value)
    return value.data if isinstance(value, Tensor) else value
