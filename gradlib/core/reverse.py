"""Reverse mode: the tape walked right to left with `vjp`.

A walk computes on plain arrays, or, where a derivative of the result may be asked for, on Tensors.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .. import backend as backends
from ..errors import DTypeError, GradientError, ShapeError, message, operand
from ..spec import REDUCED, Spec, float32, is_complex
from .chained import Neighbours
from .node import Node, collect
from .operators import op
from .scopes import enable_grad, quiet
from .tensor import Tensor, ones_as, shared_version, zeros_as


def node_vjp(node: Node, g: Any, needs: Sequence[bool], create: bool) -> Sequence[Any]:
    """Return the gradient for each input that `needs` one; `g` is the cotangent, a list of them for several outputs."""
    prim = node.prim
    inputs, answer = node.kept(create)
    if prim.fused:
        gs = g if type(g) is list else (g,)
        return prim.backward(*inputs, *gs, *node.residuals, needs=tuple(needs), **node.params)  # type: ignore[no-any-return]
    if type(g) is list:
        g = tuple(g) if prim.partial else _filled(g, node)
    likes = inputs  # what the gradients are to be like
    spec = node.outputs[0] if type(node.outputs) is tuple else node.outputs
    if spec.dtype in REDUCED and not prim.moves:  # a rule is several ops: compute it in float32, round once
        g = tuple(map(_widen, g)) if type(g) is tuple else _widen(g)
        inputs = [_widen(x) for x in inputs]
        answer = tuple(map(_widen, answer)) if type(answer) is tuple else _widen(answer)
    rules, params, broadcasts = prim.vjp, node.params, prim.broadcasts
    grads: list[Any] = [None] * len(needs)
    together = rules(needs, g, answer, *inputs, **params) if prim.joint else None  # type: ignore[operator, misc]
    for i, need in enumerate(needs):
        if not need:
            continue
        if together is not None:
            grad = together[i]
        elif callable(rules):
            grad = rules(i, g, answer, *inputs, **params)
        else:
            rule = rules[i]  # type: ignore[index]
            if rule is None:
                raise GradientError(f"{prim.name}: no derivative with respect to {node.name_of(i)}")
            grad = rule(g, answer, *inputs, **params)
        like = likes[i]  # Tensor, array or Spec
        if broadcasts and grad.shape != like.shape:
            grad = op.sum_to(grad, shape=like.shape)
        if grad.dtype is not like.dtype and grad.dtype != like.dtype:  # mostly one object; not if it was unpickled
            grad = op.demote(grad, dtype=like.dtype)
        grads[i] = grad
    return grads


def _filled(gs: list[Any], node: Node) -> tuple[Any, ...]:
    """Return the cotangents of several outputs, with zeros for those that nothing depended on."""
    like = next(g for g in gs if g is not None)
    return tuple(
        zeros_as(like, shape=s.shape, dtype=s.dtype) if g is None else g
        for g, s in zip(gs, node.output_specs(), strict=True)
    )


def _widen(x: Any) -> Any:
    if isinstance(x, Spec) or getattr(x, "dtype", None) not in REDUCED:
        return x
    return op.cast(x, dtype=float32)


# Cotangents on their way, summed as they arrive: by leaf Tensor or Node, a list for several outputs.
Pending = dict[Any, Any]


def _arrive(pending: Pending, key: Any, index: int, g: Any) -> None:
    if type(key) is Node and type(key.outputs) is tuple:
        slots = pending.get(key)
        if slots is None:
            slots = pending[key] = [None] * len(key.outputs)
        slots[index] = g if slots[index] is None else op.add(slots[index], g)
    else:
        before = pending.get(key)
        pending[key] = g if before is None else op.add(before, g)


def pull(
    outputs: Sequence[Tensor],
    cotangents: Sequence[Any],
    nodes: list[Node],
    active: set[Any],
    create: bool,
    ends: Iterable[Any] | None = None,
    pending: Pending | None = None,
) -> Pending:
    """Walk `nodes` (oldest first) backwards; return the cotangents of whatever is in `active` and not walked.

    Hooks run on what is walked and then on that rest, or on `ends` alone where more will arrive at the others.
    `pending` is what has arrived before.
    """
    pending = {} if pending is None else pending
    neighbours = Neighbours(nodes) if chaining and not create else None
    for y, g in zip(outputs, cotangents, strict=True):
        key = y if y.node is None else y.node
        if key in active and g is not None:
            _arrive(pending, key, y.index, g)
    with enable_grad() if create else quiet():
        for node in reversed(nodes):
            g = pending.pop(node, None)
            if g is None:
                continue
            if _hooked and hasattr(node, "hooks"):
                g = _hooked_node(node, g, create)
            parents = node.parents
            needs = [parent is not None and parent in active for parent in parents]
            grads: Any = NotImplemented
            if neighbours is not None and node.prim.chain is not None:
                grads = neighbours.vjp(node, g, needs, pending)
            if grads is NotImplemented:
                grads = node_vjp(node, g, needs, create)
            for i, need in enumerate(needs):
                if need and grads[i] is not None:
                    _arrive(pending, parents[i], node.slots[i], grads[i])
        if _hooked:
            _hook_ends(pending, create, list(pending) if ends is None else ends)
    return pending


chaining = True  # whether neighbours may share passes: not while `debug` looks at each op by itself


# -- hooks


_hooked = False  # whether there is, or ever was, a hook: without one a walk does not look for them


def hooks_of(tensor: Tensor) -> list[Any]:
    """Return the list of the tensor's hooks, to be added to."""
    global _hooked
    _hooked = True
    if tensor.node is not None:
        if not hasattr(tensor.node, "hooks"):
            tensor.node.hooks = {}
        return tensor.node.hooks.setdefault(tensor.index, [])
    if not hasattr(tensor, "hooks"):
        tensor.hooks = []
    return tensor.hooks


def _run_hooks(hooks: list[Any], g: Any, create: bool) -> Any:
    for hook in list(hooks):
        new = hook(g if isinstance(g, Tensor) else Tensor(g))
        if new is not None:
            like = g if isinstance(g, Tensor) else Tensor(g)
            new = new if isinstance(new, Tensor) else Tensor(check_cotangent("hook", new, like))
            if new.shape != like.shape or new.dtype != like.dtype:
                lines = [operand("returned", new), operand("gradient", like)]
                raise ShapeError(message("register_hook: the hook returned another shape or dtype", lines))
            g = new if create else new.data
    return g


def _hooked_node(node: Node, g: Any, create: bool) -> Any:
    if type(g) is list:
        return [gi if gi is None else _run_hooks(node.hooks.get(i, []), gi, create) for i, gi in enumerate(g)]
    return _run_hooks(node.hooks.get(0, []), g, create)


def _hook_ends(pending: Pending, create: bool, ends: Iterable[Any]) -> None:
    """Run the hooks of what the walk ends at: leaves, and the inputs of a function that is differentiated."""
    for key in ends:
        g = pending.get(key)
        if g is not None and hasattr(key, "hooks"):
            pending[key] = _hooked_node(key, g, create) if type(key) is Node else _run_hooks(key.hooks, g, create)


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
        if is_complex(y.dtype):
            fix = "need a real loss, such as gl.real(x) or gl.abs(x), or x.backward(gradient=...)"
            raise GradientError(message(f"backward(): this tensor is {y.dtype}", [operand("x", y)], fix))
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
        g = check_cotangent("backward(gradient)", gradient, y).copy()  # it may become a leaf's grad as it is
    nodes = [] if y.node is None else collect([y.node])
    active: set[Any] = set(nodes)
    leaves = {p for node in nodes for p in node.parents if isinstance(p, Tensor)} or {y}
    active |= leaves
    # What is there already comes first, so that it is added to as the rest arrives; a hook is to see the rest alone.
    before = {t: t.grad.data for t in leaves if t.grad is not None and not hasattr(t, "hooks")}
    arrived = pull([y], [g], nodes, active, create=False, pending=dict(before))
    for tensor, value in arrived.items():  # only now, when nothing can fail any more, do the leaves change
        if value is before.get(tensor):
            continue  # nothing arrived
        alone = tensor.grad is None or tensor in before
        tensor.grad = Tensor(value if alone else op.add(tensor.grad.data, value))
        shared_version(tensor.grad).pinned = True  # x + y hands one array to both: assigning one is not the other's
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
