"""Averages of a model's weights as a model, and the schedule that goes with them, as ``torch.optim.swa_utils``."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from typing import Any

from ..core import Tensor, no_grad, op
from ..nn import Module, init
from ..nn.norm import BatchNorm1d, BatchNorm2d, BatchNorm3d
from .cyclic import Each, each
from .optimizer import Optimizer
from .schedule import Schedule

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]

Average = Callable[[Tensor, Tensor, Any], Any]  # (average, weight, how many are in the average) to the new average
Averages = Callable[[list[Tensor], list[Tensor], Any], None]  # all at once, in place


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """Return a <- decay a + (1 - decay) w.

    >>> import gradlib as gl
    >>> get_ema_avg_fn(0.75)(gl.tensor([1.0]), gl.tensor([5.0]), 1).tolist()
    [2.0]
    """
    _check_decay("get_ema_avg_fn", decay)
    return lambda average, new, count: op.add(op.multiply(average, decay), op.multiply(new, 1.0 - decay))


def get_swa_avg_fn() -> Average:
    """Return a <- a + (w - a) / (count + 1): the mean of all.

    >>> import gradlib as gl
    >>> get_swa_avg_fn()(gl.tensor([1.0]), gl.tensor([5.0]), 3).tolist()
    [2.0]
    """
    return lambda average, new, count: op.add(average, op.divide(op.subtract(new, average), float(int(count) + 1)))


def get_ema_multi_avg_fn(decay: float = 0.999) -> Averages:
    """Return a <- a + (1 - decay) (w - a), for a list of averages, in place.

    >>> import gradlib as gl
    >>> a = gl.tensor([1.0])
    >>> get_ema_multi_avg_fn(0.75)([a], [gl.tensor([5.0])], 1)
    >>> a.tolist()
    [2.0]
    """
    _check_decay("get_ema_multi_avg_fn", decay)
    return lambda averages, news, count: _move(averages, news, 1.0 - decay)


def get_swa_multi_avg_fn() -> Averages:
    """Return a <- a + (w - a) / (count + 1), for a list of averages, in place.

    >>> import gradlib as gl
    >>> a = gl.tensor([1.0])
    >>> get_swa_multi_avg_fn()([a], [gl.tensor([5.0])], 1)
    >>> a.tolist()
    [3.0]
    """
    return lambda averages, news, count: _move(averages, news, 1.0 / (int(count) + 1))


def _move(averages: list[Tensor], news: list[Tensor], way: float) -> None:
    for average, new in zip(averages, news, strict=True):
        average.assign(op.add(average, op.multiply(op.subtract(new, average), way)))


def _check_decay(name: str, decay: float) -> None:
    if not 0 <= decay <= 1:
        raise ValueError(f"{name}(decay): decay is {decay}\n  need 0 <= decay <= 1")


class AveragedModel(Module):
    """A copy of a model whose weights are an average of the model's: of all by default, see ``get_..._avg_fn``.

    ``average.update_parameters(model)`` takes the weights as they are now into the average; calling it calls the
    copy.  With `use_buffers` buffers are averaged too, otherwise they are the model's.
    Source: Izmailov et al., "Averaging weights leads to wider optima and better generalization", UAI 2018.

    Examples
    --------
    >>> import gradlib as gl
    >>> model = gl.nn.Dense(1, 1, bias=False)
    >>> average = gl.optim.AveragedModel(model)
    >>> for value in (1.0, 3.0):
    ...     average.update_parameters(model.apply(lambda m: m.weight.assign(gl.tensor([[value]]))))
    >>> average.module.weight.item(), int(average.n_averaged)
    (2.0, 2)
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: str | None = None,
        avg_fn: Average | None = None,
        multi_avg_fn: Averages | None = None,
        use_buffers: bool = False,
    ) -> None:
        if avg_fn is not None and multi_avg_fn is not None:
            raise ValueError("AveragedModel(avg_fn, multi_avg_fn): both are given\n  need one of them")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module.to(device=device)
        self.register_buffer("n_averaged", init.count(device))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the averaged model makes of the arguments."""
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Take the model's weights into the average: the first as they are."""
        with no_grad():
            averages, news = list(self.module.parameters()), list(model.parameters())
            still = list(zip(self.module.buffers(), model.buffers(), strict=True))
            if self.use_buffers:
                averages, news = [*averages, *self.module.buffers()], [*news, *model.buffers()]  # type: ignore[list-item]
                still = []
            values = [Tensor(p.data).to(device=a.device) for a, p in zip(averages, news, strict=True)]
            if int(self.n_averaged) == 0:
                for average, new in zip(averages, values, strict=True):
                    average.assign(new)
            elif self.avg_fn is not None:
                for average, new in zip(averages, values, strict=True):
                    average.assign(op.cast(self.avg_fn(average.detach(), new, self.n_averaged), dtype=average.dtype))
            else:
                detached: list[Tensor] = [a.detach() for a in averages]
                (self.multi_avg_fn or get_swa_multi_avg_fn())(detached, values, self.n_averaged)
            for own, buffer in still:
                own.assign(buffer)
            self.n_averaged.assign(self.n_averaged + 1)


def update_bn(loader: Iterable[Any], model: Module, device: str | None = None) -> None:
    """Set the running statistics of every batch normalisation to the mean over a loader's batches.

    A batch is an input, or a tuple or list whose first element is one.

    >>> import gradlib as gl
    >>> model = gl.nn.Sequential(gl.nn.BatchNorm1d(1))
    >>> update_bn([gl.tensor([[1.0], [3.0]]), gl.tensor([[5.0], [7.0]])], model)
    >>> model[0].running_mean.tolist()
    [4.0]
    """
    norms = [m for m in model.modules() if isinstance(m, (BatchNorm1d, BatchNorm2d, BatchNorm3d))]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    modes = [(module, module.training) for module in model.modules()]
    model.train()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    try:
        with no_grad():
            for batch in loader:
                x = batch[0] if isinstance(batch, (list, tuple)) else batch
                model(x if device is None else x.to(device=device))
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, mode in modes:
            module.training = mode


class SWALR(Schedule):
    """lr goes from where it is to `swa_lr` in `anneal_epochs` steps, along a cosine ("linear": a line), and stays.

    Source: Izmailov et al., "Averaging weights leads to wider optima and better generalization", UAI 2018.

    Examples
    --------
    >>> import gradlib as gl
    >>> optimizer = gl.optim.SGD([gl.nn.Parameter(gl.tensor([1.0]))], lr=1.0)
    >>> schedule = gl.optim.SWALR(optimizer, swa_lr=0.5, anneal_epochs=2, anneal_strategy="linear")
    >>> [(schedule.step(), optimizer.lr)[1] for _ in range(3)]
    [0.75, 0.5, 0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: Each,
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"SWALR(anneal_strategy): {anneal_strategy!r} is unknown\n  need 'cos' or 'linear'")
        if anneal_epochs < 0:
            raise ValueError(f"SWALR(anneal_epochs): anneal_epochs is {anneal_epochs}\n  need 0 or more")
        self.ends = each("SWALR", "swa_lr", optimizer, swa_lr)
        self.anneal_epochs, self.cosine = anneal_epochs, anneal_strategy == "cos"
        super().__init__(optimizer, last_epoch)

    def _part(self, n: int) -> float:
        t = max(0.0, min(1.0, n / max(1, self.anneal_epochs)))
        return (1.0 - math.cos(math.pi * t)) / 2.0 if self.cosine else t

    def rate(self, n: int, now: float, group: int) -> float:
        """Return the next point of the way."""
        n = max(1, n) if self.anneal_epochs == 0 else n
        end, before, after = self.ends[group], self._part(n - 1), self._part(n)
        start = end if before == 1 else (now - before * end) / (1.0 - before)
        return end * after + start * (1.0 - after)
