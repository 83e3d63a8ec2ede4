"""Batch normalisation layers."""

from __future__ import annotations

from typing import Any, ClassVar

from ..core import Tensor
from ..errors import ShapeError, message, operand
from ..ops.replay import replaying
from . import functional as F
from . import init
from .functional_spatial import laid_out
from .module import Module
from .parameter import Parameter


class _BatchNorm(Module):
    """What batch normalisation over any number of axes has in common."""

    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None
    dimensions: ClassVar[tuple[int, ...]]
    layout: ClassVar[str]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        bias: bool = True,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        name = type(self).__name__
        if num_features < 1:
            raise ShapeError(f"{name}(num_features): num_features is {num_features}\n  need 1 or more")
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight = self.bias = None
        shape = (num_features,)
        if affine:
            self.weight = Parameter(init.ones_(init.allocate(shape, dtype, device)))
            self.bias = Parameter(init.allocate(shape, dtype, device)) if bias else None
        tracked = track_running_stats
        self.register_buffer("running_mean", init.allocate(shape, dtype, device) if tracked else None)
        self.register_buffer("running_var", init.ones_(init.allocate(shape, dtype, device)) if tracked else None)
        self.register_buffer("num_batches_tracked", init.count(device) if tracked else None)

    def reset_running_stats(self) -> None:
        """Begin the running statistics anew: mean 0, variance 1, no batch seen."""
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            init.zeros_(self.num_batches_tracked)

    def reset_parameters(self) -> None:
        """Begin anew: weight 1, bias 0, and the running statistics."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Any) -> Any:
        """Return the normalised input; in training, move the running statistics towards the batch's."""
        if len(input.shape) not in self.dimensions or input.shape[-1] != self.num_features:
            error = ShapeError(
                message(
                    f"{type(self).__name__}({self.num_features})(input): the input does not fit",
                    [operand("input", input, self.layout)],
                    f"need {' or '.join(map(str, self.dimensions))} dimensions, the last of size {self.num_features}",
                )
            )
            raise laid_out(error, input, self.num_features)
        batch_statistics = self.training or self.running_mean is None
        return F.batch_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, batch_statistics, self.counted(),
            self.eps,
        )  # fmt: skip

    def counted(self) -> float:
        """Count a batch, in training; return how far the running statistics are to move towards it."""
        momentum = 0.0 if self.momentum is None else self.momentum
        if self.training and self.num_batches_tracked is not None and not replaying():
            self.num_batches_tracked.assign(self.num_batches_tracked + 1)  # read on the host only where it is needed
            if self.momentum is None:  # the plain average of all batches
                momentum = 1.0 / int(self.num_batches_tracked)
        return momentum

    def extra_repr(self) -> str:
        """Return the size and what differs from the defaults."""
        text = str(self.num_features)
        if self.eps != 1e-5:
            text += f", eps={self.eps}"
        if self.momentum != 0.1:
            text += f", momentum={self.momentum}"
        if self.weight is None:
            text += ", affine=False"
        elif self.bias is None:
            text += ", bias=False"
        return text if self.running_mean is not None else f"{text}, track_running_stats=False"


class BatchNorm1d(_BatchNorm):
    """y = (x - mean) / sqrt(var + eps) * weight + bias for each channel of (batch, channels).

    Sequences (batch, length, channels) are taken too.  Arguments, state and errors are those of `BatchNorm2d`.
    Shapes: (batch, channels) or (batch, length, channels), the output alike.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.BatchNorm1d(3)(gl.tensor(np.ones((2, 3), np.float32))).shape
    (2, 3)
    """

    dimensions = (2, 3)
    layout = "batch, [length,] channels"


class BatchNorm2d(_BatchNorm):
    """y = (x - mean) / sqrt(var + eps) * weight + bias for each channel of images (batch, height, width, channels).

    In training mean and (biased) variance are those of the batch, and the running statistics move
    towards them: r <- (1 - momentum) r + momentum s, s with the unbiased variance; ``momentum=None``
    averages all batches.  In evaluation the running statistics are used.

    State: weight, bias; running_mean, running_var, num_batches_tracked.
    Raises: ShapeError.  Source: Ioffe and Szegedy, "Batch normalization", ICML 2015.
    Shapes: (batch, height, width, channels), the output alike.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> layer = gl.nn.BatchNorm2d(3)
    >>> layer(gl.tensor(np.ones((2, 4, 4, 3), np.float32))).shape
    (2, 4, 4, 3)
    """

    dimensions = (4,)
    layout = "batch, height, width, channels"


class BatchNorm3d(_BatchNorm):
    """y = (x - mean) / sqrt(var + eps) * weight + bias for each channel of (batch, depth, height, width, channels).

    Arguments, state and errors are those of `BatchNorm2d`.
    Shapes: (batch, depth, height, width, channels), the output alike.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.BatchNorm3d(3)(gl.tensor(np.ones((2, 4, 4, 4, 3), np.float32))).shape
    (2, 4, 4, 4, 3)
    """

    dimensions = (5,)
    layout = "batch, depth, height, width, channels"
