"""Attention of several heads as a layer, and the cache of its keys and values."""

from __future__ import annotations

import math
from typing import Any

from ..core import op
from ..errors import ShapeError
from . import functional as F
from . import init
from .dense import Dense
from .module import Module
from .parameter import Parameter
from .position import RotaryEmbedding

__all__ = ["KeyValueCache", "MultiHeadAttention", "MultiheadAttention"]

Array = Any


class KeyValueCache:
    """The keys and values of the positions a decoder has seen, for each attention layer that it is passed through.

    One cache goes with one batch of sequences.  A layer that attends to its own sequence adds the new positions'
    keys and values; one that attends to a memory projects that once and keeps it.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> layer, x = gl.nn.MultiheadAttention(4, 2), gl.tensor(np.eye(4, dtype=np.float32)[None])
    >>> whole, _ = layer(x, x, x, is_causal=True)
    >>> cache = gl.nn.KeyValueCache()
    >>> for t in range(4):
    ...     new = x[:, t : t + 1]
    ...     y, _ = layer(new, new, new, is_causal=True, cache=cache)
    >>> bool(abs(y[:, 0] - whole[:, 3]).max() < 1e-6), cache.length
    (True, 4)
    """

    def __init__(self) -> None:
        self._kept: dict[Module, tuple[Array, Array]] = {}
        self._memory: dict[Module, tuple[Array, Array]] = {}

    @property
    def length(self) -> int:
        """How many positions have been seen."""
        return max((int(k.shape[2]) for k, _ in self._kept.values()), default=0)

    def seen(self, layer: Module) -> int:
        """Return how many positions a layer has seen."""
        return int(self._kept[layer][0].shape[2]) if layer in self._kept else 0

    def extend(self, layer: Module, k: Array, v: Array) -> tuple[Array, Array]:
        """Add keys and values (batch, heads, new, head_dim) of a layer; return all of them."""
        if layer in self._kept:
            k, v = (op.concat([old, new], axis=2) for old, new in zip(self._kept[layer], (k, v), strict=True))
        self._kept[layer] = (k, v)
        return k, v

    def memory(self, layer: Module) -> tuple[Array | None, Array | None]:
        """Return the keys and values of the memory that a layer attends to, each (batch * heads, keys, head_dim)."""
        if layer not in self._memory:
            return None, None
        k, v = (op.reshape(x, shape=(-1, *x.shape[2:])) for x in self._memory[layer])
        return k, v

    def remember(self, layer: Module, k: Array, v: Array) -> tuple[Array, Array]:
        """Keep the keys and values of a memory; return them."""
        self._memory[layer] = (k, v)
        return k, v

    def reorder(self, index: Array) -> None:
        """Let example i go on from what example index[i] has seen, as a beam search does."""
        for kept in (self._kept, self._memory):
            for layer, pair in kept.items():
                k, v = (op.take(x, index, axis=0) for x in pair)
                kept[layer] = (k, v)


class MultiheadAttention(Module):
    """y = (softmax(q k^T / sqrt(head_dim) + mask) v, heads side by side) W_o; q, k, v = query W_q, key W_k, value W_v.

    ``layer(query, key, value)`` returns (y, weights); also called `MultiHeadAttention`.  Sequences are (batch,
    length, features), as everywhere here: ``batch_first=False``, PyTorch's default, is for (length, batch, features).

    Parameters
    ----------
    embed_dim, num_heads : features of the query and of y; how many heads share them.
    dropout : which part of the weights is dropped in training.
    bias : whether the four projections have one.
    add_bias_kv, add_zero_attn : one more key and value for each sequence: learned, zero.
    kdim, vdim : features of key and value, by default embed_dim.
    num_kv_heads : heads of keys and values, each for num_heads / num_kv_heads heads of queries; not in PyTorch.
    rotary : a `RotaryEmbedding` of head_dim features that turns queries and keys; not in PyTorch.

    Called with `key_padding_mask` (batch, keys) and `attn_mask` (length, keys) or (batch * heads, length, keys),
    True where a key is not seen, or floats to add; `is_causal` for the triangle; ``need_weights=False`` returns
    (y, None), without the weights (averaged over the heads unless ``average_attn_weights=False``); `cache`, a
    `KeyValueCache`, for sequences that come in parts, with ``memory=True`` where key and value stay the same.

    State: in_proj_weight (embed, embed + 2 kv_heads head_dim), in_proj_bias, or q_proj_weight, k_proj_weight and
    v_proj_weight where kdim or vdim is another; bias_k, bias_v (1, 1, kv_heads head_dim); out_proj.
    Raises: ShapeError; ValueError for a cache beside `add_bias_kv`.  Derivative: every order.  Kernel: composition.
    Source: Vaswani et al., "Attention is all you need", NeurIPS 2017; Ainslie et al., "GQA", EMNLP 2023.
    Shapes: query and y (batch, length, embed_dim), key (batch, keys, kdim), value (batch, keys, vdim).

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> layer, x = gl.nn.MultiheadAttention(8, 2), gl.tensor(np.ones((3, 5, 8), np.float32))
    >>> y, weights = layer(x, x, x, is_causal=True)
    >>> y.shape, weights.shape
    ((3, 5, 8), (3, 5, 5))
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = True,
        *,
        num_kv_heads: int | None = None,
        rotary: RotaryEmbedding | None = None,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        if min(embed_dim, num_heads, kv_heads) < 1 or embed_dim % num_heads or num_heads % kv_heads:
            raise ShapeError(
                f"MultiheadAttention(embed_dim, num_heads): {embed_dim} features in {num_heads} heads, {kv_heads} of "
                f"keys\n  need embed_dim a multiple of num_heads, itself one of num_kv_heads"
            )
        self.embed_dim, self.num_heads, self.num_kv_heads = embed_dim, num_heads, kv_heads
        self.head_dim = embed_dim // num_heads
        self.dropout, self.batch_first, self.add_zero_attn = dropout, batch_first, add_zero_attn
        self.kdim, self.vdim = kdim or embed_dim, vdim or embed_dim
        self.rotary = rotary
        if rotary is not None and rotary.features != self.head_dim:
            raise ShapeError(f"MultiheadAttention(rotary): it turns {rotary.features} features, need {self.head_dim}")
        narrow = kv_heads * self.head_dim
        settings: dict[str, Any] = {"device": device, "dtype": dtype}
        self.q_proj_weight = self.k_proj_weight = self.v_proj_weight = self.in_proj_weight = None
        if self.kdim == self.vdim == embed_dim:
            self.in_proj_weight = Parameter(init.allocate((embed_dim, embed_dim + 2 * narrow), **settings))
        else:
            self.q_proj_weight = Parameter(init.allocate((embed_dim, embed_dim), **settings))
            self.k_proj_weight = Parameter(init.allocate((self.kdim, narrow), **settings))
            self.v_proj_weight = Parameter(init.allocate((self.vdim, narrow), **settings))
        self.in_proj_bias = Parameter(init.allocate((embed_dim + 2 * narrow,), **settings)) if bias else None
        self.bias_k = Parameter(init.allocate((1, 1, narrow), **settings)) if add_bias_kv else None
        self.bias_v = Parameter(init.allocate((1, 1, narrow), **settings)) if add_bias_kv else None
        self.out_proj = Dense(embed_dim, embed_dim, bias, **settings)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the projections by Xavier's uniform rule, the extra key and value normally; biases are 0."""
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        self.out_proj.reset_parameters()
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.zeros_(bias)
        for extra in (self.bias_k, self.bias_v):
            if extra is not None:
                init.normal_(extra, 0.0, 1.0 / math.sqrt(extra.shape[2]))

    def forward(
        self,
        query: Array,
        key: Array,
        value: Array,
        key_padding_mask: Array | None = None,
        need_weights: bool = True,
        attn_mask: Array | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
        *,
        cache: KeyValueCache | None = None,
        memory: bool = False,
    ) -> tuple[Array, Array | None]:
        """Return (y, weights or None)."""
        swapped = not self.batch_first and len(query.shape) == 3
        extra = {} if cache is None else self._kept(cache, memory)
        packed = self.in_proj_weight  # read once: a parametrized one is computed when it is read
        if swapped:
            query, key, value = _swapped(query, key, value)
        y, shares = F.multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            packed,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            self.out_proj.weight,
            self.out_proj.bias,
            self.training,
            key_padding_mask,
            need_weights,
            attn_mask,
            packed is None,
            self.q_proj_weight,
            self.k_proj_weight,
            self.v_proj_weight,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
            num_kv_heads=self.num_kv_heads,
            rotate=self.rotary,
            **extra,
        )
        return (op.swapaxes(y, 0, 1) if swapped else y), shares

    def _kept(self, cache: KeyValueCache, memory: bool) -> dict[str, Any]:
        """Return what the function needs to go on from a cache."""
        if self.bias_k is not None or (self.rotary is not None and memory):
            raise ValueError(
                "MultiheadAttention(cache): it does not go with add_bias_kv, nor with rotary positions of a memory\n"
                "  need a layer without, or no cache"
            )
        if not memory:
            return {"past": cache.seen(self), "gather": lambda k, v: cache.extend(self, k, v)}
        k, v = cache.memory(self)
        if k is not None:
            return {"static_k": k, "static_v": v}
        return {"gather": lambda k, v: cache.remember(self, k, v)}

    def extra_repr(self) -> str:
        """Return the sizes and what differs from the defaults."""
        text = f"{self.embed_dim}, {self.num_heads}"
        shown: dict[str, tuple[Any, Any]] = {
            "dropout": (self.dropout, 0.0),
            "bias": (self.in_proj_bias is not None, True),
            "add_bias_kv": (self.bias_k is not None, False),
            "add_zero_attn": (self.add_zero_attn, False),
            "kdim": (self.kdim, self.embed_dim),
            "vdim": (self.vdim, self.embed_dim),
            "batch_first": (self.batch_first, True),
            "num_kv_heads": (self.num_kv_heads, self.num_heads),
        }
        return text + "".join(f", {key}={value!r}" for key, (value, default) in shown.items() if value != default)


MultiHeadAttention = MultiheadAttention


def _swapped(query: Array, key: Array, value: Array) -> tuple[Array, Array, Array]:
    """Return (length, batch, features) as (batch, length, features); what is one array stays one."""
    first = op.swapaxes(query, 0, 1)
    second = first if key is query else op.swapaxes(key, 0, 1)
    return first, second, second if value is key else op.swapaxes(value, 0, 1)
