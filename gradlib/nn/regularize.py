"""Layers that act in training only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from ..ops import Generator
from . import functional as F
from .functional_dropout import check_probability
from .module import Module


class _Dropout(Module):
    """What dropouts have in common."""

    function: ClassVar[Callable[..., Any]]

    def __init__(self, p: float = 0.5, inplace: bool = False, *, generator: Generator | None = None) -> None:
        check_probability(f"{type(self).__name__}(p)", p)
        self.p, self.generator = p, generator

    def forward(self, input: Any) -> Any:
        """Return the input with some elements dropped."""
        return type(self).function(input, self.p, self.training, generator=self.generator)

    def extra_repr(self) -> str:
        """Return p."""
        return f"p={self.p}"


class Dropout(_Dropout):
    """y = x / (1 - p) with probability 1 - p, else 0, in training; y = x in evaluation.

    The mask comes from `generator`, by default that of `gl.manual_seed`: the same on every device.  PyTorch's
    `inplace` is taken, and means nothing.

    Raises: ShapeError for a p outside [0, 1].  Derivative: every order.  Kernel: ``dropout.cu``.
    Source: Srivastava et al., "Dropout", JMLR 15 (2014).
    Shapes: any; the output as the input.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.Dropout(0.5).eval()(gl.tensor([1.0, 2.0]))
    tensor([1., 2.], dtype=float32)
    """

    function = F.dropout


class Dropout1d(_Dropout):
    """y = x / (1 - p) for a channel of a sequence (batch, length, channels) with probability 1 - p, else 0.

    In evaluation y = x.  Raises: ShapeError.  Kernel: composition.  Source: Tompson et al., CVPR 2015.
    Shapes: (batch, length, channels); the output as the input.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> y = gl.nn.Dropout1d(0.5)(gl.tensor(np.ones((1, 4, 8), np.float32))).numpy()
    >>> bool((y == y[:, :1]).all())
    True
    """

    function = F.dropout1d


class Dropout2d(_Dropout):
    """y = x / (1 - p) for a channel of an image (batch, height, width, channels) with probability 1 - p, else 0.

    In evaluation y = x.  Raises: ShapeError.  Kernel: composition.
    Source: Tompson et al., "Efficient object localization using convolutional networks", CVPR 2015.
    Shapes: (batch, height, width, channels); the output as the input.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> y = gl.nn.Dropout2d(0.5)(gl.tensor(np.ones((1, 4, 4, 8), np.float32))).numpy()
    >>> bool((y == y[:, :1, :1]).all()), sorted(set(y.ravel().tolist()))
    (True, [0.0, 2.0])
    """

    function = F.dropout2d


class Dropout3d(_Dropout):
    """y = x / (1 - p) for a channel of a volume (batch, d, h, w, channels) with probability 1 - p, else 0, in training.

    Raises: ShapeError.  Kernel: composition.  Source: Tompson et al., CVPR 2015.
    Shapes: (batch, depth, height, width, channels); the output as the input.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> y = gl.nn.Dropout3d(0.5)(gl.tensor(np.ones((1, 2, 2, 2, 8), np.float32))).numpy()
    >>> bool((y == y[:, :1, :1, :1]).all())
    True
    """

    function = F.dropout3d


class AlphaDropout(_Dropout):
    """y = a (x, or s with probability p) + b: dropout that keeps mean 0 and variance 1, for networks of SELU.

    s = -1.7581, the limit of SELU; a = ((1 - p)(1 + p s^2))^(-1/2), b = -a p s.  In evaluation y = x.
    Raises: ShapeError.  Kernel: composition.
    Source: Klambauer et al., "Self-normalizing neural networks", 2017, section 3.
    Shapes: any; the output as the input.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.AlphaDropout(0.3).eval()(gl.tensor([1.0])).tolist()
    [1.0]
    """

    function = F.alpha_dropout


class FeatureAlphaDropout(_Dropout):
    """y = a (x, or s with probability p for a whole channel) + b, in training; see `AlphaDropout`.

    Shapes: (batch, ..., channels).  Raises: ShapeError.  Kernel: composition.
    Source: Klambauer et al., "Self-normalizing neural networks", 2017; Tompson et al., CVPR 2015.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> y = gl.nn.FeatureAlphaDropout(0.5)(gl.tensor(np.ones((1, 4, 8), np.float32))).numpy()
    >>> bool((y == y[:, :1]).all())
    True
    """

    function = F.feature_alpha_dropout
