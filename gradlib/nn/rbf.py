"""Radial basis functions as a layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import ShapeError
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter


class RBF(Module):
    """y[j] = phi(gamma[j]^2 |x - c_j|^2), centers c_j and widths 1 / gamma[j] learned; see `functional.rbf`.

    A `Dense` layer after it makes an RBF network.  `basis` is "gaussian", "multiquadric", "inverse_quadratic",
    "inverse_multiquadric", or a function of the squared distance.

    Shapes: input (..., in_features); output (..., out_features); centers (out_features, in_features), from N(0, 1);
    gamma (out_features,), 1 at first.  Raises: ShapeError, ValueError.  Derivative: every order.
    Kernel: composition.  Source: Broomhead, Lowe, "Multivariable functional interpolation and adaptive
    networks", 1988.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.Sequential(gl.nn.RBF(2, 8), gl.nn.Dense(8, 1))(gl.tensor(np.ones((5, 2), np.float32))).shape
    (5, 1)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        basis: str | Callable[[Any], Any] = "gaussian",
        *,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        if min(in_features, out_features) < 1:
            raise ShapeError(f"RBF(in_features, out_features): {in_features}, {out_features}\n  need 1 or more")
        self.in_features, self.out_features, self.basis = in_features, out_features, basis
        self.centers = Parameter(init.normal_(init.allocate((out_features, in_features), dtype, device)))
        self.gamma = Parameter(init.ones_(init.allocate((out_features,), dtype, device)))

    def forward(self, input: Any) -> Any:
        """Return the value of each basis function."""
        return F.rbf(input, self.centers, self.gamma, self.basis)

    def extra_repr(self) -> str:
        """Return the sizes and what differs from the default."""
        text = f"{self.in_features}, {self.out_features}"
        name = self.basis if isinstance(self.basis, str) else getattr(self.basis, "__name__", "function")
        return text if name == "gaussian" else f"{text}, basis={name!r}"
