"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..ops.update import sgd
from .optimizer import Optimizer
from .settings import at_least_zero, ignore, is_number


class SGD(Optimizer):
    """p <- p - lr d; d = g, or with momentum the buffer b <- momentum b + (1 - dampening) g (at first b <- g).

    g is the gradient + weight_decay p (of the negative gradient with `maximize`); with `nesterov`,
    d = g + momentum b.  The arithmetic is that of ``torch.optim.SGD``.  Kernel: ``update.cu``, for all parameters
    at once.

    Raises
    ------
    ValueError : a negative setting, or `nesterov` without momentum or with dampening.

    Source: Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML 2013.

    Examples
    --------
    >>> import gradlib as gl
    >>> p = gl.nn.Parameter(gl.tensor([1.0, 2.0]))
    >>> optimizer = gl.optim.SGD([p], lr=0.1)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p.tolist()
    [0.800000011920929, 1.600000023841858]
    """

    rule = sgd

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        **ignored: Any,
    ) -> None:
        ignore("SGD", ignored)
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
            },
        )

    def check(self, settings: dict[str, Any]) -> None:
        """Raise ValueError for settings that make no sense."""
        at_least_zero("SGD", settings, "momentum", "weight_decay")
        if not is_number(settings["dampening"]):
            raise ValueError(f"SGD(dampening): dampening is {settings['dampening']!r}\n  need a number")
        if settings["nesterov"] and (settings["momentum"] <= 0 or settings["dampening"] != 0):
            raise ValueError(
                f"SGD(nesterov=True): momentum is {settings['momentum']}, dampening {settings['dampening']}\n"
                f"  need momentum > 0 and dampening == 0"
            )

    def buffers(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the momentum's buffer, where there is momentum."""
        return ("momentum_buffer",) if settings["momentum"] else ()
