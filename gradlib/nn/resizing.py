"""Images at another size, and pixels from channels, as layers."""

from __future__ import annotations

from typing import Any

from . import functional as F
from .held import Held


class Upsample(Held):
    """y = the input at another size, or `scale_factor` times as large; see `functional.interpolate`.

    Shapes: (batch, *size, channels), one to three spatial axes.  Raises: ShapeError, ValueError.
    Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.Upsample(scale_factor=2, mode="bilinear")(gl.tensor(np.ones((1, 4, 4, 3)))).shape
    (1, 8, 8, 3)
    """

    function = F.interpolate

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        self._keep(locals())


class UpsamplingNearest2d(Upsample):
    """y = an image made larger by repeating its places; see `functional.interpolate`.

    Shapes: (batch, height, width, channels) to (batch, h', w', channels).  Raises: ShapeError.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.UpsamplingNearest2d(scale_factor=2)(gl.tensor(np.ones((1, 2, 2, 3)))).shape
    (1, 4, 4, 3)
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor)


class UpsamplingBilinear2d(Upsample):
    """y = an image at another size, by bilinear interpolation between aligned corners; see `functional.interpolate`.

    Shapes: (batch, height, width, channels) to (batch, h', w', channels).  Raises: ShapeError.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.UpsamplingBilinear2d(size=3)(gl.tensor(np.ones((1, 2, 2, 3)))).shape
    (1, 3, 3, 3)
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, "bilinear", True)


class PixelShuffle(Held):
    """y = an image r times as high and wide, its places taken from r^2 channels; see `functional.pixel_shuffle`.

    Shapes: (batch, h, w, c r^2) to (batch, h r, w r, c).  Raises: ShapeError.
    Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.PixelShuffle(2)(gl.tensor(np.ones((1, 4, 4, 12)))).shape
    (1, 8, 8, 3)
    """

    function = F.pixel_shuffle

    def __init__(self, upscale_factor: int) -> None:
        self._keep(locals())


class PixelUnshuffle(Held):
    """y = the inverse of `PixelShuffle`; see `functional.pixel_unshuffle`.

    Shapes: (batch, h r, w r, c) to (batch, h, w, c r^2).  Raises: ShapeError.
    Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.PixelUnshuffle(2)(gl.tensor(np.ones((1, 8, 8, 3)))).shape
    (1, 4, 4, 12)
    """

    function = F.pixel_unshuffle

    def __init__(self, downscale_factor: int) -> None:
        self._keep(locals())
