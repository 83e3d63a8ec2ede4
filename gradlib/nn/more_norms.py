"""LayerNorm, RMSNorm, GroupNorm, InstanceNorm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ..core import Tensor
from ..errors import ShapeError, message, operand
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter


def _ones(shape: tuple[int, ...], dtype: Any, device: str | None) -> Parameter:
    return Parameter(init.ones_(init.allocate(shape, dtype, device)))


class LayerNorm(Module):
    """y = (x - mean) / sqrt(var + eps) weight + bias over the last axes, `normalized_shape`.

    Shapes: (..., *normalized_shape).  Raises: ShapeError.  Kernel: ``layer_norm.cu``.
    Source: Ba, Kiros, Hinton, "Layer normalization", 2016.

    Examples
    --------
    >>> import gradlib as gl
    >>> [round(x, 3) for x in gl.nn.LayerNorm(2)(gl.tensor([1.0, 3.0])).tolist()]
    [-1.0, 1.0]
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.normalized_shape, self.eps = shape, eps
        self.weight = _ones(shape, dtype, device) if elementwise_affine else None
        self.bias = Parameter(init.allocate(shape, dtype, device)) if elementwise_affine and bias else None

    def forward(self, input: Any) -> Any:
        """Return the normalised input."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Return the shape and what differs from the defaults."""
        text = str(self.normalized_shape[0] if len(self.normalized_shape) == 1 else self.normalized_shape)
        if self.eps != 1e-5:
            text += f", eps={self.eps}"
        if self.weight is None:
            return f"{text}, elementwise_affine=False"
        return text if self.bias is not None else f"{text}, bias=False"


class RMSNorm(Module):
    """y = x / sqrt(mean(x^2) + eps) weight over the last axes, `normalized_shape`.

    Shapes: (..., *normalized_shape).  `eps` is by default the spacing at 1 of the dtype that is computed in.
    Raises: ShapeError.  Kernel: ``layer_norm.cu``.
    Source: Zhang, Sennrich, "Root mean square layer normalization", NeurIPS 2019.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.RMSNorm(2)(gl.tensor([3.0, 3.0])).tolist()
    [1.0, 1.0]
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        *,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.normalized_shape, self.eps = shape, eps
        self.weight = _ones(shape, dtype, device) if elementwise_affine else None

    def forward(self, input: Any) -> Any:
        """Return the normalised input."""
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """Return the shape and what differs from the defaults."""
        text = str(self.normalized_shape[0] if len(self.normalized_shape) == 1 else self.normalized_shape)
        return text if self.eps is None else f"{text}, eps={self.eps}"


class GroupNorm(Module):
    """y = (x - mean) / sqrt(var + eps) weight + bias over an example's channels of one group.

    Shapes: (batch, ..., num_channels).  Raises: ShapeError unless the groups divide the channels.
    Kernel: ``group_norm.cu``.  Source: Wu, He, "Group normalization", ECCV 2018.

    Examples
    --------
    >>> import gradlib as gl
    >>> [round(x, 3) for x in gl.nn.GroupNorm(2, 4)(gl.tensor([[1.0, 3.0, 5.0, 9.0]]))[0].tolist()]
    [-1.0, 1.0, -1.0, 1.0]
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        bias: bool = True,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        if num_groups < 1 or num_channels % num_groups:
            raise ShapeError(
                f"GroupNorm: {num_channels} channels in {num_groups} groups\n  need groups that divide them"
            )
        self.num_groups, self.num_channels, self.eps = num_groups, num_channels, eps
        self.weight = _ones((num_channels,), dtype, device) if affine else None
        self.bias = Parameter(init.allocate((num_channels,), dtype, device)) if affine and bias else None

    def forward(self, input: Any) -> Any:
        """Return the normalised input."""
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Return the sizes and what differs from the defaults."""
        text = f"{self.num_groups}, {self.num_channels}" + ("" if self.eps == 1e-5 else f", eps={self.eps}")
        if self.weight is None:
            return f"{text}, affine=False"
        return text if self.bias is not None else f"{text}, bias=False"


class _InstanceNorm(Module):
    """What instance normalisation over any number of axes has in common."""

    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None  # part of PyTorch's state, where it stays 0
    ndim: ClassVar[int]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        *,
        bias: bool = True,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        shape = (num_features,)
        self.weight = _ones(shape, dtype, device) if affine else None
        self.bias = Parameter(init.allocate(shape, dtype, device)) if affine and bias else None
        tracked = track_running_stats
        self.register_buffer("running_mean", init.allocate(shape, dtype, device) if tracked else None)
        self.register_buffer("running_var", init.ones_(init.allocate(shape, dtype, device)) if tracked else None)
        self.register_buffer("num_batches_tracked", init.count(device) if tracked else None)

    def forward(self, input: Any) -> Any:
        """Return the normalised input; in training, move the running statistics towards the batch's."""
        if len(input.shape) != self.ndim or input.shape[-1] != self.num_features:
            name = f"{type(self).__name__}({self.num_features})(input): the input does not fit"
            need = f"need {self.ndim} dimensions, the last of size {self.num_features}"
            raise ShapeError(message(name, [operand("input", input, "batch, ..., channels")], need))
        own = self.training or self.running_mean is None
        statistics = (self.running_mean, self.running_var)
        return F.instance_norm(input, *statistics, self.weight, self.bias, own, self.momentum or 0.0, self.eps)

    def extra_repr(self) -> str:
        """Return the size and what differs from the defaults."""
        text = str(self.num_features) + ("" if self.eps == 1e-5 else f", eps={self.eps}")
        if self.weight is not None:
            text += ", affine=True" if self.bias is not None else ", affine=True, bias=False"
        return text if self.running_mean is None else f"{text}, track_running_stats=True"


class InstanceNorm1d(_InstanceNorm):
    """y = (x - mean) / sqrt(var + eps) weight + bias for each channel of each sequence (batch, length, channels).

    Raises: ShapeError.  Kernel: ``group_norm.cu``.  Source: Ulyanov, Vedaldi, Lempitsky, 2016.
    Shapes: (batch, length, channels), the output alike.

    Examples
    --------
    >>> import gradlib as gl
    >>> y = gl.nn.InstanceNorm1d(1)(gl.tensor([[[1.0], [3.0]]]))
    >>> [round(x, 3) for x in y.flatten().tolist()]
    [-1.0, 1.0]
    """

    ndim = 3


class InstanceNorm2d(_InstanceNorm):
    """y = (x - mean) / sqrt(var + eps) weight + bias for each channel of each image (batch, height, width, channels).

    Raises: ShapeError.  Kernel: ``group_norm.cu``.  Source: Ulyanov, Vedaldi, Lempitsky, 2016.
    Shapes: (batch, height, width, channels), the output alike.

    Examples
    --------
    >>> import gradlib as gl
    >>> y = gl.nn.InstanceNorm2d(1)(gl.tensor([[[[1.0], [3.0]]]]))
    >>> [round(x, 3) for x in y.flatten().tolist()]
    [-1.0, 1.0]
    """

    ndim = 4


class InstanceNorm3d(_InstanceNorm):
    """y = (x - mean) / sqrt(var + eps) weight + bias for each channel of each volume (batch, d, h, w, channels).

    Raises: ShapeError.  Kernel: ``group_norm.cu``.  Source: Ulyanov, Vedaldi, Lempitsky, 2016.
    Shapes: (batch, depth, height, width, channels), the output alike.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.InstanceNorm3d(3)(gl.tensor(np.ones((2, 4, 4, 4, 3), np.float32))).shape
    (2, 4, 4, 4, 3)
    """

    ndim = 5
