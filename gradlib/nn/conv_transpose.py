"""Transposed convolutions as layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from ..ops.activation import check
from . import functional as F
from .conv import Windowed
from .functional import Activation, Size


class _ConvTranspose(Windowed):
    function: ClassVar[Callable[..., Any]]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    output_padding: tuple[int, ...]
    dilation: tuple[int, ...]

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
        padding_mode: str = "zeros",
        *,
        activation: Activation = None,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        if padding_mode != "zeros":
            raise ValueError(f"{type(self).__name__}(padding_mode): {padding_mode!r}\n  need 'zeros', as in PyTorch")
        check(f"{type(self).__name__}(in_channels, out_channels, kernel_size)", activation)
        window = {"stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation}
        self._sizes(in_channels, out_channels, kernel_size, groups, **window)
        self.activation = activation
        self._weights(out_channels // groups, in_channels, bias, dtype, device)

    def forward(self, input: Any, output_size: Any = None) -> Any:
        """Return activation(transposed convolution + bias); `output_size` may ask for one of its possible sizes."""
        extra = self.output_padding
        if output_size is not None:
            given = tuple(output_size)
            wanted = given[1:-1] if len(given) == self.ndim + 2 else given
            window = (input.shape[1:-1], self.stride, self.padding, self.dilation, self.kernel_size)
            least = [(n - 1) * s - 2 * p + d * (k - 1) + 1 for n, s, p, d, k in zip(*window, strict=True)]
            extra = tuple(w - n for w, n in zip(wanted, least, strict=True))
        return type(self).function(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            extra,
            self.groups,
            self.dilation,
            activation=self.activation,
        )


class ConvTranspose1d(_ConvTranspose):
    """y = activation(the data gradient of a Conv1d at x, + bias); see `ConvTranspose2d`.

    Shapes: input (batch, length, in_channels); weight (k, out_channels / groups, in_channels).

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.ConvTranspose1d(4, 2, 3, stride=2)(gl.tensor(np.ones((1, 5, 4), np.float32))).shape
    (1, 11, 2)
    """

    ndim, function = 1, F.conv_transpose1d


class ConvTranspose2d(_ConvTranspose):
    """y = activation(the data gradient of a Conv2d with this weight, at x, + bias): it makes images larger.

    Shapes: input (batch, h, w, in_channels); weight (kh, kw, out_channels / groups, in_channels); output
    (batch, h', w', out_channels), h' = (h - 1) stride - 2 padding + dilation (kh - 1) + output_padding + 1.
    ``layer(input, output_size)`` chooses the output_padding that gives this size.
    Initial values: U[-b, b), b = 1 / sqrt(kh kw out_channels / groups), as in PyTorch.  Raises: ShapeError.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> layer = gl.nn.ConvTranspose2d(4, 2, 3, stride=2, padding=1, output_padding=1)
    >>> layer(gl.tensor(np.ones((1, 5, 5, 4), np.float32))).shape
    (1, 10, 10, 2)
    """

    ndim, function = 2, F.conv_transpose2d


class ConvTranspose3d(_ConvTranspose):
    """y = activation(the data gradient of a Conv3d at x, + bias); see `ConvTranspose2d`.

    Shapes: input (batch, d, h, w, in_channels); weight (kd, kh, kw, out_channels / groups, in_channels).

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.ConvTranspose3d(4, 2, 2)(gl.tensor(np.ones((1, 3, 3, 3, 4), np.float32))).shape
    (1, 4, 4, 4, 2)
    """

    ndim, function = 3, F.conv_transpose3d
