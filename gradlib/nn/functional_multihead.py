"""Attention of several heads with its projections; users reach it as `nn.functional.multi_head_attention_forward`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import ops
from ..core import op, per_example
from ..errors import ShapeError, message, operand
from ..ops import Generator, default_generator
from ..spec import bool_
from .functional_attention import attend, attention_weights, causal_mask, each_head

__all__ = ["multi_head_attention_forward"]

Array = Any
Keys = Callable[[Array, Array], tuple[Array, Array]]  # new keys and values to all of them, (batch, heads, keys, size)


def multi_head_attention_forward(
    query: Array,
    key: Array,
    value: Array,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Array | None,
    in_proj_bias: Array | None,
    bias_k: Array | None,
    bias_v: Array | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Array,
    out_proj_bias: Array | None,
    training: bool = True,
    key_padding_mask: Array | None = None,
    need_weights: bool = True,
    attn_mask: Array | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Array | None = None,
    k_proj_weight: Array | None = None,
    v_proj_weight: Array | None = None,
    static_k: Array | None = None,
    static_v: Array | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
    *,
    num_kv_heads: int | None = None,
    rotate: Callable[[Array, int], Array] | None = None,
    past: int = 0,
    gather: Keys | None = None,
    generator: Generator | None = None,
) -> tuple[Array, Array | None]:
    """y = (softmax(q k^T / sqrt(head_dim) + mask) v, heads side by side) W_o; q, k, v = query W_q, key W_k, value W_v.

    In the masks True means: not seen, as in PyTorch (`scaled_dot_product_attention` has it the other way
    round); floats are added.  `is_causal` adds the triangle in which query i sees keys 0 to past + i.  A query that
    sees no key gives 0.  `static_k`, `static_v` (batch * heads, keys, head_dim) stand for the projected keys and
    values.  Beyond PyTorch: `num_kv_heads` (grouped queries), ``rotate(heads, past)`` (rotary positions),
    ``gather(k, v)`` (all keys and values of a cache, of which the first `past` are older than the query).

    Shapes: query (batch, length, embed), key (batch, keys, embed), value likewise, where PyTorch has (length,
    batch, embed), all without batch if query is; weights (in, out): in_proj (embed, embed + 2 kv_heads head_dim) or
    three of them, out_proj (embed, embed); bias_k, bias_v (1, 1, embed); key_padding_mask (batch, keys); attn_mask
    (length, keys) or (batch * heads, length, keys).  Returns the output, as the query, and the weights (batch,
    length, keys), or (batch, heads, length, keys), or None.
    Raises: ShapeError.  Derivative: every order.  Kernel: composition.
    Source: Vaswani et al., "Attention is all you need", NeurIPS 2017, section 3.2.2.

    >>> import numpy as np
    >>> x, w = np.array([[[1.0, 0.0], [0.0, 1.0]]]), np.eye(2)
    >>> wide, no = np.hstack([w, w, w]), None
    >>> y, shares = multi_head_attention_forward(x, x, x, 2, 1, wide, no, no, no, False, 0.0, w, no)
    >>> y.round(4)
    array([[[0.6698, 0.3302],
            [0.3302, 0.6698]]])
    """
    single = len(query.shape) == 2
    if single:
        same = (key is query, value is key)
        query = op.expand_dims(query, axis=0)
        key = query if same[0] else op.expand_dims(key, axis=0)
        value = key if same[1] else op.expand_dims(value, axis=0)
        key_padding_mask = None if key_padding_mask is None else op.expand_dims(key_padding_mask, axis=0)
    k: Any
    v: Any
    kv_heads = num_heads if num_kv_heads is None else num_kv_heads
    _check(query, key, value, embed_dim_to_check, num_heads, kv_heads)
    size = embed_dim_to_check // num_heads
    widths = (embed_dim_to_check, kv_heads * size, kv_heads * size)
    biases: Any = (None,) * 3 if in_proj_bias is None else _columns(in_proj_bias, widths)
    if use_separate_proj_weight or static_k is not None or not query is key is value:
        weights: Any = (q_proj_weight, k_proj_weight, v_proj_weight)
        if not use_separate_proj_weight:
            weights = _columns(in_proj_weight, widths)
        wanted = (True, static_k is None, static_v is None)
        q, k, v = (
            ops.dense(x, w, b) if want else None
            for x, w, b, want in zip((query, key, value), weights, biases, wanted, strict=True)
        )
    else:  # one product for all three
        q, k, v = _columns(ops.dense(query, in_proj_weight, in_proj_bias), widths)
    extra = 0  # keys that every query sees
    if bias_k is not None and bias_v is not None:
        k, v = (
            op.concat([x, op.broadcast_to(bias, (x.shape[0], 1, x.shape[2]))], axis=1)
            for x, bias in ((k, bias_k), (v, bias_v))
        )
        extra += 1
    q = split_heads(q, num_heads)
    k = split_heads(k, kv_heads) if static_k is None else _apart(static_k, kv_heads)
    v = split_heads(v, kv_heads) if static_v is None else _apart(static_v, kv_heads)
    if rotate is not None:
        q, k = rotate(q, past), rotate(k, past)
    if gather is not None:
        k, v = gather(k, v)
    if add_zero_attn:
        k, v = (op.pad(x, ((0, 0), (0, 0), (0, 1), (0, 0))) for x in (k, v))
        extra += 1
    hidden = _hidden(attn_mask, key_padding_mask, num_heads, q.shape[0], q.shape[2], k.shape[2] - extra)
    fused = is_causal and not extra and not need_weights  # then the kernel knows the triangle
    if is_causal and not fused and (q.shape[2], k.shape[2]) != (1, past + 1 + extra):
        hidden.append(op.logical_not(causal_mask(q, q.shape[2], k.shape[2] - extra, past)))
    mask = _seen(hidden, extra)
    p = dropout_p if training else 0.0
    if need_weights:
        if kv_heads != num_heads:
            k, v = each_head(k, num_heads // kv_heads), each_head(v, num_heads // kv_heads)
        shares = attention_weights(q, k, mask)
        if p:
            shares = ops.dropout(shares, per_example((generator or default_generator()).key()), p=p)
        heads = op.matmul(shares, v)
    else:
        grouped = kv_heads != num_heads
        heads = attend(q, k, v, mask, p, causal=fused, past=past, grouped=grouped, generator=generator)
        shares = None
    y = ops.dense(join_heads(heads), out_proj_weight, out_proj_bias)
    if shares is not None and average_attn_weights:
        shares = op.mean(shares, axis=1)
    if single:
        y, shares = y[0], None if shares is None else shares[0]
    return y, shares


def _check(query: Array, key: Array, value: Array, embed: int, heads: int, kv_heads: int) -> None:
    three = [("query", query, "batch, length, embed"), ("key", key, "batch, keys, ..."), ("value", value, "as key")]
    what = ""
    if any(len(x.shape) != 3 for _, x, _ in three):
        what, need = "three sequences are needed", "need 3 dimensions each, or 2 each"
    elif query.shape[-1] != embed or embed % heads or heads % kv_heads:
        what = f"{query.shape[-1]} features for an embedding of {embed} in {heads} heads, {kv_heads} of keys"
        need = "need query.shape[-1] == embed_dim, a multiple of num_heads, itself one of num_kv_heads"
    elif key.shape[:2] != value.shape[:2] or query.shape[0] != key.shape[0]:
        what, need = "batches or lengths differ", "need equal batches, and as many values as keys"
    if what:
        lines = [operand(name, x, role) for name, x, role in three]
        raise ShapeError(message(f"multi_head_attention_forward(query, key, value): {what}", lines, need))


def _columns(x: Array, widths: tuple[int, ...]) -> list[Array]:
    """Cut the last axis into parts of these widths."""
    ends = [sum(widths[: i + 1]) for i in range(len(widths))]
    return [x[..., end - width : end] for end, width in zip(ends, widths, strict=True)]


def _apart(x: Array, heads: int) -> Array:
    """Return (batch * heads, ...) as (batch, heads, ...)."""
    return op.reshape(x, shape=(-1, heads, *x.shape[1:]))


def split_heads(x: Array, heads: int) -> Array:
    """Return (batch, length, features) as (batch, heads, length, features / heads)."""
    batch, length, features = x.shape
    return op.swapaxes(op.reshape(x, shape=(batch, length, heads, features // heads)), 1, 2)


def join_heads(x: Array) -> Array:
    """Return (batch, heads, length, head_dim) as (batch, length, heads * head_dim)."""
    batch, heads, length, size = x.shape
    return op.reshape(op.swapaxes(x, 1, 2), shape=(batch, length, heads * size))


def _hidden(
    attn_mask: Array | None, key_padding_mask: Array | None, heads: int, batch: int, length: int, keys: int
) -> list[Array]:
    """Return the masks that are given, each fit for (batch, heads, length, keys)."""
    masks = []
    if attn_mask is not None:
        shape = tuple(attn_mask.shape)
        if shape not in ((length, keys), (batch * heads, length, keys)):
            need = f"need {(length, keys)}, or {(batch * heads, length, keys)} for each head of each example"
            raise _misfit("attn_mask", attn_mask, "[batch * heads,] length, keys", need)
        if len(attn_mask.shape) == 3:
            attn_mask = _apart(attn_mask, heads)
        masks.append(attn_mask)
    if key_padding_mask is not None:
        if tuple(key_padding_mask.shape) != (batch, keys):
            raise _misfit("key_padding_mask", key_padding_mask, "batch, keys", f"need {(batch, keys)}")
        masks.append(op.reshape(key_padding_mask, shape=(batch, 1, 1, keys)))
    return masks


def _misfit(name: str, mask: Array, role: str, need: str) -> ShapeError:
    what = f"multi_head_attention_forward(query, key, value): {name} does not fit"
    return ShapeError(message(what, [operand(name, mask, role)], need))


def _seen(hidden: list[Array], extra: int) -> Array | None:
    """Return what `scaled_dot_product_attention` takes: whether a key is seen or, where floats are among them, a sum.

    After the masks' own keys come `extra` ones that are always seen.
    """
    total: Array | None = None
    plain = all(mask.dtype == bool_ for mask in hidden)
    for mask in hidden:
        part = op.where(mask, -math.inf, 0.0) if mask.dtype == bool_ and not plain else mask
        total = part if total is None else (op.logical_or if plain else op.add)(total, part)
    if total is None:
        return None
    if extra:
        around = [(0, 0)] * (len(total.shape) - 1) + [(0, extra)]
        total = op.pad(total, tuple(around), False if plain else 0.0)
    return op.logical_not(total) if plain else total
