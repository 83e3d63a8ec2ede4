"""The layers of a transformer: attention, then two dense layers, each with a residual and a normalisation."""

from __future__ import annotations

from typing import Any

from ..core import op
from .attention import KeyValueCache, MultiheadAttention
from .dense import Dense, then_dropped
from .functional import Activation
from .module import Module
from .more_norms import LayerNorm
from .position import RotaryEmbedding
from .regularize import Dropout

__all__ = ["TransformerDecoderLayer", "TransformerEncoderLayer"]

Array = Any


class _Layer(Module):
    """What both have in common: their parts, and the walk through them."""

    attentions: tuple[str, ...]

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = True,
        norm_first: bool = False,
        bias: bool = True,
        *,
        num_kv_heads: int | None = None,
        rotary: RotaryEmbedding | None = None,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        placed: dict[str, Any] = {"device": device, "dtype": dtype}
        for name in self.attentions:
            turned = rotary if name == "self_attn" else None
            layer = MultiheadAttention(
                d_model, nhead, dropout, bias, batch_first=batch_first, num_kv_heads=num_kv_heads, rotary=turned,
                **placed,
            )  # fmt: skip
            setattr(self, name, layer)
        self.linear1 = Dense(d_model, dim_feedforward, bias, activation=activation, **placed)
        self.dropout = Dropout(dropout)
        self.linear2 = Dense(dim_feedforward, d_model, bias, **placed)
        self.norm_first = norm_first
        for i in range(1, len(self.attentions) + 2):
            setattr(self, f"norm{i}", LayerNorm(d_model, layer_norm_eps, bias=bias, **placed))
        for i in range(1, len(self.attentions) + 2):
            setattr(self, f"dropout{i}", Dropout(dropout))

    def _around(self, i: int, x: Array, block: Any) -> Array:
        """Return x + block(x), with the norm before the block or after the sum."""
        norm, dropout = getattr(self, f"norm{i}"), getattr(self, f"dropout{i}")
        if self.norm_first:
            return op.add(x, dropout(block(norm(x))))
        return norm(op.add(x, dropout(block(x))))

    def _feed(self, i: int, x: Array) -> Array:
        """Return x + the two dense layers of x, as `_around` would: each one op with what follows it."""
        norm, dropout = getattr(self, f"norm{i}"), getattr(self, f"dropout{i}")
        hidden = then_dropped(self.linear1, norm(x) if self.norm_first else x, self.dropout)
        y = then_dropped(self.linear2, hidden, dropout, x)
        return y if self.norm_first else norm(y)

    def extra_repr(self) -> str:
        """Return what differs from the default."""
        return "norm_first=True" if self.norm_first else ""


class TransformerEncoderLayer(_Layer):
    """y = norm(h + W_2 act(W_1 h)), h = norm(x + attention(x, x, x)); with `norm_first` x + attention(norm(x)), ...

    Parameters: PyTorch's, except that ``batch_first=True``, sequences (batch, length, d_model), is the default;
    `num_kv_heads` and `rotary` are those of `MultiheadAttention`.  Called with `src_mask` (length, length) and
    `src_key_padding_mask` (batch, length), True where a key is not seen, or floats to add, and `is_causal`.

    Shapes: input and output (batch, length, d_model).  Raises: ShapeError.  Derivative: every order.
    Kernel: composition.  Source: Vaswani et al., "Attention is all you need", NeurIPS 2017, section 3.1;
    norm_first: Xiong et al., "On layer normalization in the transformer architecture", ICML 2020.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> layer = gl.nn.TransformerEncoderLayer(8, 2, 16)
    >>> layer(gl.tensor(np.ones((3, 5, 8), np.float32))).shape
    (3, 5, 8)
    """

    attentions = ("self_attn",)
    self_attn: MultiheadAttention

    def forward(
        self,
        src: Array,
        src_mask: Array | None = None,
        src_key_padding_mask: Array | None = None,
        is_causal: bool = False,
        *,
        cache: KeyValueCache | None = None,
    ) -> Array:
        """Return the sequence, each position with what it attended to."""

        def attend(x: Array) -> Array:
            return self.self_attn(
                x, x, x, src_key_padding_mask, need_weights=False, attn_mask=src_mask, is_causal=is_causal, cache=cache
            )[0]

        return self._feed(2, self._around(1, src, attend))


class TransformerDecoderLayer(_Layer):
    """y = norm(h' + W_2 act(W_1 h')), h' = norm(h + attention(h, memory, memory)), h = norm(x + attention(x, x, x)).

    Parameters: as `TransformerEncoderLayer`.  Called with the target, the memory, and for each of the two
    attentions a mask, a key padding mask, and whether it is causal; with a `cache` (`KeyValueCache`) the target may
    come in parts, and the memory is projected once.

    Shapes: target and output (batch, length, d_model), memory (batch, memory length, d_model).
    Raises: ShapeError.  Derivative: every order.  Kernel: composition.
    Source: Vaswani et al., "Attention is all you need", NeurIPS 2017, section 3.1.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> layer = gl.nn.TransformerDecoderLayer(8, 2, 16)
    >>> target, memory = gl.tensor(np.ones((3, 5, 8), np.float32)), gl.tensor(np.ones((3, 7, 8), np.float32))
    >>> layer(target, memory, tgt_is_causal=True).shape
    (3, 5, 8)
    """

    attentions = ("self_attn", "multihead_attn")
    self_attn: MultiheadAttention
    multihead_attn: MultiheadAttention

    def forward(
        self,
        tgt: Array,
        memory: Array,
        tgt_mask: Array | None = None,
        memory_mask: Array | None = None,
        tgt_key_padding_mask: Array | None = None,
        memory_key_padding_mask: Array | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
        *,
        cache: KeyValueCache | None = None,
    ) -> Array:
        """Return the target, each position with what it attended to in itself and in the memory."""

        def attend(x: Array) -> Array:
            return self.self_attn(
                x, x, x, tgt_key_padding_mask, need_weights=False, attn_mask=tgt_mask, is_causal=tgt_is_causal,
                cache=cache,
            )[0]  # fmt: skip

        def attend_to_memory(x: Array) -> Array:
            return self.multihead_attn(
                x, memory, memory, memory_key_padding_mask, need_weights=False, attn_mask=memory_mask,
                is_causal=memory_is_causal, cache=cache, memory=True,
            )[0]  # fmt: skip

        x = self._around(1, tgt, attend)
        x = self._around(2, x, attend_to_memory)
        return self._feed(3, x)
