"""Convolution layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import ShapeError
from ..ops.activation import check
from . import functional as F
from . import init
from .dense import _shown
from .functional import Activation, Size
from .module import Module
from .parameter import Parameter


def pair(name: str, argument: str, value: Size) -> tuple[int, int]:
    """Return an int, or two of them, as two."""
    values = (value, value) if isinstance(value, int) else tuple(value)
    if len(values) != 2 or not all(isinstance(v, int) for v in values):
        raise ShapeError(f"{name}: {argument} is {value!r}\n  need an int, or two of them")
    return values


class Conv2d(Module):
    """y = activation(conv2d(x, weight) + bias): cross-correlation of images with a window of weights.

    ``y[n, p, q, k] = sum over r, s, c of x[n, p stride + r dilation - padding, ..., c] weight[r, s, c, k]``

    `padding` is an int, two of them, ``"valid"`` (none) or ``"same"`` (stride 1: output as large as the input).
    `groups` splits input and output channels into groups that do not see each other; ``groups=in_channels``
    is the depthwise convolution.

    Shapes: input (batch, height, width, in_channels), that is NHWC; weight (kh, kw, in_channels / groups,
    out_channels), that is HWIO; bias (out_channels,); output NHWC.  Initial values: U[-b, b), b = 1 /
    sqrt(kh kw in_channels / groups), as in PyTorch.

    Raises
    ------
    ShapeError : channels that the groups do not divide; or (when called) an input that does not fit.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> layer = gl.nn.Conv2d(3, 16, 3, padding="same", activation="relu")
    >>> layer(gl.tensor(np.ones((2, 8, 8, 3), np.float32))).shape
    (2, 8, 8, 16)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        activation: Activation = None,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        name = "Conv2d(in_channels, out_channels, kernel_size)"
        if in_channels < 1 or out_channels < 1 or groups < 1 or in_channels % groups or out_channels % groups:
            raise ShapeError(
                f"{name}: {in_channels} and {out_channels} channels in {groups} groups\n"
                f"  need positive numbers of channels that groups divides"
            )
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = pair(name, "kernel_size", kernel_size)
        self.stride = pair(name, "stride", stride)
        self.padding = padding if isinstance(padding, str) else pair(name, "padding", padding)
        self.dilation = pair(name, "dilation", dilation)
        self.groups = groups
        self.activation = activation
        check(name, activation)
        if isinstance(padding, str) and padding not in ("same", "valid"):
            raise ValueError(f'{name}: padding is {padding!r}\n  need "same", "valid", an int, or two of them')
        if min(*self.kernel_size, *self.stride, *self.dilation) < 1:
            raise ShapeError(f"{name}: kernel_size, stride and dilation need to be 1 or more: {self.extra_repr()}")
        self.weight = Parameter(init.allocate((*self.kernel_size, in_channels // groups, out_channels), dtype, device))
        self.bias = Parameter(init.allocate((out_channels,), dtype, device)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.default_(self.weight, self.bias)

    def forward(self, input: Any) -> Any:
        """Return activation(conv2d(input, weight) + bias)."""
        return F.conv2d(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
            activation=self.activation,
        )

    def extra_repr(self) -> str:
        """Return sizes and what differs from the defaults."""
        shown = [str(self.in_channels), str(self.out_channels), f"kernel_size={_short(self.kernel_size)}"]
        for key, default in (("stride", (1, 1)), ("padding", (0, 0)), ("dilation", (1, 1)), ("groups", 1)):
            value = getattr(self, key)
            if value != default:
                shown.append(f"{key}={_short(value)}")
        if vars(self).get("bias", True) is None:
            shown.append("bias=False")
        if self.activation is not None:
            shown.append(f"activation={_shown(self.activation)}")
        return ", ".join(shown)


def _short(value: int | str | Sequence[int]) -> str:
    """Write (3, 3) as 3."""
    if isinstance(value, tuple) and len(set(value)) == 1:
        return str(value[0])
    return repr(value)
