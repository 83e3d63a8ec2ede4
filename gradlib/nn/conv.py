"""Convolution layers in one, two and three dimensions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from ..errors import ShapeError
from ..ops.activation import check
from . import functional as F
from . import init
from .dense import _shown
from .functional import Activation, Size
from .functional_spatial import sizes_of
from .module import Module
from .parameter import Parameter


class Windowed(Module):
    """What convolutions and transposed convolutions have in common: sizes, weight, bias and how they are shown."""

    ndim: ClassVar[int]
    weight: Parameter
    bias: Parameter | None
    padding_mode: str = "zeros"
    activation: Activation

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
        counts = (*self.kernel_size, *vars(self)["stride"], *vars(self)["dilation"])
        if min(counts) < 1:
            raise ShapeError(f"{name}: kernel_size, stride and dilation are {counts}\n  need 1 or more")

    def _weights(self, rows: int, columns: int, bias: bool, dtype: Any, device: str | None) -> None:
        self.weight = Parameter(init.allocate((*self.kernel_size, rows, columns), dtype, device))
        self.bias = Parameter(init.allocate((self.out_channels,), dtype, device)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.default_(self.weight, self.bias)

    def extra_repr(self) -> str:
        """Return sizes and what differs from the defaults."""
        shown = [str(self.in_channels), str(self.out_channels), f"kernel_size={short(self.kernel_size)}"]
        for key, default in (("stride", 1), ("padding", 0), ("output_padding", 0), ("dilation", 1), ("groups", 1)):
            value = getattr(self, key, default)
            if value not in (default, (default,) * self.ndim):
                shown.append(f"{key}={short(value)}")
        if vars(self).get("bias", True) is None:
            shown.append("bias=False")
        if self.padding_mode != "zeros":
            shown.append(f"padding_mode={self.padding_mode!r}")
        if self.activation is not None:
            shown.append(f"activation={_shown(self.activation)}")
        return ", ".join(shown)


def short(value: int | str | Sequence[int]) -> str:
    """Show sizes that are all equal as one."""
    if isinstance(value, tuple) and len(set(value)) == 1:
        return str(value[0])
    return repr(value)


_MODES = ("zeros", "reflect", "replicate", "circular")


class _Conv(Windowed):
    function: ClassVar[Callable[..., Any]]

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
        padding_mode: str = "zeros",
        *,
        activation: Activation = None,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        name = f"{type(self).__name__}(in_channels, out_channels, kernel_size)"
        if isinstance(padding, str) and padding not in ("same", "valid"):
            raise ValueError(f'{name}: padding is {padding!r}\n  need "same", "valid", an int, or {self.ndim} of them')
        if padding_mode not in _MODES:
            raise ValueError(f"{name}: padding_mode is {padding_mode!r}\n  need one of {', '.join(_MODES)}")
        check(name, activation)
        self._sizes(in_channels, out_channels, kernel_size, groups, stride=stride, padding=padding, dilation=dilation)
        self.padding_mode, self.activation = padding_mode, activation
        self._weights(in_channels // groups, out_channels, bias, dtype, device)

    stride: tuple[int, ...]
    padding: tuple[int, ...] | str
    dilation: tuple[int, ...]

    def forward(self, input: Any) -> Any:
        """Return activation(conv(input, weight) + bias)."""
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._around(), self.padding_mode), 0
        return type(self).function(
            input,
            self.weight,
            self.bias,
            self.stride,
            padding,
            self.dilation,
            self.groups,
            activation=self.activation,
        )

    def _around(self) -> list[int]:
        """Return the padding as `functional.pad` takes it: before and after, from the last axis on."""
        if self.padding == "valid":
            return [0, 0] * self.ndim
        if self.padding == "same":
            totals = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            pairs = [(total // 2, total - total // 2) for total in totals]
        else:
            pairs = [(int(p), int(p)) for p in self.padding]
        return [n for pair in reversed(pairs) for n in pair]


class Conv1d(_Conv):
    """y = activation(conv1d(x, weight) + bias): `Conv2d` for sequences (batch, length, channels).

    Shapes: weight (k, in_channels / groups, out_channels).  Arguments, initial values and errors as there.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.Conv1d(3, 8, 5, padding="same")(gl.tensor(np.ones((2, 10, 3), np.float32))).shape
    (2, 10, 8)
    """

    ndim, function = 1, F.conv1d


class Conv2d(_Conv):
    """y = activation(conv2d(x, weight) + bias): cross-correlation of images with a window of weights.

    ``y[n, p, q, k] = sum over r, s, c of x[n, p stride + r dilation - padding, ..., c] weight[r, s, c, k]``

    `padding` is an int, two of them, ``"valid"`` (none) or ``"same"`` (stride 1: output as large as the input).
    `padding_mode` is what it consists of: "zeros", "reflect", "replicate" or "circular".
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

    ndim, function = 2, F.conv2d


class Conv3d(_Conv):
    """y = activation(conv3d(x, weight) + bias): `Conv2d` for volumes (batch, depth, height, width, channels).

    Shapes: weight (kd, kh, kw, in_channels / groups, out_channels).  Arguments, initial values and errors as
    there.  Kernel: on tensor cores alone; elsewhere a composition.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.Conv3d(1, 2, 3, stride=2)(gl.tensor(np.ones((1, 7, 7, 7, 1), np.float32))).shape
    (1, 3, 3, 3, 2)
    """

    ndim, function = 3, F.conv3d
