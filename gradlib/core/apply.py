"""`apply`, the single point every op passes through: infer, run (kernel or definition), record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import backend as backends
from ..errors import DeviceError, DTypeError, message, operand
from ..kernel import Plan
from ..spec import (
    DIFFERENTIABLE,
    REDUCED,
    STORAGE,
    WIDE,
    Spec,
    bool_,
    complex_of,
    default_complex,
    default_float,
    float32,
    int64,
    is_complex,
    is_differentiable,
    promote,
)
from .batched import Batched
from .constants import scalar, with_constants
from .node import Node, next_seq
from .operators import op
from .primitive import Primitive, Saved
from .scopes import state
from .tensor import Tensor, shared_version

_cpu = backends.get("cpu")
_ndarray = np.ndarray
_new_tensor = Tensor.__new__


def apply(prim: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """Apply `prim`.  Tensors in, Tensors out; plain arrays in, plain arrays out with nothing recorded."""
    if len(args) == 2 and not params:  # most calls of a backward walk are like this: a short cut, not another meaning
        a, b = args
        if type(a) is _ndarray and type(b) is _ndarray and a.dtype is b.dtype and a.dtype in WIDE and prim.impl:
            try:
                out = prim.impl(np, a, b)
            except (ValueError, TypeError, IndexError):
                prim.spec(args, params)
                raise
            return out if type(out) is _ndarray else _owned(_cpu, out)
    arrays: list[Any] = []
    wrap = tracked = numbers = False
    common = None
    simple = True  # all on the CPU, all of one dtype that NumPy computes in as it is
    for a in args:
        if isinstance(a, Tensor):
            wrap = True
            if a.requires_grad:
                tracked = True
            a = a.data
        kind = type(a)
        if kind is not _ndarray:
            if kind is float or kind is int:
                numbers = True
            else:
                simple = False
        elif a.dtype is not common:
            if common is None and a.dtype in WIDE:
                common = a.dtype
            else:
                simple = False
        arrays.append(a)
    if numbers and simple:  # Python's numbers are weak: they become the others' dtype
        if prim.promote is None or common is None:
            simple = False
        else:
            arrays = [a if type(a) is _ndarray else np.array(a, common) for a in arrays]
    tracked = tracked and state.grad and prim.differentiable
    residuals: tuple[Any, ...] = ()
    plan: Plan | None = None
    if simple and prim.impl is not None and arrays:
        try:
            out = prim.impl(np, *arrays, **params)
        except (ValueError, TypeError, IndexError):
            prim.spec(arrays, params)  # the op's own words, if it has any for this
            raise
        backend = _cpu
    else:
        backend = done = None
        if prim.planner is not None and arrays:
            if numbers and prim.promote is not None:
                arrays = with_constants(prim, arrays)
            backend = backends.of_type(type(arrays[0]))
            if backend is not None and backend.runs_kernels:
                plan = prim.planner.find(backend, arrays, params, tracked)
                if plan is not None:
                    done = plan.run(arrays)
        if done is not None:
            out, residuals = done
        else:
            plan = None
            backend = _cpu if simple and arrays else _settled(prim, arrays)
            if backend is None:
                if Batched in map(type, arrays):
                    return _apply_batched(prim, args, params)
                backend, arrays = _settle(prim, args, arrays)
            spec = prim.spec(arrays, params)
            out = NotImplemented
            if backend.runs_kernels and backend.name in prim.launchers and not (tracked and prim.derived):
                ready = arrays if backend.name in prim.strided else [_contiguous(backend, a) for a in arrays]
                out = prim.launch(backend, ready, params, tracked)
            if out is NotImplemented:
                if prim.composite is not None and tracked:
                    return _inline(prim, args, arrays, params, spec)
                out = _define(prim, backend, arrays, params, spec)
            elif type(out) is Saved:
                out, residuals = out
    if type(out) is not backend.array_type:
        out = _owned(backend, out)
    if not wrap:
        return out
    if tracked:
        return record(prim, args, params, out, residuals, plan)
    if type(out) is tuple:
        return tuple([None if o is None else Tensor(o) for o in out])
    result = Tensor(out)
    if prim.view and isinstance(args[0], Tensor):
        result.version = shared_version(args[0])
        if args[0].node is not None:
            result.version.pinned = True
    return result


_apply_batched: Callable[..., Any]


def install_batching(apply_batched: Callable[..., Any]) -> None:
    """Take the interpreter of calls under `vmap`, which is defined in terms of this module."""
    global _apply_batched
    _apply_batched = apply_batched


def _owned(backend: Any, out: Any) -> Any:
    """Return what an op gave as arrays of the device: of no axes NumPy makes a scalar, of a sim array a plain one."""
    if type(out) is tuple:
        return tuple([o if o is None or type(o) is backend.array_type else backend.coerce(o) for o in out])
    return backend.coerce(out)


def _contiguous(backend: Any, array: Any) -> Any:
    if array is None or array.flags.c_contiguous:
        return array
    if array.dtype in STORAGE:  # which CuPy copies as integers only
        return backend.coerce(backend.xp.ascontiguousarray(array.view(np.uint8)).view(array.dtype))
    return backend.coerce(backend.xp.ascontiguousarray(array))  # which NumPy makes a plain array of a sim array


# -- the longer path: scalars, mixed dtypes, other devices, reduced precision


def _settled(prim: Primitive, arrays: list[Any]) -> Any:
    """Return the backend of arrays with which nothing is left to settle; None if something may be.  Hot."""
    if not arrays:
        return None
    first = arrays[0]
    kind = type(first)
    backend = backends.of_type(kind)
    if backend is None or not backend.runs_kernels:
        return None
    if prim.promote is None:
        for a in arrays:
            if type(a) is not kind and a is not None:
                return None
        return backend
    dtype = first.dtype
    for a in arrays:
        if (type(a) is not kind or a.dtype is not dtype) and a is not None:
            return None
    return backend if dtype in WIDE or dtype in REDUCED else None


def _settle(prim: Primitive, args: tuple[Any, ...], arrays: list[Any]) -> tuple[Any, list[Any]]:
    """Return the backend of a call and its arrays: scalars made arrays, dtypes promoted, constants moved there."""
    backend = _common_backend(prim, args, arrays)
    for i, a in enumerate(arrays):
        if backends.is_array(a) and backends.backend_of(a) is not backend:
            arrays[i] = backend.asarray(a)
    if prim.promote is not None:
        return backend, _promote(prim, backend, arrays)
    if any(a is not None and not backends.is_array(a) for a in arrays):
        _reject(prim, arrays)
    return backend, arrays


def _common_backend(prim: Primitive, args: tuple[Any, ...], arrays: list[Any]) -> Any:
    """Return the one device of a call.  Tensors decide; plain arrays of the CPU are constants and go anywhere."""
    found: dict[str, tuple[Any, int]] = {}
    constant = None
    for i, (arg, a) in enumerate(zip(args, arrays, strict=True)):
        if not backends.is_array(a):
            continue
        here = backends.backend_of(a)
        if here.name == "cpu" and not isinstance(arg, Tensor):
            constant = here
        else:
            found.setdefault(here.name, (here, i))
    if len(found) > 1:
        (first, i), (second, j) = list(found.values())[:2]
        raise DeviceError(
            message(
                f"{prim.call}: operands are on two devices, {first.name} and {second.name}",
                [operand(_input_name(prim, k), arrays[k], f"on {b.name}") for b, k in ((first, i), (second, j))],
                f'need one device: x.to(device="{first.name}") or x.to(device="{second.name}")',
            )
        )
    if found:
        return next(iter(found.values()))[0]
    if constant is None and prim.promote is None:
        _reject(prim, arrays)
    return constant or _cpu


def _input_name(prim: Primitive, i: int) -> str:
    return prim.inputs[i] if i < len(prim.inputs) and not prim.variadic else f"input {i}"


def _reject(prim: Primitive, arrays: list[Any]) -> None:
    for i, a in enumerate(arrays):
        if a is not None and not backends.is_array(a):
            raise DTypeError(
                f"{prim.call}: {_input_name(prim, i)} is of type {type(a).__name__}\n"
                f"  need a Tensor or an array: gl.tensor(...)"
            )
    raise DTypeError(f"{prim.call}: need at least one Tensor or array")


_NUMBERS = (bool, int, float, complex, np.bool_, np.number)


def _promote(prim: Primitive, backend: Any, arrays: list[Any]) -> list[Any]:
    """Bring all operands to their common dtype; Python and NumPy scalars are weak and do not widen it."""
    dtypes = [a.dtype for a in arrays if backends.is_array(a)]
    scalars = [a for a in arrays if a is not None and not backends.is_array(a)]
    for a in scalars:
        if not isinstance(a, _NUMBERS):
            _reject(prim, arrays)
    if dtypes:
        if not STORAGE.isdisjoint(dtypes):
            prim.refuse_storage(arrays)
        dtype = promote(dtypes)
    else:
        dtype = bool_
    if not is_complex(dtype) and any(isinstance(a, (complex, np.complexfloating)) for a in scalars):
        dtype = complex_of(dtype) if is_differentiable(dtype) else default_complex
    if not is_differentiable(dtype):
        if any(isinstance(a, (float, np.floating)) for a in scalars) or prim.promote == "float":
            dtype = default_float
        elif dtype == bool_ and any(isinstance(a, (int, np.integer)) and not isinstance(a, bool) for a in scalars):
            dtype = int64
    result: list[Any] = []
    for a in arrays:
        if a is None:
            result.append(a)
        elif backends.is_array(a):
            result.append(a if a.dtype == dtype else a.astype(dtype))
        else:
            result.append(backend.asarray(scalar(prim, a, dtype)))
    return result


def _define(prim: Primitive, backend: Any, arrays: list[Any], params: dict[str, Any], spec: Any) -> Any:
    """Run the definition on plain arrays; reduced precision computes in float32 and is rounded once."""
    reduced = not prim.moves and any(a is not None and a.dtype in REDUCED for a in arrays)
    if reduced:
        arrays = [a.astype(float32) if a is not None and a.dtype in REDUCED else a for a in arrays]
    if prim.impl is not None:
        out = prim.impl(backend.xp, *arrays, **params)
    else:
        assert prim.composite is not None
        out = prim.composite(*arrays, **params)
    if not reduced:
        return out
    if type(out) is tuple:
        return tuple(None if o is None else _rounded(o, s) for o, s in zip(out, spec, strict=True))
    return _rounded(out, spec)


def _rounded(out: Any, spec: Spec) -> Any:
    return out.astype(spec.dtype) if out.dtype != spec.dtype else out


def _inline(prim: Primitive, args: tuple[Any, ...], arrays: list[Any], params: dict[str, Any], spec: Any) -> Any:
    """No kernel took a call that is recorded: put the composite's own ops on the tape."""
    assert prim.composite is not None
    inputs = [arg if isinstance(arg, Tensor) else a for arg, a in zip(args, arrays, strict=True)]
    if prim.moves or not any(a is not None and a.dtype in REDUCED for a in arrays):
        out = prim.composite(*inputs, **params)
        return tuple(map(_as_tensor, out)) if type(out) is tuple else _as_tensor(out)
    wide = [x if x is None or x.dtype not in REDUCED else op.cast(x, dtype=float32) for x in inputs]
    out = prim.composite(*wide, **params)
    if type(out) is tuple:
        return tuple(None if o is None else op.cast(o, dtype=s.dtype) for o, s in zip(out, spec, strict=True))
    return op.cast(out, dtype=spec.dtype)


def _as_tensor(x: Any) -> Any:
    return x if x is None or isinstance(x, Tensor) else Tensor(x)


# -- recording


_new_node = Node.__new__
_FIRST = tuple([(0,) * n for n in range(8)])  # nearly every input is the first output of its parent
_new_spec = tuple.__new__  # a Spec without the cost of NamedTuple's own __new__


def record(
    prim: Primitive,
    args: tuple[Any, ...],
    params: dict[str, Any],
    out: Any,
    residuals: tuple[Any, ...],
    known: Plan | None = None,
) -> Any:
    """Put one application on the tape and return its output as Tensors.  Hot: counted in fractions of a us.

    `known` is the plan that it was computed by, whose Specs need not be made again.
    """
    parents: list[Any] = []
    slots: Sequence[int] = _FIRST[len(args)] if len(args) < len(_FIRST) else (0,) * len(args)
    mask = 0
    bit = 1
    for a in args:
        if isinstance(a, Tensor) and a.requires_grad:
            parents.append(a if a.node is None else a.node)
            if a.index:
                slots = [x.index if isinstance(x, Tensor) else 0 for x in args]
            mask += bit
        else:
            parents.append(None)
        bit += bit
    keep, keep_answer = prim.keeps(mask, len(args))
    counts: list[int] | None = None
    inputs: Sequence[Any]
    if known is not None and keep is None:
        inputs = known.inputs
    else:
        inputs = [*args]
        for i, a in enumerate(args):
            if not isinstance(a, Tensor):
                continue
            if keep is not None and keep[i]:
                version = a.version
                if version is None:
                    if a.node is None:  # what can still be assigned
                        shared_version(a)
                elif version.count:
                    if counts is None:
                        counts = [0] * len(args)
                    counts[i] = version.count
            elif a.node is not None and type(a.node.outputs) is Spec:
                inputs[i] = a.node.outputs  # the same, and one object less for the collector to visit
            else:
                inputs[i] = _new_spec(Spec, (a.data.shape, a.data.dtype))
    node = _new_node(Node)
    node.prim = prim
    node.params = params
    node.seq = next_seq()
    node.parents = parents
    node.slots = slots
    node.inputs = inputs
    node.counts = counts
    node.residuals = residuals
    node.answer = out if keep_answer else None
    if type(out) is tuple:
        node.outputs = (
            tuple([None if o is None else Spec(o.shape, o.dtype) for o in out]) if known is None else known.outputs
        )
        return tuple([None if o is None else _tracked(o, node, i) for i, o in enumerate(out)])
    node.outputs = _new_spec(Spec, (out.shape, out.dtype)) if known is None else known.outputs
    result = _tracked(out, node, 0)
    if prim.view and isinstance(args[0], Tensor) and (args[0].node is None or args[0].version is not None):
        result.version = shared_version(args[0])
    return result


def _tracked(array: Any, node: Node, index: int) -> Tensor:
    result: Tensor = _new_tensor(Tensor)
    result.data = array
    result.requires_grad = differentiable = array.dtype in DIFFERENTIABLE
    result.node = node if differentiable else None
    result.index = index
    result.grad = None
    result.version = None
    return result
