"""Adamax, NAdam and RAdam: Adam with another norm, with Nesterov's momentum, with a warm-up of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..core import Tensor
from ..ops.update_adam import adamax, nadam, radam
from .optimizer import Optimizer
from .settings import at_least_zero, below_one, ignore, number


class _Moments(Optimizer):
    """What optimizers with Adam's settings have in common."""

    def check(self, settings: dict[str, Any]) -> None:
        """Raise ValueError for settings that make no sense."""
        below_one(self._name, "betas", *settings["betas"])
        at_least_zero(self._name, settings, "weight_decay", *(k for k in ("eps", "momentum_decay") if k in settings))


class Adamax(_Moments):
    """p <- p - lr m / (1 - b1^t) / u; m <- b1 m + (1 - b1) g; u <- max(b2 u, |g| + eps).

    g is the gradient (its negative with `maximize`) + weight_decay p.  The arithmetic is that of
    ``torch.optim.Adamax``.  Kernel: ``update_adam.cu``.

    Raises: ValueError for betas outside [0, 1), or a negative setting.
    Source: Kingma and Ba, "Adam", ICLR 2015, Algorithm 2.

    Examples
    --------
    >>> import gradlib as gl
    >>> p = gl.nn.Parameter(gl.tensor([1.0, 2.0]))
    >>> optimizer = gl.optim.Adamax([p], lr=0.5)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> [round(x, 4) for x in p.tolist()]
    [0.5, 1.5]
    """

    rule = adamax

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        **ignored: Any,
    ) -> None:
        ignore("Adamax", ignored)
        settings = {"weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, **settings})


class NAdam(_Moments):
    """p <- p - lr (mu' m / (1 - M mu') + (1 - mu) g / (1 - M)) / (sqrt(v / (1 - b2^t)) + eps).

    mu = b1 (1 - 0.96^(t momentum_decay) / 2), mu' that of the next step, M the product of all mu so far; m <-
    b1 m + (1 - b1) g and v <- b2 v + (1 - b2) g^2; g is the gradient (its negative with `maximize`) +
    weight_decay p; with `decoupled_weight_decay` p <- (1 - lr weight_decay) p instead.  The arithmetic is
    that of ``torch.optim.NAdam``.  Kernel: ``update_adam.cu``.

    Raises: ValueError for betas outside [0, 1), or a negative setting.
    Source: Dozat, "Incorporating Nesterov momentum into Adam", ICLR workshop 2016.

    Examples
    --------
    >>> import gradlib as gl
    >>> p = gl.nn.Parameter(gl.tensor([1.0, 2.0]))
    >>> optimizer = gl.optim.NAdam([p], lr=0.5)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> [round(x, 4) for x in p.tolist()]
    [0.4718, 1.4718]
    """

    rule = nadam

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        **ignored: Any,
    ) -> None:
        ignore("NAdam", ignored)
        settings: dict[str, Any] = {"decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize}
        settings |= {"weight_decay": weight_decay, "momentum_decay": momentum_decay}
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, **settings})

    def start(self, name: str, param: Tensor, settings: Mapping[str, Any]) -> Tensor:
        """Return zeros for the moments, 1 for the product of the momenta."""
        return number(param, 1.0) if name == "mu_product" else super().start(name, param, settings)


class RAdam(_Moments):
    """p <- p - lr r sqrt(1 - b2^t) / (sqrt(v) + eps) m / (1 - b1^t), once there were enough steps to know v's variance.

    Until then (rho <= 5) p <- p - lr m / (1 - b1^t).  rho = R - 2 t b2^t / (1 - b2^t), R = 2 / (1 - b2) - 1, r =
    sqrt((rho - 4)(rho - 2) R / ((R - 4)(R - 2) rho)); m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2; g is
    the gradient (its negative with `maximize`) + weight_decay p; with `decoupled_weight_decay` p <- (1 - lr
    weight_decay) p instead.  The arithmetic is that of ``torch.optim.RAdam``.  Kernel: ``update_adam.cu``.

    Raises: ValueError for betas outside [0, 1), or a negative setting.
    Source: Liu et al., "On the variance of the adaptive learning rate and beyond", ICLR 2020, Algorithm 2.

    Examples
    --------
    >>> import gradlib as gl
    >>> p = gl.nn.Parameter(gl.tensor([1.0, 2.0]))
    >>> optimizer = gl.optim.RAdam([p], lr=0.25)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> [round(x, 4) for x in p.tolist()]
    [0.5, 1.0]
    """

    rule = radam

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        **ignored: Any,
    ) -> None:
        ignore("RAdam", ignored)
        settings = {"decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize}
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, **settings})
