"""Pooling in one and three dimensions, adaptive and global pooling, as layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core import op
from . import functional as F
from .held import Held
from .module import Module

Size = int | Sequence[int]


class MaxPool1d(Held):
    """y = the largest value in each window of sequences (batch, length, channels); see `MaxPool2d`.

    Shapes: (batch, length, channels); the spatial sizes of the output as in `MaxPool2d`.  Raises: ShapeError.
    Derivative: every order.  Kernel: ``pool2d.cu``.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.MaxPool1d(2)(gl.tensor(np.ones((1, 8, 3)))).shape
    (1, 4, 3)
    """

    function = F.max_pool1d

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        self._keep(locals())


class AvgPool1d(Held):
    """y = the mean of each window of sequences (batch, length, channels); see `AvgPool2d`.

    Shapes: (batch, length, channels); the spatial sizes of the output as in `AvgPool2d`.  Raises: ShapeError.
    Derivative: every order.  Kernel: ``pool2d.cu``.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.AvgPool1d(2)(gl.tensor(np.ones((1, 8, 3)))).shape
    (1, 4, 3)
    """

    function = F.avg_pool1d

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        self._keep(locals())


class MaxPool3d(Held):
    """y = the largest value in each window of volumes (batch, depth, height, width, channels); see `MaxPool2d`.

    Shapes: (batch, d, h, w, channels); the spatial sizes of the output as in `MaxPool2d`.  Raises: ShapeError.
    Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.MaxPool3d(2)(gl.tensor(np.ones((1, 8, 8, 8, 3)))).shape
    (1, 4, 4, 4, 3)
    """

    function = F.max_pool3d

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        self._keep(locals())


class AvgPool3d(Held):
    """y = the mean of each window of volumes (batch, depth, height, width, channels); see `AvgPool2d`.

    Shapes: (batch, d, h, w, channels); the spatial sizes of the output as in `AvgPool2d`.  Raises: ShapeError.
    Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.AvgPool3d(2)(gl.tensor(np.ones((1, 8, 8, 8, 3)))).shape
    (1, 4, 4, 4, 3)
    """

    function = F.avg_pool3d

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        self._keep(locals())


class AdaptiveAvgPool1d(Held):
    """y = the mean of each of `output_size` windows that cover the input evenly; see `functional`.

    Shapes: (batch, length, channels) to (batch, *output_size, channels); None keeps a size.
    Raises: ShapeError.  Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.AdaptiveAvgPool1d(2)(gl.tensor(np.ones((1, 5, 3)))).shape
    (1, 2, 3)
    """

    function = F.adaptive_avg_pool1d

    def __init__(self, output_size: Any) -> None:
        self._keep(locals())


class AdaptiveAvgPool2d(Held):
    """y = the mean of each of `output_size` windows that cover the input evenly; see `functional`.

    Shapes: (batch, height, width, channels) to (batch, *output_size, channels); None keeps a size.
    Raises: ShapeError.  Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.AdaptiveAvgPool2d(2)(gl.tensor(np.ones((1, 5, 5, 3)))).shape
    (1, 2, 2, 3)
    """

    function = F.adaptive_avg_pool2d

    def __init__(self, output_size: Any) -> None:
        self._keep(locals())


class AdaptiveAvgPool3d(Held):
    """y = the mean of each of `output_size` windows that cover the input evenly; see `functional`.

    Shapes: (batch, depth, height, width, channels) to (batch, *output_size, channels); None keeps a size.
    Raises: ShapeError.  Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.AdaptiveAvgPool3d(2)(gl.tensor(np.ones((1, 5, 5, 5, 3)))).shape
    (1, 2, 2, 2, 3)
    """

    function = F.adaptive_avg_pool3d

    def __init__(self, output_size: Any) -> None:
        self._keep(locals())


class AdaptiveMaxPool1d(Held):
    """y = the largest value of each of `output_size` windows that cover the input evenly; see `functional`.

    Shapes: (batch, length, channels) to (batch, *output_size, channels); None keeps a size.  With
    `return_indices` the layer returns (y, places).
    Raises: ShapeError.  Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.AdaptiveMaxPool1d(2)(gl.tensor(np.ones((1, 5, 3)))).shape
    (1, 2, 3)
    """

    function = F.adaptive_max_pool1d

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        self._keep(locals())


class AdaptiveMaxPool2d(Held):
    """y = the largest value of each of `output_size` windows that cover the input evenly; see `functional`.

    Shapes: (batch, height, width, channels) to (batch, *output_size, channels); None keeps a size.  With
    `return_indices` the layer returns (y, places).
    Raises: ShapeError.  Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.AdaptiveMaxPool2d(2)(gl.tensor(np.ones((1, 5, 5, 3)))).shape
    (1, 2, 2, 3)
    """

    function = F.adaptive_max_pool2d

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        self._keep(locals())


class AdaptiveMaxPool3d(Held):
    """y = the largest value of each of `output_size` windows that cover the input evenly; see `functional`.

    Shapes: (batch, depth, height, width, channels) to (batch, *output_size, channels); None keeps a size.  With
    `return_indices` the layer returns (y, places).
    Raises: ShapeError.  Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.AdaptiveMaxPool3d(2)(gl.tensor(np.ones((1, 5, 5, 5, 3)))).shape
    (1, 2, 2, 2, 3)
    """

    function = F.adaptive_max_pool3d

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        self._keep(locals())


class GlobalAvgPool(Module):
    """y = the mean of each channel over all places: (batch, *size, channels) to (batch, channels).

    Shapes: (batch, *size, channels) to (batch, channels).  Derivative: every order.  Kernel: that of the mean.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.GlobalAvgPool()(gl.tensor(np.ones((2, 4, 4, 3)))).shape
    (2, 3)
    """

    def forward(self, input: Any) -> Any:
        """Return one value for each channel."""
        return op.mean(input, axis=tuple(range(1, len(input.shape) - 1)))


class GlobalMaxPool(Module):
    """y = the largest value of each channel over all places: (batch, *size, channels) to (batch, channels).

    Shapes: (batch, *size, channels) to (batch, channels).  Derivative: every order.  Kernel: that of the maximum.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.GlobalMaxPool()(gl.tensor(np.ones((2, 4, 4, 3)))).shape
    (2, 3)
    """

    def forward(self, input: Any) -> Any:
        """Return one value for each channel."""
        return op.max(input, axis=tuple(range(1, len(input.shape) - 1)))
