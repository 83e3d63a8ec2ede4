"""Losses as modules: ``loss(prediction, target)``."""

from __future__ import annotations

from typing import Any

from ..core import Tensor
from ..errors import DTypeError
from . import functional as F
from .module import Module


class CrossEntropyLoss(Module):
    """loss = -log softmax(input)[target], averaged over the batch (``reduction``: "mean", "sum" or "none").

    Shapes: input (..., classes), unnormalised; target integers (...), or probabilities (..., classes).
    `weight` (classes,) scales each class; `ignore_index` is a target that does not count;
    `label_smoothing` mixes that much of the uniform distribution into the target.

    Examples
    --------
    >>> import gradlib as gl
    >>> round(float(gl.nn.CrossEntropyLoss()(gl.tensor([[0.0, 0.0]]), gl.tensor([1]))), 4)
    0.6931
    """

    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        if not isinstance(ignore_index, int):
            raise DTypeError(
                f"CrossEntropyLoss(weight, ignore_index): ignore_index is of type {type(ignore_index).__name__}\n"
                f"  need an int; the loss of an input and a target is CrossEntropyLoss()(input, target)"
            )
        self.register_buffer("weight", weight)
        self.ignore_index, self.reduction, self.label_smoothing = ignore_index, reduction, label_smoothing

    def forward(self, input: Any, target: Any) -> Any:
        """Return the loss."""
        return F.cross_entropy(input, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing)

    def extra_repr(self) -> str:
        """Return what differs from the defaults."""
        shown = {"ignore_index": -100, "reduction": "mean", "label_smoothing": 0.0}
        return ", ".join(f"{key}={getattr(self, key)!r}" for key, value in shown.items() if getattr(self, key) != value)


class MSELoss(Module):
    """loss = (input - target)^2, averaged over all elements (``reduction``: "mean", "sum" or "none").

    Shapes: input and target equal; the loss (), or with ``reduction="none"`` as the input.  Raises: ShapeError.

    Examples
    --------
    >>> import gradlib as gl
    >>> float(gl.nn.MSELoss()(gl.tensor([1.0, 2.0]), gl.tensor([1.0, 4.0])))
    2.0
    """

    def __init__(self, reduction: str = "mean") -> None:
        self.reduction = reduction

    def forward(self, input: Any, target: Any) -> Any:
        """Return the loss."""
        return F.mse_loss(input, target, self.reduction)

    def extra_repr(self) -> str:
        """Return what differs from the default."""
        return "" if self.reduction == "mean" else f"reduction={self.reduction!r}"
