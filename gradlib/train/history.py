"""What a training run measured."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class History:
    """The loss of every step and the averages of every epoch, in order.

    ``epochs`` holds a dict an epoch: ``epoch`` (from 1), ``loss`` and the metrics over the epoch's batches as
    they were trained on, the same names with ``validation_`` before them over the validation data after the
    epoch, ``seconds`` of training, ``examples_per_second``.
    """

    steps: list[float] = field(default_factory=list)
    epochs: list[dict[str, float]] = field(default_factory=list)
    interrupted: bool = False  # stopped by Ctrl-C: the last epoch is not complete and not listed

    def column(self, name: str) -> list[float]:
        """Return one number of each epoch, such as ``"validation_loss"``."""
        return [epoch[name] for epoch in self.epochs if name in epoch]
