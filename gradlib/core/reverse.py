"""Reverse mode: the tape walked right to left with `vjp`.

A walk computes on plain arrays, or, where a derivative of the result may be asked for, on Tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import backend as backends
from ..errors import DTypeError, GradientError, ShapeError, message, operand
from ..spec import REDUCED, Spec, float32
from .node import Node, collect
from .operators import op
from .scopes import enable_grad, no_grad
from .tensor import Tensor, ones_as, zeros_as


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
    """Walk `nodes` (oldest first) backwards; return the cotangents of whatever is in `active` and not walked."""
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
            message(
                "backward(): this tensor does not depend on any tensor with requires_grad=True",
                [operand("x", y)],
                "need gl.tensor(..., requires_grad=True), and no gl.no_grad() around the computation",
            )
        )
    if gradient is None:
        if y.size != 1:
            raise GradientError(
                message(
                    f"backward(): only a single element has a gradient by itself, this has {y.size}",
                    [operand("x", y)],
                    "need x.sum().backward() or x.backward(gradient=...) of this shape",
                )
            )
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
    lines = [operand("gradient", array), operand("x", like)]
    if tuple(array.shape) != like.shape:
        raise ShapeError(message(f"{what}: the cotangent's shape differs", lines, "need equal shapes"))
    if array.dtype != like.dtype:
        raise DTypeError(message(f"{what}: the cotangent's dtype differs", lines, f"need gradient.to({like.dtype})"))
    return array
