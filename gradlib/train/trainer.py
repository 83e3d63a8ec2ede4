"""`Trainer`: the loop over epochs and batches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..core import Tensor, asarray, no_grad, op
from ..errors import ShapeError, message, operand
from ..nn import CrossEntropyLoss, Module
from ..optim import Optimizer, Schedule
from .history import History
from .interrupt import Interrupt
from .progress import Progress, Style

Metric = Callable[[Tensor, Tensor], Any]
Callback = Callable[["Trainer", Mapping[str, float]], Any]


def accuracy(output: Tensor, target: Tensor) -> Any:
    """Return the fraction of rows whose largest output is at the target: output (..., classes), target (...)."""
    if tuple(output.shape[:-1]) != tuple(target.shape):
        operands = [operand("output", output, "..., classes"), operand("target", target, "...")]
        raise ShapeError(
            message(
                "accuracy(output, target): the shapes do not fit", operands, "need target.shape == output.shape[:-1]"
            )
        )
    return op.mean(op.cast(op.equal(op.argmax(output, axis=-1), target), dtype="float64"))


METRICS: dict[str, Metric] = {"accuracy": accuracy}


class Trainer:
    """Trains a model on batches ``(input, target)`` and measures it.

    Parameters
    ----------
    model : a Module; batches are moved to the device of its parameters.
    optimizer : changes the model's parameters.
    loss : ``loss(output, target)``, one number; cross-entropy if not given.
    metrics : names (``"accuracy"``) or functions ``metric(output, target)``, averaged over the examples.
    schedule : a learning rate schedule, stepped after each optimizer step.
    progress : ``"bar"``, ``"lines"`` (one an epoch), ``"none"``; ``"auto"`` is a bar on a terminal, else lines.

    Examples
    --------
    >>> import gradlib as gl
    >>> train, test = gl.data.digits()
    >>> model = gl.nn.Sequential(gl.nn.Flatten(), gl.nn.Dense(64, 10))
    >>> trainer = gl.train.Trainer(model, gl.optim.SGD(model.parameters(), lr=0.5), progress="none")
    >>> history = trainer.fit(gl.data.DataLoader(train, batch_size=64, shuffle=True), epochs=3)
    >>> trainer.evaluate(gl.data.DataLoader(test, batch_size=64))["accuracy"] > 0.85
    True
    """

    def __init__(
        self,
        model: Module,
        optimizer: Optimizer,
        loss: Callable[[Any, Any], Any] | None = None,
        metrics: Sequence[str | Metric] = ("accuracy",),
        *,
        schedule: Schedule | None = None,
        progress: Style = "auto",
    ) -> None:
        self.model, self.optimizer, self.schedule = model, optimizer, schedule
        self.loss = CrossEntropyLoss() if loss is None else loss
        self.metrics: dict[str, Metric] = {}
        for metric in metrics:
            if isinstance(metric, str) and metric not in METRICS:
                raise ValueError(
                    f"Trainer(metrics): {metric!r} is unknown\n  need one of {', '.join(METRICS)}, or a function"
                )
            name = metric if isinstance(metric, str) else getattr(metric, "__name__", "metric")
            self.metrics[name] = METRICS[metric] if isinstance(metric, str) else metric
        self.progress: Style = progress

    def fit(
        self,
        loader: Iterable[Any],
        epochs: int,
        *,
        validation: Iterable[Any] | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> History:
        """Train for `epochs` passes over `loader`, after each of which `validation` is evaluated.

        ``callback(trainer, record)`` is called after each epoch with its entry of `History.epochs`; one that
        returns True ends the training.  Ctrl-C ends it after the step at hand: the model keeps what it
        learned, and the history says so.

        Raises
        ------
        FloatingPointError : the loss is not finite; the model is left as it was before that step.
        """
        history = History()
        examples = getattr(loader, "examples", None)
        progress = Progress(self.progress, epochs, examples)
        try:
            # NumPy's warnings of an overflow would only come before the error that says what to do
            with Interrupt() as interrupt, np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                for epoch in range(1, epochs + 1):
                    record = self._epoch(loader, epoch, history, progress, interrupt)
                    if interrupt.asked:
                        history.interrupted = True
                        progress.say(
                            f"interrupted in epoch {epoch} after {len(history.steps)} steps in all; "
                            f"the model keeps what it has learned"
                        )
                        break
                    if validation is not None:
                        record |= {f"validation_{name}": value for name, value in self.evaluate(validation).items()}
                    history.epochs.append(record)
                    progress.epoch(record)
                    if [True for callback in callbacks if callback(self, record) is True]:
                        break
        finally:
            progress.close()
        return history

    def evaluate(self, loader: Iterable[Any]) -> dict[str, float]:
        """Return the loss and the metrics over `loader`, in evaluation mode and off the tape."""
        modes = [(module, module.training) for module in self.model.modules()]
        means = _Means()
        self.model.eval()
        try:
            with no_grad():
                for batch in loader:
                    input, target = self._moved(batch)
                    output = self.model(input)
                    means.add(len(target), self._measured(self.loss(output, target), output, target))
        finally:
            for module, mode in modes:
                module.training = mode
        return means.values()

    def _epoch(
        self, loader: Iterable[Any], epoch: int, history: History, progress: Progress, interrupt: Interrupt
    ) -> dict[str, float]:
        self.model.train()
        means, start = _Means(), time.perf_counter()
        for batch in loader:
            input, target = self._moved(batch)
            output = self.model(input)
            loss = self.loss(output, target)
            measured = self._measured(loss, output, target)
            if not math.isfinite(measured["loss"]):
                raise FloatingPointError(
                    f"fit: the loss is {measured['loss']} in epoch {epoch}, at step {len(history.steps) + 1} "
                    f"({'no step before it' if not history.steps else f'{history.steps[-1]:.4g} before'})\n"
                    f"  need finite inputs, or a learning rate below {self.optimizer.lr:g}"
                )
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            if self.schedule is not None:
                self.schedule.step()
            history.steps.append(measured["loss"])
            means.add(len(target), measured)
            progress.step(epoch, len(target), means.values())
            if interrupt.asked:
                break
        if means.count == 0:
            raise ShapeError("fit(loader): the loader yields no batches\n  need at least one")
        seconds = time.perf_counter() - start
        return {"epoch": epoch, **means.values(), "seconds": seconds, "examples_per_second": means.count / seconds}

    def _moved(self, batch: Any) -> tuple[Tensor, Tensor]:
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            raise ShapeError("Trainer: a batch is no pair\n  need a loader that yields (input, target)")
        parameter = next(self.model.parameters(), None)
        device = None if parameter is None else parameter.device
        return asarray(batch[0], device=device), asarray(batch[1], device=device)

    def _measured(self, loss: Tensor, output: Tensor, target: Tensor) -> dict[str, float]:
        with no_grad():
            return {
                "loss": float(loss),
                **{name: float(metric(output, target)) for name, metric in self.metrics.items()},
            }


class _Means:
    """Averages over examples of numbers that are averages over batches."""

    def __init__(self) -> None:
        self.count = 0
        self.totals: dict[str, float] = {}

    def add(self, count: int, values: Mapping[str, float]) -> None:
        self.count += count
        for name, value in values.items():
            self.totals[name] = self.totals.get(name, 0.0) + count * value

    def values(self) -> dict[str, float]:
        return {name: total / self.count for name, total in self.totals.items()}
