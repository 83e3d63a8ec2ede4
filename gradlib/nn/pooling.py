"""Pooling layers."""

from __future__ import annotations

from typing import Any

from . import functional as F
from .conv import short
from .functional import Size
from .functional_spatial import sizes_of
from .module import Module


class MaxPool2d(Module):
    """y = the largest value in each window, for each channel; of equal values the first gets the gradient.

    Shapes: input (batch, height, width, channels); output likewise, each size floor((size + 2 padding -
    dilation (kernel_size - 1) - 1) / stride) + 1 (ceil with `ceil_mode`).  `stride` is by default kernel_size.
    With `return_indices` the layer returns (y, places), for `MaxUnpool2d`.

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
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        name = "MaxPool2d(kernel_size)"
        self.kernel_size = sizes_of(name, "kernel_size", kernel_size, 2)
        self.stride = self.kernel_size if stride is None else sizes_of(name, "stride", stride, 2)
        self.padding = sizes_of(name, "padding", padding, 2)
        self.dilation = sizes_of(name, "dilation", dilation, 2)
        self.ceil_mode, self.return_indices = ceil_mode, return_indices

    def forward(self, input: Any) -> Any:
        """Return the maxima, and with `return_indices` their places."""
        window = (self.kernel_size, self.stride, self.padding, self.dilation)
        return F.max_pool2d(input, *window, self.ceil_mode, self.return_indices)

    def extra_repr(self) -> str:
        """Return the window and what differs from the defaults."""
        return _window(self)


class AvgPool2d(Module):
    """y = the mean of each window, for each channel.

    With `count_include_pad` the padding counts as zeros; without, only what lies inside the image counts.
    `divisor_override` stands for the number of elements that the sum is divided by.

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
        divisor_override: int | None = None,
    ) -> None:
        name = "AvgPool2d(kernel_size)"
        self.kernel_size = sizes_of(name, "kernel_size", kernel_size, 2)
        self.stride = self.kernel_size if stride is None else sizes_of(name, "stride", stride, 2)
        self.padding = sizes_of(name, "padding", padding, 2)
        self.ceil_mode, self.count_include_pad, self.divisor_override = ceil_mode, count_include_pad, divisor_override

    def forward(self, input: Any) -> Any:
        """Return the means."""
        window = (self.kernel_size, self.stride, self.padding, self.ceil_mode)
        return F.avg_pool2d(input, *window, self.count_include_pad, self.divisor_override)

    def extra_repr(self) -> str:
        """Return the window and what differs from the defaults."""
        return _window(self)


def _window(layer: Any) -> str:
    text = short(layer.kernel_size)
    if layer.stride != layer.kernel_size:
        text += f", stride={short(layer.stride)}"
    defaults: dict[str, Any] = {"padding": (0, 0), "dilation": (1, 1), "return_indices": False, "ceil_mode": False}
    for key, default in {**defaults, "count_include_pad": True, "divisor_override": None}.items():
        value = getattr(layer, key, default)
        if value != default:
            text += f", {key}={short(value)}"
    return text
