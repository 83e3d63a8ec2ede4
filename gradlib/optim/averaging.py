"""The exponential moving average of a model's weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..core import Tensor, no_grad
from ..errors import CheckpointError
from ..kernel import Table
from ..nn import Module
from ..ops.tensors import move_average


class ExponentialMovingAverage:
    """a <- decay a + (1 - decay) w after each optimizer step; at the first, a <- w.

    Parameters
    ----------
    parameters : a Module, or Parameters.
    decay : how much of the average stays, in [0, 1].

    The values are those of ``torch.optim.swa_utils.AveragedModel`` with ``get_ema_multi_avg_fn(decay)``.
    Buffers, such as running statistics, are not averaged.  Kernel: ``tensors.cu``, for all weights at once.

    Source: Polyak, Juditsky, "Acceleration of stochastic approximation by averaging", 1992.

    Examples
    --------
    >>> import gradlib as gl
    >>> w = gl.nn.Parameter(gl.tensor([1.0]))
    >>> average = gl.optim.ExponentialMovingAverage([w], decay=0.75)
    >>> average.update()
    >>> average.update(w.assign(gl.tensor([5.0])))
    >>> with average.applied():
    ...     print(w.tolist())
    [2.0]
    >>> w.tolist()
    [5.0]
    """

    def __init__(self, parameters: Module | Iterable[Tensor], decay: float = 0.999) -> None:
        if not 0 <= decay <= 1:
            raise ValueError(f"ExponentialMovingAverage(decay): decay is {decay}\n  need 0 <= decay <= 1")
        self.parameters = list(parameters.parameters() if isinstance(parameters, Module) else parameters)
        self.decay = decay
        self.count = 0
        self._tables: dict[Any, Table] = {}
        self.averages = [Tensor(p.data.copy()) for p in self.parameters]

    def update(self, *_: Any) -> None:
        """Move the averages towards the weights; call it after each optimizer step."""
        with no_grad():
            if self.count == 0:
                for average, p in zip(self.averages, self.parameters, strict=True):
                    average.assign(p.detach())
            else:
                groups: dict[Any, list[tuple[Tensor, Tensor]]] = {}
                for average, p in zip(self.averages, self.parameters, strict=True):
                    groups.setdefault((type(p.data), p.dtype), []).append((average, p))
                for kind, pairs in groups.items():
                    move_average.each(pairs, table=self._tables.setdefault(kind, Table()), decay=self.decay)
        self.count += 1

    def copy_to(self) -> None:
        """Overwrite the weights with their averages."""
        for average, p in zip(self.averages, self.parameters, strict=True):
            p.assign(average)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the weights be their averages inside a ``with``; put them back after it."""
        kept = [Tensor(p.data.copy()) for p in self.parameters]
        self.copy_to()
        try:
            yield
        finally:
            for p, value in zip(self.parameters, kept, strict=True):
                p.assign(value)

    def state_dict(self) -> dict[str, Any]:
        """Return decay, count and averages."""
        return {"decay": self.decay, "count": self.count, "averages": [a.detach() for a in self.averages]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over another average's state.

        Raises
        ------
        CheckpointError : other shapes; the averages are left as they were.
        """
        shapes, own = [tuple(a.shape) for a in state["averages"]], [a.shape for a in self.averages]
        if shapes != own:
            raise CheckpointError(f"ExponentialMovingAverage: the state has the shapes {shapes}, the weights {own}")
        for average, value in zip(self.averages, state["averages"], strict=True):
            average.assign(value)
        self.decay, self.count = float(state["decay"]), int(state["count"])
