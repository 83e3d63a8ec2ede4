"""Adagrad, Adadelta, RMSprop and Rprop: each element's step follows its own history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..core import Tensor, op
from ..ops.update_adaptive import adadelta, adagrad, rmsprop, rprop
from .optimizer import Optimizer
from .settings import at_least_zero, below_one, ignore


class Adagrad(Optimizer):
    """p <- p - lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps); s <- s + g^2.

    g is the gradient (its negative with `maximize`) + weight_decay p; s starts at initial_accumulator_value.
    The arithmetic is that of ``torch.optim.Adagrad``.  Kernel: ``update_adaptive.cu``.

    Raises: ValueError for a negative setting.
    Source: Duchi, Hazan, Singer, "Adaptive subgradient methods", JMLR 12 (2011).

    Examples
    --------
    >>> import gradlib as gl
    >>> p = gl.nn.Parameter(gl.tensor([1.0, 2.0]))
    >>> optimizer = gl.optim.Adagrad([p], lr=0.5)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p.tolist()
    [0.5, 1.5]
    """

    rule = adagrad

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
        **ignored: Any,
    ) -> None:
        ignore("Adagrad", ignored)
        settings = {"lr_decay": lr_decay, "initial_accumulator_value": initial_accumulator_value}
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "eps": eps, "maximize": maximize, **settings})

    def check(self, settings: dict[str, Any]) -> None:
        """Raise ValueError for settings that make no sense."""
        at_least_zero("Adagrad", settings, "lr_decay", "weight_decay", "initial_accumulator_value", "eps")


class Adadelta(Optimizer):
    """p <- p - lr d, d = sqrt(u + eps) / sqrt(v + eps) g; v <- rho v + (1 - rho) g^2; u <- rho u + (1 - rho) d^2.

    g is the gradient (its negative with `maximize`) + weight_decay p.  The arithmetic is that of
    ``torch.optim.Adadelta``.  Kernel: ``update_adaptive.cu``.

    Raises: ValueError for rho outside [0, 1), or a negative setting.
    Source: Zeiler, "ADADELTA: an adaptive learning rate method", 2012, Algorithm 1.

    Examples
    --------
    >>> import gradlib as gl
    >>> p = gl.nn.Parameter(gl.tensor([1.0]))
    >>> optimizer = gl.optim.Adadelta([p], eps=0.01)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> round(p.item(), 4)
    0.6877
    """

    rule = adadelta

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        **ignored: Any,
    ) -> None:
        ignore("Adadelta", ignored)
        super().__init__(params, {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize})

    def check(self, settings: dict[str, Any]) -> None:
        """Raise ValueError for settings that make no sense."""
        below_one("Adadelta", "rho", settings["rho"])
        at_least_zero("Adadelta", settings, "eps", "weight_decay")


class RMSprop(Optimizer):
    """p <- p - lr g / (sqrt(v) + eps); v <- alpha v + (1 - alpha) g^2.

    g is the gradient (its negative with `maximize`) + weight_decay p.  With `centered`, the variance
    v - a^2 stands in for v, a <- alpha a + (1 - alpha) g; with `momentum`, the step is lr b, b <- momentum b +
    g / (sqrt(v) + eps).  The arithmetic is that of ``torch.optim.RMSprop``.  Kernel: ``update_adaptive.cu``.

    Raises: ValueError for a negative setting.
    Source: Tieleman, Hinton, "Lecture 6.5: RMSProp", 2012; centered: Graves, 2013, equations 38 to 45.

    Examples
    --------
    >>> import gradlib as gl
    >>> p = gl.nn.Parameter(gl.tensor([1.0]))
    >>> optimizer = gl.optim.RMSprop([p], lr=0.01)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> round(p.item(), 4)
    0.9
    """

    rule = rmsprop

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
        **ignored: Any,
    ) -> None:
        ignore("RMSprop", ignored)
        settings = {"momentum": momentum, "centered": centered, "maximize": maximize}
        super().__init__(params, {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay, **settings})

    def check(self, settings: dict[str, Any]) -> None:
        """Raise ValueError for settings that make no sense."""
        at_least_zero("RMSprop", settings, "alpha", "eps", "weight_decay", "momentum")

    def buffers(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the names of the average, of that of the gradient if centered, of the momentum if there is any."""
        wanted = {"square_avg": True, "grad_avg": settings["centered"], "momentum_buffer": settings["momentum"] > 0}
        return tuple(name for name, needed in wanted.items() if needed)


class Rprop(Optimizer):
    """p <- p - s sign(g); s grows by etas[1] where g keeps its sign; where it turns, s shrinks by etas[0] and p waits.

    g is the gradient (its negative with `maximize`); s starts at lr and stays in `step_sizes`.  The
    arithmetic is that of ``torch.optim.Rprop``.  For gradients of the whole data, not of batches.
    Kernel: ``update_adaptive.cu``.

    Raises: ValueError unless 0 < etas[0] < 1 < etas[1].
    Source: Riedmiller, Braun, "A direct adaptive method for faster backpropagation learning", 1993.

    Examples
    --------
    >>> import gradlib as gl
    >>> p = gl.nn.Parameter(gl.tensor([1.0, -2.0]))
    >>> optimizer = gl.optim.Rprop([p], lr=0.5)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p.tolist()
    [0.5, -1.5]
    """

    rule = rprop

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50.0),
        *,
        maximize: bool = False,
        **ignored: Any,
    ) -> None:
        ignore("Rprop", ignored)
        super().__init__(params, {"lr": lr, "etas": etas, "step_sizes": step_sizes, "maximize": maximize})

    def check(self, settings: dict[str, Any]) -> None:
        """Raise ValueError for settings that make no sense."""
        small, large = settings["etas"]
        if not 0 < small < 1 < large:
            raise ValueError(f"Rprop(etas): etas is {settings['etas']}\n  need 0 < etas[0] < 1 < etas[1]")

    def start(self, name: str, param: Tensor, settings: Mapping[str, Any]) -> Tensor:
        """Return zeros for the last gradient, lr for the step sizes."""
        zeros = super().start(name, param, settings)
        return zeros if name == "prev" else Tensor(op.add(zeros.data, settings["lr"]))
