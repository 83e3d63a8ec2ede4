"""The inverse of max pooling, pooling by norms and over windows of random steps, as layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..ops import Generator
from . import functional as F
from .held import Held

Size = int | Sequence[int]


class MaxUnpool1d(Held):
    """y = zeros, each input at the place that ``MaxPool1d(return_indices=True)`` tells; see `MaxUnpool2d`.

    Shapes: input, indices (batch, l, channels); output (batch, (l - 1) stride + kernel_size - 2 padding, channels).

    Examples
    --------
    >>> import gradlib as gl
    >>> y, places = gl.nn.MaxPool1d(2, return_indices=True)(gl.tensor([[[1.0], [4.0], [3.0], [2.0]]]))
    >>> gl.nn.MaxUnpool1d(2)(y, places).flatten().tolist()
    [0.0, 4.0, 3.0, 0.0]
    """

    function = F.max_unpool1d

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> None:
        self._keep(locals())

    def forward(self, input: Any, indices: Any, output_size: Any = None) -> Any:
        """Return the values at their places, zeros elsewhere."""
        return super().forward(input, indices, output_size=output_size)


class MaxUnpool2d(MaxUnpool1d):
    """y = zeros, each input at the place that ``MaxPool2d(return_indices=True)`` tells.

    ``layer(input, indices, output_size=None)``: several sizes have one pooling, `output_size` chooses.
    Shapes: input, indices (batch, h, w, channels); output (batch, h', w', channels), h' = (h - 1) stride +
    kernel_size - 2 padding.  Raises: ShapeError, IndexError.  Derivative: every order.  Kernel: composition.
    Source: Zeiler, Fergus, "Visualizing and understanding convolutional networks", ECCV 2014, section 2.1.

    Examples
    --------
    >>> import gradlib as gl
    >>> y, places = gl.nn.MaxPool2d(2, return_indices=True)(gl.tensor([[[[1.0], [4.0]], [[3.0], [2.0]]]]))
    >>> gl.nn.MaxUnpool2d(2)(y, places).flatten().tolist()
    [0.0, 4.0, 0.0, 0.0]
    """

    function = F.max_unpool2d


class MaxUnpool3d(MaxUnpool1d):
    """y = zeros, each input at the place that ``MaxPool3d(return_indices=True)`` tells; see `MaxUnpool2d`.

    Shapes: input, indices (batch, d, h, w, channels); the sizes of the output as in `MaxUnpool2d`.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> y, places = gl.nn.MaxPool3d(2, return_indices=True)(gl.tensor(np.arange(8.0).reshape(1, 2, 2, 2, 1)))
    >>> gl.nn.MaxUnpool3d(2)(y, places).flatten().tolist()
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 7.0]
    """

    function = F.max_unpool3d


class LPPool1d(Held):
    """y = (sum of x^p over each window of (batch, length, channels))^(1/p), p = norm_type; see `LPPool2d`.

    Shapes: (batch, length, channels); the spatial sizes of the output as in `MaxPool2d`.  Raises: ShapeError.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.LPPool1d(2, 2)(gl.tensor([[[3.0], [4.0]]])).item()
    5.0
    """

    function = F.lp_pool1d

    def __init__(
        self, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
    ) -> None:
        self._keep(locals())


class LPPool2d(LPPool1d):
    """y = (sum of x^p over each window of (batch, height, width, channels))^(1/p), p = norm_type.

    Shapes: as `MaxPool2d`.  Raises: ShapeError, ValueError.  Derivative: every order, 0 where the sum is 0.
    Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.LPPool2d(1, (1, 2))(gl.tensor([[[[3.0], [4.0]]]])).item()
    7.0
    """

    function = F.lp_pool2d


class LPPool3d(LPPool1d):
    """y = (sum of x^p over each window of (batch, d, h, w, channels))^(1/p), p = norm_type; see `LPPool2d`.

    Shapes: (batch, d, h, w, channels); the spatial sizes of the output as in `MaxPool2d`.  Raises: ShapeError.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.LPPool3d(2, 2)(gl.tensor(np.ones((1, 4, 4, 4, 2)))).shape
    (1, 2, 2, 2, 2)
    """

    function = F.lp_pool3d


class FractionalMaxPool2d(Held):
    """y = the greatest value of each of `output_size` windows, whose steps are drawn for each example and channel.

    Shapes: input (batch, height, width, channels); output (batch, *output_size, channels), or `output_ratio` times
    the input's size.  With `return_indices` the layer returns (y, places).  The steps come from `generator`.
    Raises: ShapeError, ValueError.  Derivative: every order.  Kernel: composition.
    Source: Graham, "Fractional max-pooling", 2014.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.FractionalMaxPool2d(2, output_ratio=0.7)(gl.tensor(np.ones((1, 10, 10, 3)))).shape
    (1, 7, 7, 3)
    """

    function = F.fractional_max_pool2d

    def __init__(
        self,
        kernel_size: Size,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Any = None,
        *,
        generator: Generator | None = None,
    ) -> None:
        self._keep(locals())


class FractionalMaxPool3d(FractionalMaxPool2d):
    """y = the greatest value of windows of random steps of (batch, d, h, w, channels); see `FractionalMaxPool2d`.

    Shapes: (batch, depth, height, width, channels) to (batch, *output_size, channels).  Raises: ShapeError.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.FractionalMaxPool3d(2, output_size=3)(gl.tensor(np.ones((1, 6, 6, 6, 2)))).shape
    (1, 3, 3, 3, 2)
    """

    function = F.fractional_max_pool3d
