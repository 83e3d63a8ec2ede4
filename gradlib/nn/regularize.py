"""Layers that act in training only."""

from __future__ import annotations

from typing import Any

from ..errors import ShapeError
from ..ops import Generator
from . import functional as F
from .module import Module


class Dropout(Module):
    """y = x / (1 - p) with probability 1 - p, else 0, in training; y = x in evaluation.

    The mask comes from `generator`, by default that of `gl.manual_seed`: the same on every device.

    Raises
    ------
    ShapeError : p is not in [0, 1].

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.Dropout(0.5).eval()(gl.tensor([1.0, 2.0]))
    tensor([1., 2.], dtype=float32)
    """

    def __init__(self, p: float = 0.5, *, generator: Generator | None = None) -> None:
        if not 0 <= p <= 1:
            raise ShapeError(f"Dropout(p): p is {p}\n  need 0 <= p <= 1")
        self.p, self.generator = p, generator

    def forward(self, input: Any) -> Any:
        """Return the input with some elements dropped."""
        return F.dropout(input, self.p, self.training, generator=self.generator)

    def extra_repr(self) -> str:
        """Return p."""
        return f"p={self.p}"
