"""Positions in a sequence as numbers a network can use; users reach them as `nn.functional`."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ..core import op
from ..errors import ShapeError, message, operand
from .host import beside

__all__ = ["rotary_embedding", "sinusoidal_positions"]

Array = Any


def sinusoidal_positions(length: int, features: int, *, offset: int = 0, base: float = 10000.0) -> Any:
    """P[t, 2i] = sin((offset + t) / base^(2i / features)), P[t, 2i + 1] = cos of the same; a NumPy array, float64.

    Shapes: result (length, features).  Source: Vaswani et al., "Attention is all you need", NeurIPS 2017, section 3.5.

    >>> sinusoidal_positions(1, 4)
    array([[0., 1., 0., 1.]])
    """
    angles = _angles(length, (features + 1) // 2, features, offset, base)
    table = np.empty((length, features))
    table[:, 0::2], table[:, 1::2] = np.sin(angles), np.cos(angles[:, : features // 2])
    return table


@lru_cache(64)
def _angles(length: int, count: int, features: int, offset: int, base: float) -> Any:
    """Return (length, count): position t times the frequency base^(-2i / features)."""
    frequencies = base ** (-2.0 * np.arange(count) / features)
    return (offset + np.arange(length))[:, None] * frequencies


def rotary_embedding(input: Array, offset: int = 0, base: float = 10000.0, interleaved: bool = True) -> Array:
    """y[t] = x[t], its features turned in pairs by the angles (offset + t) base^(-2i / features), i = 0, 1, ...

    Then the product of a query at t and a key at s depends on t - s.  Pairs are neighbours, features 2i and 2i + 1,
    as in the paper, or (``interleaved=False``) i and features / 2 + i, as in the weights of GPT-NeoX and Llama.

    Shapes: input (..., length, features), features even; result the same.  Raises: ShapeError.
    Derivative: every order (linear).  Kernel: composition.
    Source: Su et al., "RoFormer: enhanced transformer with rotary position embedding", 2021, equation 34.

    >>> import numpy as np
    >>> rotary_embedding(np.array([[1.0, 0.0], [1.0, 0.0]])).round(4)
    array([[1.    , 0.    ],
           [0.5403, 0.8415]])
    """
    length, features = input.shape[-2:]
    if features % 2:
        lines = [operand("input", input, "..., length, features")]
        raise ShapeError(message("rotary_embedding(input): features come in pairs", lines, "need an even number"))
    half = features // 2
    angles = _angles(length, half, features, offset, base)
    cos, sin = (op.cast(beside(f(angles), input), dtype=input.dtype) for f in (np.cos, np.sin))
    if interleaved:
        pairs = op.reshape(input, shape=(*input.shape[:-1], half, 2))
        a, b = pairs[..., 0], pairs[..., 1]
    else:
        a, b = input[..., :half], input[..., half:]
    turned = (
        op.subtract(op.multiply(a, cos), op.multiply(b, sin)),
        op.add(op.multiply(b, cos), op.multiply(a, sin)),
    )
    if interleaved:
        return op.reshape(op.stack(turned, axis=-1), shape=tuple(input.shape))
    return op.concat(turned, axis=-1)
