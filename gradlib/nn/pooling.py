"""Pooling layers."""

from __future__ import annotations

from typing import Any

from . import functional as F
from .conv import _short, pair
from .functional import Size
from .module import Module


class MaxPool2d(Module):
    """y = the largest value in each window, for each channel; of equal values the first gets the gradient.

    Shapes: input (batch, height, width, channels); output likewise, each size floor((size + 2 padding -
    dilation (kernel_size - 1) - 1) / stride) + 1 (ceil with `ceil_mode`).  `stride` is by default kernel_size.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.MaxPool2d(2)(gl.tensor(np.ones((1, 8, 8, 3), np.float32))).shape
    (1, 4, 4, 3)
    """

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        ceil_mode: bool = False,
    ) -> None:
        name = "MaxPool2d(kernel_size)"
        self.kernel_size = pair(name, "kernel_size", kernel_size)
        self.stride = self.kernel_size if stride is None else pair(name, "stride", stride)
        self.padding = pair(name, "padding", padding)
        self.dilation = pair(name, "dilation", dilation)
        self.ceil_mode = ceil_mode

    def forward(self, input: Any) -> Any:
        """Return the maxima."""
        return F.max_pool2d(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)

    def extra_repr(self) -> str:
        """Return the window and what differs from the defaults."""
        return _window(self)


class AvgPool2d(Module):
    """y = the mean of each window, for each channel.

    With `count_include_pad` the padding counts as zeros; without, only what lies inside the image counts.

    Shapes: as `MaxPool2d`.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.AvgPool2d(2)(gl.tensor(np.ones((1, 8, 8, 3), np.float32))).shape
    (1, 4, 4, 3)
    """

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        name = "AvgPool2d(kernel_size)"
        self.kernel_size = pair(name, "kernel_size", kernel_size)
        self.stride = self.kernel_size if stride is None else pair(name, "stride", stride)
        self.padding = pair(name, "padding", padding)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, input: Any) -> Any:
        """Return the means."""
        return F.avg_pool2d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        """Return the window and what differs from the defaults."""
        return _window(self)


def _window(layer: Any) -> str:
    text = _short(layer.kernel_size)
    if layer.stride != layer.kernel_size:
        text += f", stride={_short(layer.stride)}"
    for key, default in (("padding", (0, 0)), ("dilation", (1, 1)), ("ceil_mode", False), ("count_include_pad", True)):
        value = getattr(layer, key, default)
        if value != default:
            text += f", {key}={_short(value)}"
    return text
