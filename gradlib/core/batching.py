"""`apply_batched`: the interpreter of ops under `vmap`.

A fused op runs its composite, unless it has a rule.  A leaf runs its rule, ``prim.batch(prim, size, xs, over,
params)``: the inputs with the batch along axis 0 where `over` says so, and the result with it there.  An
elementwise op needs none; a leaf without one runs example by example, as one Node all the same.  For the key of a
random op, its last input, `over` may also be None: it was drawn outside, and so its numbers are one for all examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from .. import backend as backends
from ..errors import DTypeError, ShapeError
from ..spec import spec_of
from .apply import _inline, install_batching, record
from .batched import Batched, Frame, lift_to
from .operators import op
from .primitive import Primitive
from .tensor import Tensor


def apply_batched(prim: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """Apply `prim` to arguments of which some are `Batched`: at the innermost of their levels."""
    frame = _innermost(args)
    outside = prim.draws and not _is_of(args[-1], frame)
    given, args = args, tuple(lift_to(a, frame) if isinstance(a, Tensor) or backends.is_array(a) else a for a in args)
    arrays = [a.data if isinstance(a, Tensor) else a for a in args]
    wrap = any(isinstance(a, Tensor) for a in args)
    tracked = prim.differentiable and any(isinstance(a, Tensor) and a.requires_grad for a in args) and frame.records()
    if prim.promote is None:
        spec = prim.spec(arrays, params)  # its errors speak of one example
    if prim.fused and (tracked or prim.batch is None):
        if prim.promote is not None:
            spec = prim.infer(*arrays, **params)
        plain = [a.data if isinstance(a, Tensor) else a for a in given]
        out = _inline(prim, given, plain, params, spec)
        if wrap:
            return out
        return tuple(None if o is None else o.data for o in out) if type(out) is tuple else out.data
    values = [a.value if isinstance(a, Batched) else a for a in arrays]
    over: list[Any] = [isinstance(a, Batched) and a.over for a in arrays]
    if outside:
        over[-1] = None
    with frame.left():
        batched = any(over) or (prim.draws and not outside)
        if batched:
            rule = prim.batch or (elementwise if prim.broadcasts else one_by_one)
            try:
                out = rule(prim, frame.size, values, over, params)
            except ShapeError:
                _refuse_example(prim, arrays, params)
                raise
        else:
            out = prim(*values, **params)
    if type(out) is tuple:
        result: Any = tuple(None if o is None else Batched(frame, o, batched) for o in out)
    else:
        result = Batched(frame, out, batched)
    if not wrap:
        return result
    if tracked:
        return record(prim, args, params, result, ())
    if type(result) is tuple:
        return tuple(None if o is None else Tensor(o) for o in result)
    return Tensor(result)


def _is_of(x: Any, frame: Frame) -> bool:
    """Whether a value is one of this `vmap`, the same for all of its examples or not."""
    data = x.data if isinstance(x, Tensor) else x
    return isinstance(data, Batched) and data.frame is frame


def _refuse_example(prim: Primitive, arrays: Sequence[Any], params: dict[str, Any]) -> None:
    """Raise the error in the words of one example, if the op has any for it."""
    if all(a is None or hasattr(a, "dtype") for a in arrays):
        with suppress(DTypeError):
            prim.infer(*[None if a is None else spec_of(a) for a in arrays], **params)


def _innermost(args: Sequence[Any]) -> Frame:
    frames = [
        data.frame for a in args if isinstance(data := a.data if isinstance(a, Tensor) else a, Batched)
    ]  # fmt: skip
    return max(frames, key=lambda frame: frame.depth)


def elementwise(prim: Primitive, size: int, xs: Sequence[Any], over: Sequence[bool], params: dict[str, Any]) -> Any:
    """The rule of every op that broadcasts: line the examples' axes up behind the batch."""
    rank = max(len(getattr(x, "shape", ())) - o for x, o in zip(xs, over, strict=True))
    return prim(*[_padded(x, rank) if o else x for x, o in zip(xs, over, strict=True)], **params)


def _padded(x: Any, rank: int) -> Any:
    missing = rank + 1 - len(x.shape)
    return op.reshape(x, (x.shape[0], *(1,) * missing, *x.shape[1:])) if missing else x


def one_by_one(prim: Primitive, size: int, xs: Sequence[Any], over: Sequence[bool], params: dict[str, Any]) -> Any:
    """What a leaf without a rule does: run for each example, and stack."""
    outs = [prim(*[op.getitem(x, i) if o else x for x, o in zip(xs, over, strict=True)], **params) for i in range(size)]
    if type(outs[0]) is tuple:
        return tuple(op.stack(column) for column in zip(*outs, strict=True))
    return op.stack(outs)


install_batching(apply_batched)
