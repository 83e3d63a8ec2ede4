"""Attention of queries to keys; users reach it as `nn.functional.scaled_dot_product_attention`."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np

from ..core import op, per_example
from ..errors import ShapeError, message, operand
from ..ops import Generator, default_generator
from ..spec import bool_
from .host import beside

__all__ = ["scaled_dot_product_attention"]

Array = Any


def scaled_dot_product_attention(
    query: Array,
    key: Array,
    value: Array,
    attn_mask: Array | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    generator: Generator | None = None,
) -> Array:
    """y = softmax(scale query key^T + mask) value, over the keys; scale is 1 / sqrt(head_dim) by default.

    `attn_mask` is boolean (True: the query sees the key) or floating (added).  With `is_causal` query i sees
    keys 0 to i.  A query that sees no key gives 0.  With `enable_gqa` several heads of queries share a head of
    keys and values: heads is a multiple of kv_heads, neighbours share.  `dropout_p` drops weights whatever the mode,
    as in PyTorch.

    Shapes: query (..., heads, length, head_dim); key (..., kv_heads, keys, head_dim); value (..., kv_heads, keys,
    value_dim); attn_mask broadcasts to (..., heads, length, keys); result (..., heads, length, value_dim).
    Dtypes: floating.  Raises: ShapeError.  Derivative: every order.
    Kernel: ``attention.cu``, ``attention_float.cu``: the weights are never in memory.
    Source: Vaswani et al., "Attention is all you need", NeurIPS 2017, equation 1; grouped queries: Ainslie et
    al., "GQA", EMNLP 2023.

    >>> import numpy as np
    >>> q, k, v = np.zeros((1, 2, 4)), np.ones((1, 2, 4)), np.array([[[1.0], [3.0]]])
    >>> scaled_dot_product_attention(q, k, v, is_causal=True).ravel()
    array([1., 2.])
    """
    if is_causal and attn_mask is not None:
        raise ShapeError(
            "scaled_dot_product_attention(attn_mask, is_causal): both are given\n"
            "  need one of them: the causal triangle can be part of the mask"
        )
    return attend(
        query, key, value, attn_mask, dropout_p, causal=is_causal, scale=scale, grouped=enable_gqa, generator=generator
    )


def attend(
    query: Array,
    key: Array,
    value: Array,
    mask: Array | None = None,
    dropout: float = 0.0,
    *,
    causal: bool = False,
    past: int = 0,
    scale: float | None = None,
    grouped: bool = False,
    generator: Generator | None = None,
) -> Array:
    """The same with the triangle and a mask together; query i sees keys 0 to past + i."""
    _check(query, key, value, grouped)
    shapes = [(1,) * (3 - len(x.shape)) + tuple(x.shape) for x in (query, key, value)]
    lead = np.broadcast_shapes(*[shape[:-3] for shape in shapes])
    heads: list[int] = [shape[-3] for shape in shapes] if grouped else [max(shape[-3] for shape in shapes)] * 3
    four = [
        _as_four(x, (*lead, n, *shape[-2:])) for x, n, shape in zip((query, key, value), heads, shapes, strict=True)
    ]
    if mask is not None and len(lead) != 1 and len(mask.shape) > 3:
        mask = _as_four(mask, (*lead, *mask.shape[-3:]))
    seed = per_example((generator or default_generator()).key()) if dropout else None
    y = op.attention(*four, mask, seed, causal=causal, offset=past, scale=scale, dropout=dropout)
    flat = max(len(x.shape) for x in (query, key, value)) < 3
    return op.reshape(y, shape=y.shape[2:] if flat else (*lead, *y.shape[1:]))


def _as_four(x: Array, shape: tuple[int, ...]) -> Array:
    """Return x, broadcast to (..., heads, length, width), with one axis in front of the heads."""
    if tuple(x.shape) != shape:
        x = op.broadcast_to(x, shape)
    whole = (math.prod(shape[:-3]), *shape[-3:])
    return x if whole == shape else op.reshape(x, shape=whole)


def _check(query: Array, key: Array, value: Array, grouped: bool) -> None:
    roles = ("..., heads, length, head_dim", "..., heads, keys, head_dim", "..., heads, keys, value_dim")
    three = list(zip(("query", "key", "value"), (query, key, value), roles, strict=True))
    heads = [x.shape[-3] if len(x.shape) > 2 else 1 for _, x, _ in three]
    what = need = ""
    if min(len(x.shape) for _, x, _ in three) < (3 if grouped else 2):
        what, need = "too few dimensions", f"need {3 if grouped else 2} or more"
    elif query.shape[-1] != key.shape[-1]:
        what = f"query has {query.shape[-1]} features, key has {key.shape[-1]}"
        need = "need query.shape[-1] == key.shape[-1]"
    elif key.shape[-2] != value.shape[-2]:
        what = f"{key.shape[-2]} keys have {value.shape[-2]} values"
        need = "need key.shape[-2] == value.shape[-2]"
    elif grouped and (heads[1] != heads[2] or heads[0] % heads[1]):
        what = f"{heads[0]} heads of queries share {heads[1]} of keys and {heads[2]} of values"
        need = "need as many of keys as of values, and a multiple of that"
    if what:
        lines = [operand(name, x, role) for name, x, role in three]
        raise ShapeError(message(f"scaled_dot_product_attention(query, key, value): {what}", lines, need))


def each_head(x: Array, times: int) -> Array:
    """Return each head `times` times, side by side."""
    shape = tuple(x.shape)
    wide = op.broadcast_to(op.expand_dims(x, axis=-3), (*shape[:-2], times, *shape[-2:]))
    return op.reshape(wide, shape=(*shape[:-3], shape[-3] * times, *shape[-2:]))


def causal_mask(like: Array, length: int, keys: int, past: int = 0) -> Array:
    """Return (length, keys) booleans beside an array: query i sees keys 0 to past + i."""
    return beside(np.tri(length, keys, past, dtype=bool), like)


def attention_weights(query: Array, key: Array, mask: Array | None = None, scale: float | None = None) -> Array:
    """Return softmax(scale query key^T + mask) over the keys, 0 for a query that sees none."""
    factor = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    logits = op.matmul(op.multiply(query, factor), op.swapaxes(key, -1, -2))
    if mask is None:
        return op.softmax(logits, axis=-1)
    seen = mask if mask.dtype == bool_ else op.greater(mask, -math.inf)
    if seen is not mask:
        logits = op.add(logits, op.cast(op.where(seen, mask, 0.0), dtype=logits.dtype))
    lowest = float(ml_dtypes.finfo(logits.dtype).min)  # not -inf: a row of those has no softmax
    return op.where(seen, op.softmax(op.where(seen, logits, lowest), axis=-1), 0.0)
