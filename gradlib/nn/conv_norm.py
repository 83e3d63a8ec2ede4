"""A convolution and its batch normalisation as one layer."""

from __future__ import annotations

from typing import Any

from ..ops.activation import check
from . import functional as F
from .conv import Conv2d
from .dense import _shown
from .functional import Activation, Size
from .module import Module
from .norm import BatchNorm2d


class ConvBatchNorm2d(Module):
    """y = activation(norm(conv(x)) + residual): a `Conv2d` without bias, and the `BatchNorm2d` of its result.

    The values are those of the two layers in turn.  In training the convolution takes the statistics on its way out, in
    evaluation the normalisation is folded into its scale and bias: one launch on tensor cores.  Arguments are those of
    the two layers; ``layer(x, residual)`` adds `residual` before the activation, as residual blocks do.

    State: conv.weight; norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.num_batches_tracked, so that
    PyTorch's weights of a module with a ``conv`` and a ``norm`` load as they are.
    Shapes: input (batch, height, width, in_channels); output and residual as of `Conv2d`.
    Raises: ShapeError.  Source: Ioffe and Szegedy, "Batch normalization", ICML 2015.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> layer = gl.nn.ConvBatchNorm2d(3, 16, 3, padding=1, activation="relu")
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
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        *,
        activation: Activation = None,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        check("ConvBatchNorm2d(in_channels, out_channels, kernel_size)", activation)
        self.conv = Conv2d(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias=False,
                           device=device, dtype=dtype)  # fmt: skip
        self.norm = BatchNorm2d(out_channels, eps, momentum, device=device, dtype=dtype)
        self.activation = activation

    def forward(self, input: Any, residual: Any = None) -> Any:
        """Return activation(norm(conv(input)) + residual); in training, move the running statistics."""
        conv, norm = self.conv, self.norm
        training = self.training or norm.running_mean is None
        return F.conv2d_batch_norm(
            input, conv.weight, norm.running_mean, norm.running_var, norm.weight, norm.bias, residual, conv.stride,
            conv.padding, conv.dilation, conv.groups, training=training, momentum=norm.counted(), eps=norm.eps,
            activation=self.activation,
        )  # fmt: skip

    def extra_repr(self) -> str:
        """Return the activation, if there is one."""
        return "" if self.activation is None else f"activation={_shown(self.activation)}"
