"""The fully connected layer, and the bilinear one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core import op
from ..errors import ShapeError
from ..ops.activation import check
from . import functional as F
from . import init
from .functional import Activation
from .module import Module
from .parameter import Parameter
from .regularize import Dropout


class Dense(Module):
    """y = activation(x @ weight + bias); `Linear` is the same class.

    The bias and the activation are fused into the product where there is a kernel.

    Shapes: input (..., in_features); weight (in_features, out_features); bias (out_features,); output
    (..., out_features).  Initial values: U[-b, b), b = 1 / sqrt(in_features), as in PyTorch.

    Raises
    ------
    ShapeError : a size below 1, or (when called) an input whose last axis is not in_features.

    Examples
    --------
    >>> import gradlib as gl
    >>> layer = gl.nn.Dense(4, 3, activation="relu")
    >>> layer(gl.tensor([[1.0, 2.0, 3.0, 4.0]])).shape
    (1, 3)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        activation: Activation = None,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        name = "Dense(in_features, out_features)"
        if not all(isinstance(n, (int, np.integer)) and n >= 1 for n in (in_features, out_features)):
            raise ShapeError(f"{name}: sizes are {in_features!r} and {out_features!r}\n  need ints of at least 1")
        check(name, activation)
        self.in_features, self.out_features = in_features, out_features
        self.activation = activation
        self.weight = Parameter(init.allocate((in_features, out_features), dtype, device))
        self.bias = Parameter(init.allocate((out_features,), dtype, device)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.default_(self.weight, self.bias)

    def forward(self, input: Any) -> Any:
        """Return activation(input @ weight + bias)."""
        return F.dense(input, self.weight, self.bias, activation=self.activation)

    def extra_repr(self) -> str:
        """Return sizes and what differs from the defaults."""
        text = f"{self.in_features}, {self.out_features}"
        if self.bias is None:
            text += ", bias=False"
        return text if self.activation is None else f"{text}, activation={_shown(self.activation)}"


Linear = Dense


def then_dropped(layer: Module, input: Any, dropout: Module, residual: Any = None) -> Any:
    """Return dropout(layer(input)) + residual: one op where the two are plain, and nobody listens in between."""
    if type(layer) is Dense and type(dropout) is Dropout and not (layer.has_hooks or dropout.has_hooks):
        return F.dense(
            input, layer.weight, layer.bias, activation=layer.activation, residual=residual, p=dropout.p,
            training=dropout.training, generator=dropout.generator,
        )  # fmt: skip
    y = dropout(layer(input))
    return y if residual is None else op.add(residual, y)


def _shown(activation: Activation) -> str:
    return getattr(activation, "__name__", None) or repr(activation)


class Bilinear(Module):
    """y[k] = sum over i, j of x1[i] weight[i, j, k] x2[j] + bias[k].

    Shapes: x1 (..., in1_features), x2 (..., in2_features), weight (in1_features, in2_features, out_features).
    Initial values: U[-b, b), b = 1 / sqrt(in1_features), as in PyTorch.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.Bilinear(2, 3, 4)(gl.tensor([[1.0, 2.0]]), gl.tensor([[1.0, 2.0, 3.0]])).shape
    (1, 4)
    """

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        *,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.sizes = (in1_features, in2_features, out_features)
        bound = 1.0 / math.sqrt(in1_features)
        self.weight = Parameter(init.uniform_(init.allocate(self.sizes, dtype, device), -bound, bound))
        self.bias = (
            Parameter(init.uniform_(init.allocate((out_features,), dtype, device), -bound, bound)) if bias else None
        )

    def forward(self, input1: Any, input2: Any) -> Any:
        """Return the bilinear form of both."""
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return ", ".join(map(str, self.sizes)) + ("" if self.bias is not None else ", bias=False")
