"""Convolutions in one and three dimensions, and transposed convolutions, as layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ..errors import ShapeError
from . import functional as F
from . import init
from .conv import _short
from .functional_spatial import sizes_of
from .module import Module
from .parameter import Parameter

Size = int | Sequence[int]


class _Windowed(Module):
    """What these layers have in common: sizes, weight and bias."""

    ndim: ClassVar[int]

    def _sizes(self, in_channels: int, out_channels: int, kernel_size: Size, groups: int, **others: Any) -> None:
        name = f"{type(self).__name__}(in_channels, out_channels, kernel_size)"
        if in_channels < 1 or out_channels < 1 or groups < 1 or in_channels % groups or out_channels % groups:
            raise ShapeError(
                f"{name}: {in_channels} and {out_channels} channels in {groups} groups\n"
                f"  need positive numbers of channels that groups divides"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = sizes_of(name, "kernel_size", kernel_size, self.ndim)
        for key, value in others.items():
            setattr(self, key, value if isinstance(value, str) else sizes_of(name, key, value, self.ndim))

    def _weights(self, rows: int, columns: int, bias: bool, dtype: Any, device: str | None) -> None:
        self.weight = Parameter(init.allocate((*self.kernel_size, rows, columns), dtype, device))
        self.bias = Parameter(init.allocate((self.out_channels,), dtype, device)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.default_(self.weight, self.bias)

    def extra_repr(self) -> str:
        """Return sizes and what differs from the defaults."""
        shown = [str(self.in_channels), str(self.out_channels), f"kernel_size={_short(self.kernel_size)}"]
        for key, default in (("stride", 1), ("padding", 0), ("output_padding", 0), ("dilation", 1), ("groups", 1)):
            value = getattr(self, key, default)
            if value not in (default, (default,) * self.ndim):
                shown.append(f"{key}={_short(value)}")
        return ", ".join(shown if self.bias is not None else [*shown, "bias=False"])


class _Conv(_Windowed):
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
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        window = {"stride": stride, "padding": padding, "dilation": dilation}
        self._sizes(in_channels, out_channels, kernel_size, groups, **window)
        self._weights(in_channels // groups, out_channels, bias, dtype, device)

    def forward(self, input: Any) -> Any:
        """Return conv(input, weight) + bias."""
        function = F.conv1d if self.ndim == 1 else F.conv3d
        window = (vars(self)["stride"], vars(self)["padding"], vars(self)["dilation"])
        return function(input, self.weight, self.bias, *window, self.groups)


class Conv1d(_Conv):
    """y = conv1d(x, weight) + bias: `Conv2d` for sequences (batch, length, channels).

    Shapes: weight (k, in_channels / groups, out_channels).  Arguments, initial values and errors as there.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.Conv1d(3, 8, 5, padding="same")(gl.tensor(np.ones((2, 10, 3), np.float32))).shape
    (2, 10, 8)
    """

    ndim = 1


class Conv3d(_Conv):
    """y = conv3d(x, weight) + bias: `Conv2d` for volumes (batch, depth, height, width, channels).

    Shapes: weight (kd, kh, kw, in_channels / groups, out_channels).  Arguments, initial values and errors as
    there.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.Conv3d(1, 2, 3, stride=2)(gl.tensor(np.ones((1, 7, 7, 7, 1), np.float32))).shape
    (1, 3, 3, 3, 2)
    """

    ndim = 3


class _ConvTranspose(_Windowed):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        *,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        window = {"stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation}
        self._sizes(in_channels, out_channels, kernel_size, groups, **window)
        self._weights(out_channels // groups, in_channels, bias, dtype, device)

    def forward(self, input: Any) -> Any:
        """Return the transposed convolution of input + bias."""
        function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[self.ndim - 1]
        own = vars(self)
        window = (own["stride"], own["padding"], own["output_padding"], self.groups, own["dilation"])
        return function(input, self.weight, self.bias, *window)


class ConvTranspose1d(_ConvTranspose):
    """y = the data gradient of a Conv1d at x, + bias; see `ConvTranspose2d`."""

    ndim = 1


class ConvTranspose2d(_ConvTranspose):
    """y = the data gradient of a Conv2d with this weight, at x, + bias: a convolution that makes images larger.

    Shapes: input (batch, h, w, in_channels); weight (kh, kw, out_channels / groups, in_channels); output
    (batch, h', w', out_channels), h' = (h - 1) stride - 2 padding + dilation (kh - 1) + output_padding + 1.
    Initial values: U[-b, b), b = 1 / sqrt(kh kw out_channels / groups), as in PyTorch.  Raises: ShapeError.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> layer = gl.nn.ConvTranspose2d(4, 2, 3, stride=2, padding=1, output_padding=1)
    >>> layer(gl.tensor(np.ones((1, 5, 5, 4), np.float32))).shape
    (1, 10, 10, 2)
    """

    ndim = 2


class ConvTranspose3d(_ConvTranspose):
    """y = the data gradient of a Conv3d at x, + bias; see `ConvTranspose2d`."""

    ndim = 3
