"""Windows as rows and back, channels in another order, normalisation over neighbouring channels, as layers."""

from __future__ import annotations

from collections.abc import Sequence

from . import functional as F
from .held import Held

Size = int | Sequence[int]


class Unfold(Held):
    """y[n, l, (r, c)] = x[n, place r of window l, c]: each window of an image as a row; see `functional.unfold`.

    Shapes: input (batch, height, width, channels); output (batch, windows, kh kw channels), where PyTorch has (batch,
    channels kh kw, windows).  Raises: ShapeError.  Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.Unfold((2, 3))(gl.tensor(np.ones((2, 3, 4, 5)))).shape
    (2, 4, 30)
    """

    function = F.unfold

    def __init__(self, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1) -> None:
        self._keep(locals())


class Fold(Held):
    """y = the sum of all windows, each put back in its place: the transpose of `Unfold`; see `functional.fold`.

    Shapes: input (batch, windows, kh kw channels); output (batch, *output_size, channels).
    Raises: ShapeError.  Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.Fold((3, 4), (2, 3))(gl.tensor(np.ones((2, 4, 30)))).shape
    (2, 3, 4, 5)
    """

    function = F.fold

    def __init__(
        self, output_size: Size, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1
    ) -> None:
        self._keep(locals())


class ChannelShuffle(Held):
    """y = the channels of all groups in turn: the first of each, the second of each, ...; `functional.channel_shuffle`.

    Shapes: (..., channels).  Raises: ShapeError.  Source: Zhang et al., "ShuffleNet", CVPR 2018.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.ChannelShuffle(2)(gl.tensor([[0.0, 1.0, 2.0, 3.0]])).tolist()
    [[0.0, 2.0, 1.0, 3.0]]
    """

    function = F.channel_shuffle

    def __init__(self, groups: int) -> None:
        self._keep(locals())


class LocalResponseNorm(Held):
    """y[c] = x[c] / (k + alpha / size sum over c' of x[c']^2)^beta, c' the `size` channels around c.

    Shapes: (batch, ..., channels).  Raises: ShapeError.  Derivative: every order.  Kernel: composition.
    Source: Krizhevsky, Sutskever, Hinton, "ImageNet classification", NeurIPS 2012, section 3.3.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.LocalResponseNorm(1, alpha=1.0, beta=1.0)(gl.tensor([[1.0, 2.0]])).numpy().round(3).tolist()
    [[0.5, 0.4000000059604645]]
    """

    function = F.local_response_norm

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        self._keep(locals())
