"""A softmax over very many classes, most of them rare; and the cross-entropy of a linear map."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ..core import Tensor, op
from ..errors import ShapeError, message, operand
from . import functional as F
from .containers import ModuleList, Sequential
from .dense import Dense
from .host import beside, known, on_host
from .module import Module

__all__ = ["AdaptiveLogSoftmaxWithLoss", "LinearCrossEntropyLoss"]

Array = Any


class LogProbabilityAndLoss(NamedTuple):
    """What `AdaptiveLogSoftmaxWithLoss` returns."""

    output: Array
    loss: Array


class AdaptiveLogSoftmaxWithLoss(Module):
    """loss = -mean of log p(target), p a softmax whose rare classes share an entry each cluster, split again within.

    Classes are sorted by frequency.  The `head` tells the first cutoffs[0] apart, and the clusters between the
    cutoffs; cluster i goes through in_features / div_value^(i + 1) features.  ``layer(input, target)`` returns
    (output, loss): the log-probability of each target, and the loss; only the clusters that occur are computed.
    ``layer.log_prob(input)`` returns all of them, ``layer.predict(input)`` the likeliest classes.

    Shapes: input (batch, in_features), target integers (batch,), or without the batch; output as the target.
    State: head, tail.i.0, tail.i.1, all `Dense`.  Raises: ShapeError, ValueError, IndexError.
    Derivative: every order.  Kernel: composition.
    Source: Grave et al., "Efficient softmax approximation for GPUs", ICML 2017.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> layer = gl.nn.AdaptiveLogSoftmaxWithLoss(8, 20, cutoffs=[4, 10], div_value=2.0)
    >>> x = gl.tensor(np.ones((3, 8), np.float32))
    >>> output, loss = layer(x, gl.tensor([0, 7, 19]))
    >>> output.shape, layer.log_prob(x).shape
    ((3,), (3, 20))
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        *,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        ends = [*cutoffs, n_classes]
        if not cutoffs or ends[0] < 1 or any(a >= b or int(a) != a for a, b in pairwise(ends)):
            raise ValueError(
                f"AdaptiveLogSoftmaxWithLoss(cutoffs): {list(cutoffs)} of {n_classes} classes\n"
                f"  need ascending integers from 1 to {n_classes - 1}"
            )
        self.in_features, self.n_classes, self.cutoffs = in_features, n_classes, ends
        self.div_value, self.head_bias = div_value, head_bias
        placed: dict[str, Any] = {"device": device, "dtype": dtype}
        self.head = Dense(in_features, ends[0] + len(ends) - 1, head_bias, **placed)
        self.tail = ModuleList()
        for i, (low, high) in enumerate(pairwise(ends)):
            narrow = int(in_features // div_value ** (i + 1))
            if narrow < 1:
                what = f"cluster {i} has {in_features} / {div_value}^{i + 1} features"
                raise ValueError(f"AdaptiveLogSoftmaxWithLoss(div_value): {what}\n  need a smaller div_value")
            self.tail.append(
                Sequential(Dense(in_features, narrow, False, **placed), Dense(narrow, high - low, False, **placed))
            )

    def forward(self, input: Array, target: Array) -> LogProbabilityAndLoss:
        """Return the log-probability of each target, and the loss."""
        single = len(target.shape) == 0
        if single:
            input, target = op.expand_dims(input, axis=0), op.expand_dims(target, axis=0)
        if len(input.shape) != 2 or tuple(target.shape) != (input.shape[0],):
            lines = [operand("input", input, "batch, features"), operand("target", target, "batch")]
            raise ShapeError(message("AdaptiveLogSoftmaxWithLoss(input, target): the shapes do not fit", lines))
        first = self.cutoffs[0]
        entry = target
        for i, low in enumerate(self.cutoffs[:-1]):
            entry = op.where(op.greater_equal(target, low), first + i, entry)
        head = F.log_softmax(self.head(input))
        output = op.take_along_axis(head, op.expand_dims(entry, axis=-1), axis=-1)[:, 0]
        output = op.add(output, self._selected(input, on_host(target)) if known(target) else self._all(input, target))
        loss = op.negative(op.mean(output))
        return LogProbabilityAndLoss(output[0] if single else output, loss)

    def _within(self, i: int, input: Array, target: Array) -> Array:
        """Return the log-probability of targets within their cluster."""
        inside = F.log_softmax(self.tail[i](input))
        return op.take_along_axis(inside, op.expand_dims(target, axis=-1), axis=-1)[:, 0]

    def _selected(self, input: Array, target: Any) -> Array:
        """Return 0 for frequent classes, else what `_within` does, of the rows that need it."""
        if target.size and not 0 <= target.min() <= target.max() < self.n_classes:
            raise IndexError(
                f"AdaptiveLogSoftmaxWithLoss(target): from {target.min()} to {target.max()}\n"
                f"  need 0 <= target < {self.n_classes}"
            )
        cluster = np.searchsorted(self.cutoffs, target, side="right")
        rows = np.flatnonzero(cluster == 0)
        parts, order = [op.zeros_like(op.take(input[:, 0], beside(rows, input), axis=0))], [rows]
        for i, low in enumerate(self.cutoffs[:-1]):
            rows = np.flatnonzero(cluster == i + 1)
            if len(rows):
                chosen = op.take(input, beside(rows, input), axis=0)
                parts.append(self._within(i, chosen, beside(target[rows] - low, input)))
                order.append(rows)
        back = np.argsort(np.concatenate(order), kind="stable")
        return op.take(op.concat(parts), beside(back, input), axis=0)

    def _all(self, input: Array, target: Array) -> Array:
        """Return the same where the targets cannot be read: every cluster for every row."""
        total: Array = op.zeros_like(input[:, 0])
        for i, (low, high) in enumerate(pairwise(self.cutoffs)):
            here = op.logical_and(op.greater_equal(target, low), op.less(target, high))
            place = op.where(here, op.subtract(target, low), 0)
            total = op.where(here, self._within(i, input, place), total)
        return total

    def log_prob(self, input: Array) -> Array:
        """Return the log-probabilities of all classes, (batch, n_classes)."""
        head = F.log_softmax(self.head(input))
        first = self.cutoffs[0]
        parts = [head[:, :first]]
        for i in range(len(self.cutoffs) - 1):
            parts.append(op.add(F.log_softmax(self.tail[i](input)), head[:, first + i : first + i + 1]))
        return op.concat(parts, axis=1)

    def predict(self, input: Array) -> Array:
        """Return the likeliest class of each example, (batch,)."""
        return op.argmax(self.log_prob(input), axis=1)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.in_features}, {self.n_classes}, cutoffs={self.cutoffs[:-1]}"


class LinearCrossEntropyLoss(Module):
    """loss = cross_entropy(input @ W + b, target), W and b learned; see `functional.cross_entropy`.

    With `out_features` (d_1, ...) there are that many losses of an example, all from the same features.

    Shapes: input (batch, in_features); target integers (batch, *out_features), or probabilities (batch,
    *out_features, num_classes).  State: linear (`Dense`), weight.  PyTorch's `options` choose how memory is used
    and are not here.  Raises: ShapeError, DTypeError.  Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> loss = gl.nn.LinearCrossEntropyLoss(4, 10)
    >>> loss(gl.tensor(np.ones((3, 4), np.float32)), gl.tensor([1, 2, 3])).shape
    ()
    """

    weight: Tensor | None

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: Sequence[int] = (),
        bias: bool = False,
        device: str | None = None,
        dtype: Any = None,
        reduction: str = "mean",
        weight: Tensor | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
    ) -> None:
        self.num_classes, self.out_features = num_classes, tuple(out_features)
        width = num_classes * int(np.prod(self.out_features))
        self.linear = Dense(in_features, width, bias, device=device, dtype=dtype)
        self.register_buffer("weight", weight)
        self.reduction, self.label_smoothing = reduction, label_smoothing
        self.ignore_index = -100 if ignore_index is None else ignore_index

    def forward(self, input: Array, target: Array) -> Array:
        """Return the loss."""
        logits = self.linear(input)  # (..., classes, *out_features), as PyTorch has the rows of its weight
        logits = op.reshape(logits, shape=(*input.shape[:-1], self.num_classes, *self.out_features))
        logits = op.moveaxis(logits, len(input.shape) - 1, -1) if self.out_features else logits
        return F.cross_entropy(
            logits, target, self.weight, self.ignore_index, self.reduction, label_smoothing=self.label_smoothing
        )

    def extra_repr(self) -> str:
        """Return what differs from the defaults."""
        shown = {"out_features": (), "reduction": "mean", "label_smoothing": 0.0}
        return ", ".join(f"{key}={getattr(self, key)!r}" for key, value in shown.items() if getattr(self, key) != value)
