"""Activations as layers.  Dense and Conv2d take `activation=` instead, which saves a pass over memory."""

from __future__ import annotations

from typing import Any

from . import functional as F
from .module import Module


class ReLU(Module):
    """y = max(x, 0).

    PyTorch's `inplace` is taken by every activation that has it there, and means nothing: tensors do not change.
    Shapes: any.  Derivative: every order, 0 at 0.  Kernel: generated.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.ReLU()(gl.tensor([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    def __init__(self, inplace: bool = False) -> None:
        pass

    def forward(self, input: Any) -> Any:
        """Return max(input, 0)."""
        return F.relu(input)


class LeakyReLU(Module):
    """y = x for x > 0, else negative_slope x."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        self.negative_slope = negative_slope

    def forward(self, input: Any) -> Any:
        """Return the input, its negative part scaled."""
        return F.leaky_relu(input, self.negative_slope)

    def extra_repr(self) -> str:
        """Return the slope."""
        return f"negative_slope={self.negative_slope}"


class ELU(Module):
    """y = x for x > 0, else alpha (exp(x) - 1)."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha = alpha

    def forward(self, input: Any) -> Any:
        """Return the input, its negative part bent towards -alpha."""
        return F.elu(input, self.alpha)

    def extra_repr(self) -> str:
        """Return alpha."""
        return f"alpha={self.alpha}"


class GELU(Module):
    """y = x Phi(x), Phi the normal distribution function; ``approximate="tanh"`` for its usual approximation."""

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate

    def forward(self, input: Any) -> Any:
        """Return input * Phi(input)."""
        return F.gelu(input, self.approximate)

    def extra_repr(self) -> str:
        """Return what differs from the default."""
        return "" if self.approximate == "none" else f"approximate={self.approximate!r}"


class SiLU(Module):
    """y = x sigmoid(x).

    Shapes: any.  Derivative: every order.  Kernel: generated.
    Source: Elfwing, Uchibe, Doya, "Sigmoid-weighted linear units", 2018, equation 4.

    Examples
    --------
    >>> import gradlib as gl
    >>> round(gl.nn.SiLU()(gl.tensor([1.0])).item(), 4)
    0.7311
    """

    def __init__(self, inplace: bool = False) -> None:
        pass

    def forward(self, input: Any) -> Any:
        """Return input * sigmoid(input)."""
        return F.silu(input)


class Softplus(Module):
    """y = log(1 + exp(beta x)) / beta; linear where beta x > threshold."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta, self.threshold = beta, threshold

    def forward(self, input: Any) -> Any:
        """Return the smooth positive part."""
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        """Return what differs from the defaults."""
        return "" if (self.beta, self.threshold) == (1.0, 20.0) else f"beta={self.beta}, threshold={self.threshold}"


class Sigmoid(Module):
    """y = 1 / (1 + exp(-x))."""

    def forward(self, input: Any) -> Any:
        """Return the logistic function."""
        return F.sigmoid(input)


class Tanh(Module):
    """y = tanh(x)."""

    def forward(self, input: Any) -> Any:
        """Return the hyperbolic tangent."""
        return F.tanh(input)


class Softmax(Module):
    """y = exp(x) / sum of exp(x) along axis `dim`, by default the last (here the classes or channels)."""

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, input: Any) -> Any:
        """Return the probabilities."""
        return F.softmax(input, self.dim)

    def extra_repr(self) -> str:
        """Return what differs from the default."""
        return "" if self.dim == -1 else f"dim={self.dim}"
