"""Stacks of transformer layers, and the whole encoder-decoder."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np

from ..core import Tensor, current_backend
from ..errors import DTypeError, ShapeError, message, operand
from ..spec import as_dtype
from . import init
from .attention import KeyValueCache
from .containers import ModuleList
from .functional import Activation
from .module import Module
from .more_norms import LayerNorm
from .transformer import TransformerDecoderLayer, TransformerEncoderLayer

__all__ = ["Transformer", "TransformerDecoder", "TransformerEncoder"]

Array = Any


def _copies(name: str, layer: Any, count: int) -> ModuleList:
    if not isinstance(layer, Module):
        kind = f"{name.removeprefix('Transformer')} layer"
        raise DTypeError(
            f"{name}({kind.lower().replace(' ', '_')}): {layer!r} is not a Module\n  need a {name}Layer(...)"
        )
    if not isinstance(count, int) or count < 0:
        raise ShapeError(f"{name}(num_layers): num_layers is {count!r}\n  need an int of at least 0")
    return ModuleList(copy.deepcopy(layer) for _ in range(count))


class TransformerEncoder(Module):
    """y = norm(layer_n(... layer_1(x))): `num_layers` copies of a layer, which begin with the same weights.

    Called with the arguments of `TransformerEncoderLayer`, the first mask being `mask`.  PyTorch's
    `enable_nested_tensor` and `mask_check` choose an implementation and mean nothing here.
    Shapes: input and output (batch, length, d_model).  Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> encoder = gl.nn.TransformerEncoder(gl.nn.TransformerEncoderLayer(8, 2, 16), num_layers=2)
    >>> encoder(gl.tensor(np.ones((3, 5, 8), np.float32))).shape
    (3, 5, 8)
    """

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        self.layers = _copies("TransformerEncoder", encoder_layer, num_layers)
        self.num_layers, self.norm = num_layers, norm

    def forward(
        self,
        src: Array,
        mask: Array | None = None,
        src_key_padding_mask: Array | None = None,
        is_causal: bool | None = None,
        *,
        cache: KeyValueCache | None = None,
    ) -> Array:
        """Return the encoded sequence."""
        more = {} if cache is None else {"cache": cache}
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask, bool(is_causal), **more)
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(Module):
    """y = norm(layer_n(... layer_1(x, memory), memory)): `num_layers` copies of a layer, which begin alike.

    Called with the arguments of `TransformerDecoderLayer`.
    Shapes: target and output (batch, length, d_model), memory (batch, memory length, d_model).
    Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> decoder = gl.nn.TransformerDecoder(gl.nn.TransformerDecoderLayer(8, 2, 16), num_layers=2)
    >>> target, memory = gl.tensor(np.ones((3, 5, 8), np.float32)), gl.tensor(np.ones((3, 7, 8), np.float32))
    >>> decoder(target, memory).shape
    (3, 5, 8)
    """

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        self.layers = _copies("TransformerDecoder", decoder_layer, num_layers)
        self.num_layers, self.norm = num_layers, norm

    def forward(
        self,
        tgt: Array,
        memory: Array,
        tgt_mask: Array | None = None,
        memory_mask: Array | None = None,
        tgt_key_padding_mask: Array | None = None,
        memory_key_padding_mask: Array | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
        *,
        cache: KeyValueCache | None = None,
    ) -> Array:
        """Return the decoded sequence."""
        masks = (tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)
        more = {} if cache is None else {"cache": cache}
        for layer in self.layers:
            tgt = layer(tgt, memory, *masks, bool(tgt_is_causal), memory_is_causal, **more)
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(Module):
    """y = decoder(target, encoder(source)): stacks of `TransformerEncoderLayer` and `TransformerDecoderLayer`.

    Parameters: PyTorch's, except that ``batch_first=True``, sequences (batch, length, d_model), is the default.
    Weights that are matrices are drawn by Xavier's uniform rule.  The masks are those of the layers; see there.

    Shapes: source (batch, length, d_model), target and output (batch, target length, d_model).
    Raises: ShapeError.  Derivative: every order.  Kernel: composition.
    Source: Vaswani et al., "Attention is all you need", NeurIPS 2017.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> model = gl.nn.Transformer(8, 2, num_encoder_layers=1, num_decoder_layers=1, dim_feedforward=16)
    >>> source, target = gl.tensor(np.ones((3, 7, 8), np.float32)), gl.tensor(np.ones((3, 5, 8), np.float32))
    >>> model(source, target, tgt_is_causal=True).shape
    (3, 5, 8)
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = "relu",
        custom_encoder: Module | None = None,
        custom_decoder: Module | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = True,
        norm_first: bool = False,
        bias: bool = True,
        *,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        sizes = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias)
        placed: dict[str, Any] = {"device": device, "dtype": dtype}

        def norm() -> LayerNorm:
            return LayerNorm(d_model, layer_norm_eps, bias=bias, **placed)

        self.encoder = custom_encoder or TransformerEncoder(
            TransformerEncoderLayer(*sizes, **placed), num_encoder_layers, norm()
        )
        self.decoder = custom_decoder or TransformerDecoder(
            TransformerDecoderLayer(*sizes, **placed), num_decoder_layers, norm()
        )
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first
        for parameter in self.parameters():
            if parameter.ndim > 1:
                init.xavier_uniform_(parameter)

    def forward(
        self,
        src: Array,
        tgt: Array,
        src_mask: Array | None = None,
        tgt_mask: Array | None = None,
        memory_mask: Array | None = None,
        src_key_padding_mask: Array | None = None,
        tgt_key_padding_mask: Array | None = None,
        memory_key_padding_mask: Array | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Array:
        """Return the target as the decoder makes it from the encoded source."""
        axis = 0 if self.batch_first else 1
        batches = (src.shape[axis], tgt.shape[axis]) if len(src.shape) == 3 else (1, 1)
        if batches[0] != batches[1] or {src.shape[-1], tgt.shape[-1]} != {self.d_model}:
            lines = [operand("src", src, "batch, length, d_model"), operand("tgt", tgt, "batch, length, d_model")]
            what = f"Transformer(src, tgt): batches of {batches[0]} and {batches[1]}"
            raise ShapeError(message(what, lines, f"need equal batches, and {self.d_model} features"))
        memory = self.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
        return self.decoder(
            tgt,
            memory,
            tgt_mask,
            memory_mask,
            tgt_key_padding_mask,
            memory_key_padding_mask,
            tgt_is_causal,
            memory_is_causal,
        )

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: str | None = None, dtype: Any = None) -> Tensor:
        """Return (sz, sz): 0 where query i may see key j, j <= i, -inf elsewhere; to be added to the logits."""
        values = np.triu(np.full((sz, sz), -math.inf), 1)
        return Tensor(current_backend(device).asarray(values.astype(as_dtype(dtype or "float32"))))
