"""What optimizer steps have in common: how one is declared, what it refuses, and its launch over all tensors at once.

A rule is an `Update` whose inputs are (param, its buffers, grad, lr, step): `lr` (float64, one element) and `step`
(int64, one element, 1 at the first update) are tensors, so that a recorded step replays with their values of the
day; what never changes is a static parameter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core import Update, op, update
from ..errors import DTypeError, ShapeError, message, operand
from ..kernel import CHUNK, Kernel, Table
from ..spec import REDUCED, float32, float64, int64

__all__ = ["BLOCK", "decayed", "number", "numbers", "rule", "types"]

Array = Any

BLOCK = 256  # threads


def rule(
    name: str,
    *,
    writes: str,
    samples: Callable[[], Any],
    kernel: str | None = None,
    scalars: str = "",
    check: Callable[..., None] | None = None,
) -> Callable[[Callable[..., Any]], Update]:
    """Declare an optimizer step by its composite.

    `kernel` is the file with the kernel of its name; `scalars` are those buffers, the last ones, that hold one float64
    for a parameter; ``check(call, param)`` raises for a parameter that will not do.
    """

    def declare(composite: Callable[..., Any]) -> Update:
        def checked(param: Array, *others: Array, **params: Any) -> None:
            *buffers, grad, lr, step = others
            _check(call, names, alone, param, buffers, grad, lr, step)
            if check is not None:
                check(call, param)

        found = update(name, writes=writes, shares="lr step", check=checked, samples=samples)(composite)
        names, alone = found.own[1:-1], frozenset(scalars.split())
        call = f"{name}({', '.join(found.inputs)})"
        if kernel is not None:
            _attach(found, kernel, len(alone))
        return found

    return declare


def _check(
    call: str, names: tuple[str, ...], alone: frozenset[str], param: Array, buffers: list[Array], grad: Array,
    lr: Array, step: Array,
) -> None:  # fmt: skip
    """Refuse arrays that do not belong together, before anything is written."""
    shape, dtype = param.shape, param.dtype
    right = not alone and lr.size == step.size == 1 and lr.dtype is float64 and step.dtype is int64
    if right and grad.dtype is dtype and all(a is None or a.shape == shape for a in (grad, *buffers)):
        return  # the usual case, on every step of every parameter
    ones = [("lr", lr, float64), ("step", step, int64)]
    whole = [("grad", grad)]
    for name, array in zip(names, buffers, strict=True):
        if name in alone:
            ones.append((name, array, float64))
        elif array is not None:
            whole.append((name, array))
    for other, array in whole:
        if array.shape != shape:
            raise ShapeError(
                message(
                    f"{call}: {other} has shape {tuple(array.shape)}, param has {tuple(shape)}",
                    [operand("param", param), operand(other, array)],
                    "need equal shapes",
                )
            )
    if grad.dtype != dtype:
        raise DTypeError(
            message(f"{call}: grad is not of param's dtype", [operand("param", param), operand("grad", grad)],
                    f"need grad.to({dtype})")
        )  # fmt: skip
    for other, array, needed in ones:
        if array.size != 1 or array.dtype != needed:
            raise DTypeError(message(f"{call}: {other} is no {needed} of one element", [operand(other, array)]))


# -- what definitions share


def number(x: Array, like: Array) -> Array:
    """Return a one-element array as a 0-d array of `like`'s dtype."""
    return op.cast(op.reshape(x, shape=()), dtype=like.dtype)


def decayed(param: Array, grad: Array, weight_decay: float, maximize: bool) -> Array:
    """Return grad (its negative with `maximize`) + weight_decay param."""
    if maximize:
        grad = op.negative(grad)
    return op.add(grad, op.multiply(param, weight_decay)) if weight_decay else grad


# -- kernels


def types(found: Update, rows: list[list[Array]], scalars: int = 0) -> dict[str, Any] | None:
    """Return the macros of a launch over `rows`; None where no kernel is for their dtypes.

    The buffers have the parameter's dtype, or float32 beside a reduced one; the same in all rows.
    """
    last = len(found.writes) - scalars
    dtypes = {row[0].dtype for row in rows}
    states = {a.dtype for row in rows for a in row[1:last] if a is not None} or dtypes
    if len(dtypes) != 1 or len(states) != 1:
        return None
    (dtype,), (state,) = dtypes, states
    if state == dtype:
        return {"T": dtype}
    return {"T": dtype, "STATE": state} if dtype in REDUCED and state == float32 else None


def _attach(found: Update, file: str, scalars: int) -> None:
    """Attach the kernel of the rule's own name: ``(arrays, chunks, lr, step | count, share, static parameters...)``.

    A static parameter that is a pair, such as ``betas``, becomes two: ``beta1``, ``beta2``.  If the last `scalars`
    buffers hold one number each, the kernel also takes `done`, and the number of `tensors`: its last block overwrites
    them.
    """
    names = " ".join(name for key, value in found.params.items() for name in _names(key, value))
    arrays = "arrays chunks done lr step" if scalars else "arrays chunks lr step"
    kernel = Kernel(file, found.name, f"{arrays} | count share {'tensors ' if scalars else ''}{names}")

    @found.group_kernel("cuda")
    def _(rows: list[list[Array]], lr: Array, step: Array, *, table: Table, **params: Any) -> Any:
        macros = types(found, rows, scalars)
        if macros is None:
            return NotImplemented
        table.fill(rows)
        own, sizes = ((table.done,), (len(rows),)) if scalars else ((), ())
        if table.count or scalars:
            kernel(
                table.blocks, BLOCK, table.arrays, table.chunks, *own, lr, step, table.count, CHUNK, *sizes,
                *numbers(found, params), reached=lambda: table.reached(rows, found.own), **macros,
            )  # fmt: skip
        return None


def numbers(found: Update, params: dict[str, Any]) -> list[float]:
    """Return the static parameters as a kernel takes them: booleans as ints, pairs one after the other."""
    values: list[float] = []
    for key, default in found.params.items():
        value = params.get(key, default)
        for v in value if isinstance(value, tuple) else (value,):
            values.append(int(v) if isinstance(v, bool) else float(v))
    return values


def _names(key: str, value: Any) -> list[str]:
    return [f"{key[:-1]}{i + 1}" for i in range(len(value))] if isinstance(value, tuple) else [key]
