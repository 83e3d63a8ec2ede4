"""Layers that change the shape, or nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..core import op
from ..errors import ShapeError, message, operand
from ..spec import normalize_axis
from . import functional as F
from .module import Module


class Flatten(Module):
    """y = the input, its axes from `start_dim` to `end_dim` joined into one; by default all but the batch.

    Shapes: (batch, ...) to (batch, features), features in the order of the input's last axes: of a map (batch, height,
    width, channels) channels come last, where PyTorch has them first (see `gl.io.load_torch_weights`).

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.Flatten()(gl.tensor(np.ones((5, 2, 2, 3), np.float32))).shape
    (5, 12)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Any) -> Any:
        """Return the input with fewer axes."""
        return F.flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """Return what differs from the defaults."""
        return (
            "" if (self.start_dim, self.end_dim) == (1, -1) else f"start_dim={self.start_dim}, end_dim={self.end_dim}"
        )


class Identity(Module):
    """y = x; arguments of the constructor are taken and ignored, so that it can stand for any layer.

    Shapes: any.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.Identity(54, unused=True)(gl.tensor([1.0, 2.0])).tolist()
    [1.0, 2.0]
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def forward(self, input: Any) -> Any:
        """Return the input."""
        return input


class Unflatten(Module):
    """y = the input, its axis `dim` cut into several, of the sizes `unflattened_size`.

    Shapes: axis `dim` is as long as the product of `unflattened_size`.  Raises: ShapeError.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.Unflatten(1, (2, 3))(gl.tensor(np.ones((5, 6)))).shape
    (5, 2, 3)
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, input: Any) -> Any:
        """Return the input with more axes."""
        axis = normalize_axis("Unflatten(dim)", self.dim, len(input.shape))
        shape = tuple(input.shape)
        if shape[axis] != math.prod(self.unflattened_size):
            what = f"Unflatten({self.extra_repr()})(input): axis {axis} has {shape[axis]} places, not "
            what += str(math.prod(self.unflattened_size))
            need = f"need input.shape[{axis}] == prod(unflattened_size)"
            raise ShapeError(message(what, [operand("input", input)], need))
        return op.reshape(input, shape=(*shape[:axis], *self.unflattened_size, *shape[axis + 1 :]))

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"{self.dim}, {self.unflattened_size}"
