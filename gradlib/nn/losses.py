"""The other losses as modules: each holds the settings of its function in `nn.functional`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..core import Tensor
from . import functional as F
from .held import Held
from .module import Module


class L1Loss(Held):
    """loss = |input - target|; see `functional.l1_loss`.

    Shapes: input and target equal; the loss (), or with ``reduction="none"`` as the input.  Raises: ShapeError.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.L1Loss()(gl.tensor([1.0, 2.0]), gl.tensor([1.0, 5.0])).item()
    1.5
    """

    function = F.l1_loss

    def __init__(self, reduction: str = "mean") -> None:
        self._keep(locals())


class HuberLoss(Held):
    """loss = d^2 / 2 for |d| <= delta, else delta (|d| - delta / 2); see `functional.huber_loss`.

    Shapes: input and target equal; the loss (), or with ``reduction="none"`` as the input.  Raises: ShapeError.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.HuberLoss()(gl.tensor([3.0]), gl.tensor([0.0])).item()
    2.5
    """

    function = F.huber_loss

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        self._keep(locals())


class SmoothL1Loss(Held):
    """loss = d^2 / (2 beta) for |d| < beta, else |d| - beta / 2; see `functional.smooth_l1_loss`.

    Shapes: input and target equal; the loss (), or with ``reduction="none"`` as the input.  Raises: ShapeError.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.SmoothL1Loss(beta=2.0)(gl.tensor([3.0]), gl.tensor([0.0])).item()
    2.0
    """

    function = F.smooth_l1_loss

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        self._keep(locals())


class L2Divergence(Held):
    """loss = 1/2 |y - d|^2 for each example; see `functional.l2_divergence`.

    Shapes: input and target equal; the loss (), or with ``reduction="none"`` (batch,).  Raises: ShapeError.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.L2Divergence()(gl.tensor([[3.0, 4.0]]), gl.tensor([[0.0, 0.0]])).item()
    12.5
    """

    function = F.l2_divergence

    def __init__(self, reduction: str = "mean") -> None:
        self._keep(locals())


class Regularizer(Module):
    """gamma(w) = l1 sum |w| + l2 / 2 sum w^2 over the parameters of a module; see `functional.regularizer`.

    Shapes: any Parameters; the result ().

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.Regularizer(l2=2.0)([gl.tensor([3.0, 4.0])]).item()
    25.0
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1, self.l2 = l1, l2

    def forward(self, parameters: Module | Iterable[Tensor]) -> Any:
        """Return gamma of the parameters."""
        several = parameters.parameters() if isinstance(parameters, Module) else parameters
        return F.regularizer(several, self.l1, self.l2)

    def extra_repr(self) -> str:
        """Return the factors."""
        return f"l1={self.l1}, l2={self.l2}"


class NLLLoss(Held):
    """loss = -input[target] for log-probabilities; see `functional.nll_loss`.

    Shapes: input (..., classes), target integers (...); the loss (), or with ``reduction="none"`` (...).

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.NLLLoss()(gl.tensor([[-1.0, -2.0]]), gl.tensor([1])).item()
    2.0
    """

    function = F.nll_loss

    def __init__(self, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean") -> None:
        self._keep(locals())


class BCELoss(Held):
    """loss = -(t log x + (1 - t) log(1 - x)); see `functional.binary_cross_entropy`.

    Shapes: input and target equal; the loss (), or with ``reduction="none"`` as the input.  Raises: ShapeError.

    Examples
    --------
    >>> import gradlib as gl
    >>> round(gl.nn.BCELoss()(gl.tensor([0.5]), gl.tensor([1.0])).item(), 4)
    0.6931
    """

    function = F.binary_cross_entropy

    def __init__(self, weight: Tensor | None = None, reduction: str = "mean") -> None:
        self._keep(locals())


class BCEWithLogitsLoss(Held):
    """loss = -(w t log s(z) + (1 - t) log(1 - s(z))), s the sigmoid; see `functional.binary_cross_entropy_with_logits`.

    Shapes: input and target equal; the loss (), or with ``reduction="none"`` as the input.  Raises: ShapeError.

    Examples
    --------
    >>> import gradlib as gl
    >>> round(gl.nn.BCEWithLogitsLoss()(gl.tensor([0.0]), gl.tensor([1.0])).item(), 4)
    0.6931
    """

    function = F.binary_cross_entropy_with_logits

    def __init__(self, weight: Tensor | None = None, reduction: str = "mean", pos_weight: Tensor | None = None) -> None:
        self._keep(locals())


class KLDivLoss(Held):
    """loss = p (log p - q), q = input log-probabilities, p = target; see `functional.kl_div`.

    Shapes: input and target equal; the loss (), or with ``reduction="none"`` as the input.  Raises: ShapeError.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.KLDivLoss("batchmean")(gl.tensor([[-1.0, -1.0]]), gl.tensor([[1.0, 0.0]])).item()
    1.0
    """

    function = F.kl_div

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        self._keep(locals())


class PoissonNLLLoss(Held):
    """loss = exp(x) - t x; see `functional.poisson_nll_loss`.

    Shapes: input and target equal; the loss (), or with ``reduction="none"`` as the input.  Raises: ShapeError.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.PoissonNLLLoss()(gl.tensor([0.0]), gl.tensor([3.0])).item()
    1.0
    """

    function = F.poisson_nll_loss

    def __init__(self, log_input: bool = True, full: bool = False, eps: float = 1e-8, reduction: str = "mean") -> None:
        self._keep(locals())


class GaussianNLLLoss(Held):
    """loss = (log v + (input - target)^2 / v) / 2, of (input, target, var); see `functional.gaussian_nll_loss`.

    Shapes: input and target equal; the loss (), or with ``reduction="none"`` as the input.
    `var` broadcasts.  Raises: ShapeError.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.GaussianNLLLoss()(gl.tensor([1.0]), gl.tensor([3.0]), gl.tensor([1.0])).item()
    2.0
    """

    function = F.gaussian_nll_loss

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        self._keep(locals())


class CTCLoss(Held):
    """loss = -log of the probability of the target over all alignments; see `functional.ctc_loss`.

    Called with (log_probs, targets, input_lengths, target_lengths); log_probs (batch, length, classes).
    Shapes: log_probs (batch, length, classes), where PyTorch has (length, batch, classes); targets (batch, longest);
    lengths (batch,); the loss (), or with ``reduction="none"`` (batch,).  Raises: ShapeError.

    Examples
    --------
    >>> import gradlib as gl
    >>> even = gl.nn.functional.log_softmax(gl.tensor([[[0.0, 0.0, 0.0]] * 2]))
    >>> round(gl.nn.CTCLoss()(even, gl.tensor([[1]]), [2], [1]).exp().item(), 4)
    3.0
    """

    function = F.ctc_loss

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False) -> None:
        self._keep(locals())
