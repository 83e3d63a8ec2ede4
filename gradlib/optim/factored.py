"""Adafactor: Adam's scaling with far less memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .. import backend as backends
from ..core import Tensor
from ..ops.update_factored import adafactor, factored_shapes
from ..spec import REDUCED, float32
from .optimizer import Optimizer
from .settings import at_least_zero, ignore


class Adafactor(Optimizer):
    """p <- (1 - lr weight_decay) p - a u / max(1, rms(u) / d), u = g / sqrt(v).

    a = max(eps2, rms(p)) min(lr, t^(-1/2)); v <- v + t^beta2_decay (g^2 - v).  Of a matrix only its mean over
    each row, r, and each column, c, is kept, and v = r c^T / mean(r).  g is the gradient (its negative with
    `maximize`); `eps` is (eps1, eps2): v is at least eps1^2, eps1 by default the spacing of the dtype at 1.  The rows
    and columns are those of the last two axes, of a convolution's weight its input and output channels.  The
    arithmetic is that of ``torch.optim.Adafactor``.
    Kernel: composition.

    Raises: ValueError for a positive beta2_decay, d below 1, or a negative setting.
    Source: Shazeer, Stern, "Adafactor", ICML 2018, Algorithms 4 and 5.

    Examples
    --------
    >>> import gradlib as gl
    >>> p = gl.nn.Parameter(gl.tensor([[1.0, 2.0]]))
    >>> optimizer = gl.optim.Adafactor([p], lr=0.5)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> [round(x, 4) for x in p[0].tolist()]
    [0.2094, 1.2094]
    """

    rule = adafactor

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        **ignored: Any,
    ) -> None:
        ignore("Adafactor", ignored)
        settings = {"beta2_decay": beta2_decay, "eps": tuple(eps), "d": d, "weight_decay": weight_decay}
        super().__init__(params, {"lr": lr, **settings, "maximize": maximize})

    def check(self, settings: dict[str, Any]) -> None:
        """Raise ValueError for settings that make no sense."""
        at_least_zero("Adafactor", settings, "weight_decay")
        eps1, eps2 = settings["eps"]
        at_least_zero("Adafactor", {"eps": eps2}, "eps")
        if eps1 is not None:
            at_least_zero("Adafactor", {"eps": eps1}, "eps")
        if not settings["beta2_decay"] <= 0 or not settings["d"] >= 1:
            raise ValueError(
                f"Adafactor(beta2_decay, d): they are {settings['beta2_decay']} and {settings['d']}\n"
                f"  need beta2_decay <= 0 and d >= 1"
            )

    def start(self, name: str, param: Tensor, settings: Mapping[str, Any]) -> Tensor:
        """Return zeros: a row and a column for each matrix, or a variance; what has no use is empty."""
        shape = dict(zip(self.rule.writes[1:], factored_shapes(param.shape), strict=True))[name]
        return Tensor(backends.get(param.device).zeros(shape, float32 if param.dtype in REDUCED else param.dtype))
