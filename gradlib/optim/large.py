"""Lion, LAMB, Muon and ASGD: by sign, by layer, by matrix, by average."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..core import Tensor
from ..errors import ShapeError, operand
from ..ops.update_other import asgd, lamb, lion, muon
from .adam_family import _Moments
from .optimizer import Optimizer
from .settings import at_least_zero, below_one, ignore, number


class Lion(_Moments):
    """p <- (1 - lr weight_decay) p - lr sign(b1 m + (1 - b1) g); m <- b2 m + (1 - b2) g.

    g is the gradient (its negative with `maximize`).  Kernel: ``update_other.cu``.

    Raises: ValueError for betas outside [0, 1), or a negative setting.
    Source: Chen et al., "Symbolic discovery of optimization algorithms", NeurIPS 2023, Algorithm 2.

    Examples
    --------
    >>> import gradlib as gl
    >>> p = gl.nn.Parameter(gl.tensor([1.0, -2.0]))
    >>> optimizer = gl.optim.Lion([p], lr=0.25)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p.tolist()
    [0.75, -1.75]
    """

    rule = lion

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize})


class LAMB(_Moments):
    """p <- p - lr |p| / |u| u for each tensor; u = m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps) + weight_decay p.

    m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2; g is the gradient (its negative with `maximize`).
    Where |p| or |u| is 0, their ratio counts as 1.  Kernel: ``update_other.cu``.

    Raises: ValueError for betas outside [0, 1), or a negative setting.
    Source: You et al., "Large batch optimization for deep learning", ICLR 2020, Algorithm 2.

    Examples
    --------
    >>> import gradlib as gl
    >>> p = gl.nn.Parameter(gl.tensor([3.0, -4.0]))
    >>> optimizer = gl.optim.LAMB([p], lr=0.1)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> [round(x, 4) for x in p.tolist()]
    [2.6464, -3.6464]
    """

    rule = lamb

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        settings = {"weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, **settings})


class Muon(Optimizer):
    """p <- (1 - lr weight_decay) p - lr s O(u); b <- momentum b + (1 - momentum) g; u = b, or its next with `nesterov`.

    For matrices only (dense weights; give the rest to Adam).  O is the nearest half-orthogonal matrix, by
    `ns_steps` of Newton and Schulz's iteration with `ns_coefficients`; s = sqrt(max(1, out / in)), with
    ``adjust_lr_fn="match_rms_adamw"`` 0.2 sqrt(max(in, out)).  The iteration is in the parameter's dtype
    (float32 for a reduced one), where ``torch.optim.Muon`` rounds to bfloat16.  Kernel: ``update_other.cu``.

    Raises: ShapeError for a parameter that is no matrix; ValueError for a negative setting.
    Source: Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024.

    Examples
    --------
    >>> import gradlib as gl
    >>> p = gl.nn.Parameter(gl.tensor([[1.0, 0.0], [0.0, 2.0]]))
    >>> optimizer = gl.optim.Muon([p], lr=0.1, weight_decay=0.0)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> bool(p[0, 0] < 0.95), bool(p[1, 1] < 1.95), p[0, 1].item()
    (True, True, 0.0)
    """

    rule = muon

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        settings = {"ns_coefficients": tuple(ns_coefficients), "eps": eps, "ns_steps": ns_steps}
        settings |= {"momentum": momentum, "nesterov": nesterov, "adjust_lr_fn": adjust_lr_fn}
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, **settings})

    def check(self, settings: dict[str, Any]) -> None:
        """Raise for settings, or parameters, that make no sense."""
        at_least_zero("Muon", settings, "weight_decay", "eps", "ns_steps")
        below_one("Muon", "momentum", settings["momentum"])
        if settings["adjust_lr_fn"] not in (None, "original", "match_rms_adamw"):
            raise ValueError(
                f"Muon(adjust_lr_fn): {settings['adjust_lr_fn']!r} is unknown\n  need 'original' or 'match_rms_adamw'"
            )
        for i, p in enumerate(settings.get("params", ())):
            if isinstance(p, Tensor) and p.ndim != 2:
                raise ShapeError(f"Muon(params): {operand(f'params[{i}]', p).strip()} is no matrix\n  need (in, out)")


class ASGD(Optimizer):
    """p <- (1 - lambd eta) p - eta g; ax <- ax + (p - ax) / max(1, t - 1 - t0); eta = lr / (1 + lambd lr t)^alpha next.

    g is the gradient (its negative with `maximize`) + weight_decay p; eta is lr at first.  The average is
    ``optimizer.state[p]["ax"]``.  The arithmetic is that of ``torch.optim.ASGD``.  Kernel: ``update_other.cu``.

    Raises: ValueError for a negative setting.
    Source: Polyak, Juditsky, "Acceleration of stochastic approximation by averaging", 1992.

    Examples
    --------
    >>> import gradlib as gl
    >>> p = gl.nn.Parameter(gl.tensor([1.0]))
    >>> optimizer = gl.optim.ASGD([p], lr=0.25, lambd=0.0)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p.item(), optimizer.state[p]["ax"].item()
    (0.5, 0.5)
    """

    rule = asgd

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        **ignored: Any,
    ) -> None:
        ignore("ASGD", ignored)
        settings = {"alpha": alpha, "t0": t0, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, {"lr": lr, "lambd": lambd, **settings})

    def check(self, settings: dict[str, Any]) -> None:
        """Raise ValueError for settings that make no sense."""
        at_least_zero("ASGD", settings, "lambd", "alpha", "t0", "weight_decay")

    def start(self, name: str, param: Tensor, settings: Mapping[str, Any]) -> Tensor:
        """Return zeros for the average, lr for the step's rate."""
        return number(param, settings["lr"]) if name == "eta" else super().start(name, param, settings)
