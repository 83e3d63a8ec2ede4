"""Random numbers: every example draws its own from a key of this `vmap`; a key from outside gives all the same."""

from __future__ import annotations

from typing import Any

from ...core import PRIMITIVES, Primitive, ones_as, op
from ...core.batching import one_by_one
from ...spec import REDUCED, float32
from .rule import rule, spread


@rule("random_uniform", "random_normal", "random_bits")
def _random(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    if over[0]:
        return one_by_one(prim, size, xs, over, params)
    return prim(xs[0], **{**params, "shape": (size, *params["shape"])})


@rule("dropout")
def _dropout(prim: Primitive, size: int, xs: Any, over: Any, params: Any) -> Any:
    x, key = xs
    if over[1] is False:
        return prim(spread(x, over[0], size), key, **params)
    ones = ones_as(x, shape=x.shape[1:] if over[0] else x.shape, dtype=float32 if x.dtype in REDUCED else x.dtype)
    if over[1] is None:
        mask = prim(ones, key, **params)
    else:  # no part of any tape, so that a loop makes no Nodes
        mask = one_by_one(prim, size, (ones, key), (False, True), params)
    return op.cast(op.multiply(x, mask), dtype=x.dtype)


for _name in ("random_uniform", "random_normal", "random_bits", "dropout"):
    PRIMITIVES[_name].draws = True
