"""Random numbers: every example draws its own."""

from __future__ import annotations

from typing import Any

from ...core import PRIMITIVES, Primitive
from ...core.batching import one_by_one
from .rule import rule, spread


@rule("random_uniform", "random_normal", "random_bits")
def _random(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    if over[0]:
        return one_by_one(prim, size, xs, over, params)
    return prim(xs[0], **{**params, "shape": (size, *params["shape"])})


@rule("dropout")
def _dropout(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    x, key = xs
    if over[1]:
        return one_by_one(prim, size, [spread(x, over[0], size), key], (True, True), params)
    return prim(spread(x, over[0], size), key, **params)


for _name in ("random_uniform", "random_normal", "random_bits", "dropout"):
    PRIMITIVES[_name].draws = True
