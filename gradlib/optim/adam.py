"""Adam, and AdamW with its decoupled weight decay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..core import Update
from ..ops.update import adam
from ..ops.update_adam import amsgrad as with_maximum
from .optimizer import Optimizer
from .settings import at_least_zero, below_one, ignore


class Adam(Optimizer):
    """p <- p - lr m' / (sqrt(v') + eps), with m' = m / (1 - b1^t), v' = v / (1 - b2^t).

    m <- b1 m + (1 - b1) g and v <- b2 v + (1 - b2) g^2, where g is the gradient + weight_decay p (of the
    negative gradient with `maximize`).  The arithmetic is that of ``torch.optim.Adam``; moments of
    float16 and bfloat16 parameters are kept in float32.  With `amsgrad` the largest v so far stands in for v, with
    `decoupled_weight_decay` the decay is that of `AdamW`.  Kernel: ``update.cu``, for all parameters at once.

    Raises
    ------
    ValueError : betas outside [0, 1), or a negative setting.

    Source: Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015, Algorithm 1;
    amsgrad: Reddi, Kale, Kumar, "On the convergence of Adam and beyond", ICLR 2018, Algorithm 2.

    Examples
    --------
    >>> import gradlib as gl
    >>> p = gl.nn.Parameter(gl.tensor([1.0, 2.0]))
    >>> optimizer = gl.optim.Adam([p], lr=0.5)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> [round(x, 4) for x in p.tolist()]
    [0.5, 1.5]
    """

    decoupled = False

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
        **ignored: Any,
    ) -> None:
        ignore(type(self).__name__, ignored)
        self.decoupled = self.decoupled or decoupled_weight_decay
        settings = {"weight_decay": weight_decay, "maximize": maximize, "amsgrad": amsgrad}
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, **settings})

    def check(self, settings: dict[str, Any]) -> None:
        """Raise ValueError for settings that make no sense."""
        below_one(self._name, "betas", *settings["betas"])
        at_least_zero(self._name, settings, "eps", "weight_decay")

    def rule_for(self, settings: Mapping[str, Any]) -> Update:
        """Return Adam's step, or AMSGrad's."""
        return with_maximum if settings.get("amsgrad") else adam

    def passed(self, group: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings that the rule takes."""
        return {**super().passed(group), "decoupled": self.decoupled}


class AdamW(Adam):
    """Adam whose weight decay is apart from the gradient: p <- (1 - lr weight_decay) p before each step.

    Everything else is as in `Adam`; `weight_decay` is 0.01 unless given.

    Source: Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019, Algorithm 2.

    Examples
    --------
    >>> import gradlib as gl
    >>> p = gl.nn.Parameter(gl.tensor([1.0, 2.0]))
    >>> optimizer = gl.optim.AdamW([p], lr=0.5, weight_decay=0.1)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> [round(x, 4) for x in p.tolist()]
    [0.45, 1.4]
    """

    decoupled = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        **ignored: Any,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, **ignored)
