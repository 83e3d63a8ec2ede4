"""Scaled dot product attention over (batch, heads, length, width)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core import between, booleans, fused, op, sample
from ..errors import DTypeError, ShapeError, message, operand
from ..spec import Spec, bool_, check_one_dtype, is_floating, uint64

__all__ = ["attention"]

Array = Any


def _infer(
    query: Spec, key: Spec, value: Spec, mask: Spec | None, seed: Spec | None, *, causal: bool, offset: int,
    scale: float | None, dropout: float,
) -> Spec:  # fmt: skip
    call = "attention(query, key, value, mask, seed)"

    def lines() -> list[str]:
        given = [
            operand("query", query, "batch, heads, queries, width"),
            operand("key", key, "batch, kv heads, keys, width"),
            operand("value", value, "batch, kv heads, keys, value width"),
        ]
        return given if mask is None else [*given, operand("mask", mask, "batch, heads, queries, keys")]

    if not query.ndim == key.ndim == value.ndim == 4:
        dims = f"{query.ndim}, {key.ndim} and {value.ndim} dimensions"
        raise ShapeError(message(f"{call}: query, key and value have {dims}", lines(), "need 4 each"))
    check_one_dtype(call, lines(), query, key, value)
    if not is_floating(query.dtype):
        raise DTypeError(message(f"{call}: query is not floating", lines(), "need a floating dtype"))
    (batch, heads, queries, width), (_, kv_heads, keys, _) = query.shape, key.shape
    if key.shape != (batch, kv_heads, keys, width) or value.shape[:3] != key.shape[:3]:
        fix = "need one batch size, one width of query and key, and key.shape[:3] == value.shape[:3]"
        raise ShapeError(message(f"{call}: shapes do not fit", lines(), fix))
    if kv_heads == 0 or heads % kv_heads:
        what = f"{call}: query has {heads} heads, key has {kv_heads}"
        raise ShapeError(message(what, lines(), "need a multiple of key's heads"))
    if mask is not None:
        whole = (batch, heads, queries, keys)
        padded = (1,) * (4 - mask.ndim) + mask.shape
        if mask.ndim > 4 or any(m not in (1, n) for m, n in zip(padded, whole, strict=True)):
            what = f"{call}: mask has shape {mask.shape}, scores have {whole}"
            raise ShapeError(message(what, lines(), "need a mask that broadcasts to the scores"))
        if mask.dtype != bool_ and not is_floating(mask.dtype):
            fix = "need bool (true: may be seen), or floating numbers to add to the scores"
            raise DTypeError(message(f"{call}: mask is {mask.dtype}", lines(), fix))
    if not 0 <= dropout <= 1:
        raise ShapeError(f"{call}: dropout is {dropout}\n  need 0 <= dropout <= 1")
    if dropout and (seed is None or seed.shape != (2,) or seed.dtype != uint64):
        raise ShapeError(f"{call}: dropout is {dropout}, and there is no seed\n  need generator.key(), uint64[2]")
    return Spec((batch, heads, queries, value.shape[3]), query.dtype)


def _samples() -> list[Any]:
    plain: dict[str, Any] = {"causal": False, "offset": 0, "scale": None, "dropout": 0.0}
    causal = {**plain, "causal": True}

    def closed(rng: np.random.Generator) -> Any:  # a row that sees nothing
        mask = rng.random((1, 1, 5, 6)) < 0.6
        mask[..., 2, :] = False
        return mask

    return [
        sample((2, 3, 5, 4), (2, 3, 7, 4), (2, 3, 7, 6), None, None, **plain),
        sample((1, 2, 70, 32), (1, 2, 70, 32), (1, 2, 70, 32), None, None, **causal),
        sample((1, 1, 5, 8), (1, 1, 3, 8), (1, 1, 3, 8), None, None, **causal),
        sample((2, 2, 3, 4), (2, 2, 9, 4), (2, 2, 9, 4), None, None, **{**causal, "offset": 6}),
        sample((1, 4, 5, 8), (1, 2, 6, 8), (1, 2, 6, 8), None, None, **{**plain, "scale": 0.5}),
        sample((2, 4, 9, 5), (2, 1, 8, 5), (2, 1, 8, 5), booleans(2, 1, 1, 8), None, **plain),
        sample((1, 2, 5, 8), (1, 2, 6, 8), (1, 2, 6, 8), closed, None, **plain),
        sample((2, 2, 5, 4), (2, 2, 6, 4), (2, 2, 6, 4), (2, 5, 6), None, **plain),
        sample((1, 2, 67, 8), (1, 1, 37, 8), (1, 1, 37, 8), booleans(67, 37), None, **causal),
        sample((1, 1, 3, 40), (1, 1, 9, 40), (1, 1, 9, 40), None, None, **plain),
        sample((1, 1, 2, 70), (1, 1, 3, 70), (1, 1, 3, 130), None, None, **plain),
        sample((1, 2, 0, 4), (1, 2, 3, 4), (1, 2, 3, 4), None, None, **plain),
        sample((1, 2, 3, 4), (1, 2, 0, 4), (1, 2, 0, 4), None, None, **plain),
        sample((1, 1, 2, 260), (1, 1, 3, 260), (1, 1, 3, 260), between(-1, 1, 2, 3), None, **plain),
    ]


@fused("attention", infer=_infer, samples=_samples)
def attention(
    query: Array,
    key: Array,
    value: Array,
    mask: Array | None = None,
    seed: Array | None = None,
    *,
    causal: bool = False,
    offset: int = 0,
    scale: float | None = None,
    dropout: float = 0.0,
) -> Array:
    """y = dropout(softmax(scale query key^T + mask)) value.

    Query i sees key j where the mask is true (or adds what it holds), if `causal` only j <= i + offset.  A query that
    sees no key gets zeros.  `scale` is 1 / sqrt(width) unless given.  Query head h reads the keys and values of head
    h / (heads / kv heads).  The probabilities that dropout drops are drawn from `seed` (`Generator.key`), as `dropout`
    does, and again in the backward pass.

    Shapes: query (batch, heads, queries, width); key (batch, kv heads, keys, width); value (batch, kv heads, keys,
    value width); mask broadcasts to (batch, heads, queries, keys).
    Dtypes: floating, one for all three; mask bool or floating.
    Raises: ShapeError, DTypeError.  Derivative: every order.
    Kernel: ``attention.cu`` (float16, bfloat16), ``attention_float.cu`` (float32), for widths up to 256; the scores are
    never in memory.  Composition in float64, and for the gradient of a mask.
    Source: Vaswani et al., "Attention is all you need", NeurIPS 2017, equation 1; Dao et al., "FlashAttention", 2022.
    """
    (batch, heads, queries, width), (_, kv_heads, keys, _) = query.shape, key.shape
    query = op.multiply(query, 1.0 / math.sqrt(max(width, 1)) if scale is None else scale)
    if heads == kv_heads:
        scores = op.matmul(query, op.matrix_transpose(key))
    else:
        group = heads // kv_heads
        query = op.reshape(query, shape=(batch, kv_heads, group, queries, width))
        scores = op.matmul(query, op.matrix_transpose(op.expand_dims(key, axis=2)))
        scores = op.reshape(scores, shape=(batch, heads, queries, keys))
    scores = _masked(scores, mask, np.tri(queries, keys, offset, dtype=bool) if causal else None)
    if mask is None and keys and not (causal and offset < 0):  # every row sees a key
        probabilities = op.softmax(scores, axis=-1)
    else:
        seen = op.any(op.not_equal(scores, -math.inf), axis=-1, keepdims=True)
        probabilities = op.where(seen, op.softmax(op.where(seen, scores, 0.0), axis=-1), 0.0)
    if dropout:
        probabilities = op.dropout(probabilities, seed, p=dropout)
    if heads == kv_heads:
        return op.matmul(probabilities, value)
    probabilities = op.reshape(probabilities, shape=(batch, kv_heads, group, queries, keys))
    y = op.matmul(probabilities, op.expand_dims(value, axis=2))
    return op.reshape(y, shape=(batch, heads, queries, value.shape[3]))


def _masked(scores: Array, mask: Array | None, seen: Any) -> Array:
    if mask is not None and mask.dtype == bool_:
        scores = op.where(mask, scores, -math.inf)
    elif mask is not None:
        scores = op.add(scores, op.cast(mask, dtype=scores.dtype))
    return scores if seen is None else op.where(seen, scores, -math.inf)


op.register(attention=attention)
