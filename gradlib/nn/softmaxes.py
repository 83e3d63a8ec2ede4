"""Probabilities of classes as layers.  Each holds the settings of its function in `nn.functional`."""

from __future__ import annotations

from . import functional as F
from .held import Held


class Softmax(Held):
    """y = exp(x) / sum of exp(x) along axis `dim`, by default the last (here the classes or channels).

    Shapes: any; the output as the input.  Derivative: every order.  Kernel: ``softmax.cu`` for the last axis.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.Softmax()(gl.tensor([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """

    function = F.softmax

    def __init__(self, dim: int = -1) -> None:
        self._keep(locals())


class Softmax2d(Held):
    """y = exp(x) / sum of exp(x) over the channels of images (batch, height, width, channels).

    Shapes: the output as the input.  Derivative: every order.  Kernel: ``softmax.cu``.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.Softmax2d()(gl.tensor([[[[0.0, 0.0]]]])).tolist()
    [[[[0.5, 0.5]]]]
    """

    function = F.softmax


class Softmin(Held):
    """y = exp(-x) / sum of exp(-x) along axis `dim`, by default the last.

    Shapes: any; the output as the input.  Derivative: every order.  Kernel: ``softmax.cu`` for the last axis.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.Softmin()(gl.tensor([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """

    function = F.softmin

    def __init__(self, dim: int = -1) -> None:
        self._keep(locals())


class LogSoftmax(Held):
    """y = x - log(sum of exp(x)) along axis `dim`, by default the last.

    Shapes: any; the output as the input.  Derivative: every order.  Kernel: ``softmax.cu`` for the last axis.

    Examples
    --------
    >>> import gradlib as gl
    >>> [round(x, 4) for x in gl.nn.LogSoftmax()(gl.tensor([0.0, 0.0])).tolist()]
    [-0.6931, -0.6931]
    """

    function = F.log_softmax

    def __init__(self, dim: int = -1) -> None:
        self._keep(locals())
