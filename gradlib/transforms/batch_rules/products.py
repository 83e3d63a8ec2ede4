"""Products of matrices, and systems of equations."""

from __future__ import annotations

from typing import Any

from ...core import Primitive, op
from .rule import example_by_composite, rule, spread


@rule("matmul")
def _matmul(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    a, b = xs
    row, column = len(a.shape) - over[0] == 1, len(b.shape) - over[1] == 1
    if row and over[0] and not over[1] and len(b.shape) <= 2:
        return prim(a, b)  # one product of matrices
    if row:
        a = op.reshape(a, (*a.shape[:-1], 1, a.shape[-1]))
    if column:
        b = op.reshape(b, (*b.shape, 1))
    rank = max(len(a.shape) - over[0], len(b.shape) - over[1])
    a, b = (
        op.reshape(x, (size, *(1,) * (rank + 1 - len(x.shape)), *x.shape[1:])) if o and len(x.shape) <= rank else x
        for x, o in zip((a, b), over, strict=True)
    )
    y = prim(a, b)
    shape = tuple(y.shape)
    kept = (*shape[:-2], *(() if row else shape[-2:-1]), *(() if column else shape[-1:]))
    return y if kept == shape else op.reshape(y, kept)


@rule("solve")
def _solve(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    a, b = xs
    if over[0]:
        return prim(a, spread(b, over[1], size))
    columns = op.moveaxis(b, 0, -1)  # one matrix for all examples: it is factored once
    shape = tuple(columns.shape)
    return op.moveaxis(op.reshape(prim(a, op.reshape(columns, (*shape[:-2], shape[-2] * size))), shape), -1, 0)


@rule("dense")
def _dense(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    if any(over[1:]):
        return example_by_composite(prim, xs, over, params)
    return prim(*xs, **params)
