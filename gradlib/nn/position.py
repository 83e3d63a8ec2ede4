"""Positions in a sequence: fixed waves, learned rows, rotations."""

from __future__ import annotations

from typing import Any

from ..core import op
from ..errors import ShapeError, message, operand
from . import functional as F
from . import init
from .host import beside
from .module import Module
from .parameter import Parameter

__all__ = ["LearnedPositionalEncoding", "PositionalEncoding", "RotaryEmbedding"]

Array = Any


class PositionalEncoding(Module):
    """y[t] = dropout(x[t] + P[t]); P[t, 2i] = sin(t / 10000^(2i / d_model)), P[t, 2i + 1] = cos of the same.

    Shapes: input (batch, length, d_model); ``layer(input, offset)`` begins at position `offset`.
    Raises: ShapeError.  Derivative: every order.  Kernel: composition.
    Source: Vaswani et al., "Attention is all you need", NeurIPS 2017, section 3.5.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.PositionalEncoding(4)(gl.zeros((1, 1, 4))).tolist()
    [[[0.0, 1.0, 0.0, 1.0]]]
    """

    def __init__(self, d_model: int, dropout: float = 0.0, *, base: float = 10000.0) -> None:
        self.d_model, self.dropout, self.base = d_model, dropout, base

    def forward(self, input: Array, offset: int = 0) -> Array:
        """Return the input with its positions."""
        length = _length(self, input, self.d_model)
        table = beside(F.sinusoidal_positions(length, self.d_model, offset=offset, base=self.base), input)
        return F.dropout(op.add(input, op.cast(table, dtype=input.dtype)), self.dropout, self.training)

    def extra_repr(self) -> str:
        """Return the size and what differs from the defaults."""
        return f"{self.d_model}" + ("" if not self.dropout else f", dropout={self.dropout}")


class LearnedPositionalEncoding(Module):
    """y[t] = dropout(x[t] + weight[t]): a learned row for each position.

    Shapes: input (batch, length, d_model), length at most `max_len`; weight (max_len, d_model), from N(0, 0.02^2);
    ``layer(input, offset)`` begins at position `offset`.
    Raises: ShapeError for a position that has no row.  Derivative: every order.  Kernel: composition.
    Source: Gehring et al., "Convolutional sequence to sequence learning", 2017, section 3.1; Devlin et al.,
    "BERT", 2019 (the initial values).

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.LearnedPositionalEncoding(10, 4)(gl.zeros((2, 3, 4))).shape
    (2, 3, 4)
    """

    def __init__(
        self, max_len: int, d_model: int, dropout: float = 0.0, *, device: str | None = None, dtype: Any = None
    ) -> None:
        self.max_len, self.d_model, self.dropout = max_len, d_model, dropout
        self.weight = Parameter(init.normal_(init.allocate((max_len, d_model), dtype, device), 0.0, 0.02))

    def forward(self, input: Array, offset: int = 0) -> Array:
        """Return the input with its positions."""
        length = _length(self, input, self.d_model)
        if offset + length > self.max_len:
            raise ShapeError(
                f"LearnedPositionalEncoding(input, offset): positions {offset} to {offset + length - 1} of "
                f"{self.max_len}\n  need a shorter sequence, or a larger max_len"
            )
        return F.dropout(op.add(input, self.weight[offset : offset + length]), self.dropout, self.training)

    def extra_repr(self) -> str:
        """Return the sizes and what differs from the defaults."""
        return f"{self.max_len}, {self.d_model}" + ("" if not self.dropout else f", dropout={self.dropout}")


class RotaryEmbedding(Module):
    """y[t] = x[t], its features turned in pairs by the angles t base^(-2i / features).

    See `functional.rotary_embedding`.  For `MultiheadAttention(rotary=...)`, which turns queries and keys with it.

    Shapes: input (..., length, features); ``layer(input, offset)`` begins at position `offset`.
    Raises: ShapeError.  Derivative: every order.  Kernel: composition.
    Source: Su et al., "RoFormer", 2021, equation 34.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.MultiheadAttention(8, 2, rotary=gl.nn.RotaryEmbedding(4))
    MultiheadAttention(8, 2
      (rotary): RotaryEmbedding(4)
      (out_proj): Dense(8, 8)
    )
    """

    def __init__(self, features: int, base: float = 10000.0, interleaved: bool = True) -> None:
        if features < 2 or features % 2:
            raise ShapeError(f"RotaryEmbedding(features): features is {features}\n  need an even number, 2 or more")
        self.features, self.base, self.interleaved = features, base, interleaved

    def forward(self, input: Array, offset: int = 0) -> Array:
        """Return the input, turned."""
        return F.rotary_embedding(input, offset, self.base, self.interleaved)

    def extra_repr(self) -> str:
        """Return the size and what differs from the defaults."""
        text = str(self.features) + ("" if self.base == 10000.0 else f", base={self.base}")
        return text if self.interleaved else f"{text}, interleaved=False"


def _length(layer: Module, input: Array, features: int) -> int:
    if len(input.shape) < 2 or input.shape[-1] != features:
        name = f"{type(layer).__name__}(input): the input does not fit"
        raise ShapeError(message(name, [operand("input", input, "..., length, features")], f"need {features} features"))
    return int(input.shape[-2])
