"""Normalised and orthogonal weights as parametrizations, as ``torch.nn.utils.parametrizations``.

PyTorch's axis 0 of a weight, its output channels (of a transposed convolution the input's), is the last one here:
`dim` is -1 by default.
"""

from __future__ import annotations

import math
from typing import Any

from ...core import Tensor, no_grad, op
from ...errors import ShapeError
from ...ops import normal
from ...ops.replay import replaying
from ...spec import normalize_axis
from .. import functional as F
from ..conv_transpose import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from ..module import Module
from .orthogonal import orthogonal
from .parametrize import register_parametrization

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]

Array = Any


def norm_except(v: Array, dim: int | None) -> Array:
    """Return sqrt(sum of v^2) over all axes but `dim` (over all for None), with axes of size 1 in their place."""
    axes = tuple(k for k in range(len(v.shape)) if dim is None or k != dim % len(v.shape))
    return op.sqrt(op.sum(op.multiply(v, v), axis=axes, keepdims=dim is not None))


class WeightNorm(Module):
    """weight = g v / |v|, |v| over all axes but `dim`."""

    def __init__(self, dim: int | None = -1) -> None:
        self.dim = dim

    def forward(self, g: Array, v: Array) -> Array:
        """Return the weight."""
        return op.multiply(v, op.divide(g, norm_except(v, self.dim)))

    def right_inverse(self, weight: Array) -> tuple[Array, Array]:
        """Return g and v."""
        return norm_except(weight, self.dim), weight

    def extra_repr(self) -> str:
        """Return the axis."""
        return f"dim={self.dim}"


def weight_norm(module: Any, name: str = "weight", dim: int | None = -1) -> Any:
    """weight = g v / |v|: length and direction of each output's weights are learned apart; return the module.

    The norm is over all axes but `dim`, for None over all.  State: parametrizations.weight.original0 (g, sizes 1 but
    for `dim`) and .original1 (v, shaped as the weight).
    Source: Salimans, Kingma, "Weight normalization", NeurIPS 2016, equation 2.

    >>> import gradlib as gl
    >>> layer = weight_norm(gl.nn.Dense(3, 2))
    >>> [(name, p.shape) for name, p in layer.named_parameters()][1:]
    [('parametrizations.weight.original0', (1, 2)), ('parametrizations.weight.original1', (3, 2))]
    """
    return register_parametrization(module, name, WeightNorm(dim), unsafe=True)


def as_matrix(weight: Array, dim: int) -> Array:
    """Return a weight as a matrix, its axis `dim` the rows."""
    moved = op.moveaxis(weight, dim, 0)
    return op.reshape(moved, shape=(moved.shape[0], math.prod(moved.shape[1:])))


class SpectralNorm(Module):
    """weight / sigma, sigma its largest singular value, by the power iteration."""

    _u: Tensor
    _v: Tensor

    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = -1, eps: float = 1e-12) -> None:
        if n_power_iterations < 1:
            raise ValueError(f"spectral_norm(n_power_iterations): {n_power_iterations}\n  need 1 or more")
        self.dim = normalize_axis("spectral_norm(module, dim)", dim, weight.ndim)
        self.n_power_iterations, self.eps = n_power_iterations, eps
        if weight.ndim < 2:
            return
        with no_grad():
            matrix = as_matrix(weight.detach(), self.dim)
            for name, size in zip(("_u", "_v"), matrix.shape, strict=True):
                drawn = normal((size,), dtype=weight.dtype, device=weight.device)
                self.register_buffer(name, F.normalize(drawn, dim=0, eps=eps))
            self._iterate(matrix, 15)

    def _iterate(self, matrix: Array, count: int) -> None:
        """Bring u and v nearer to the first pair of singular vectors."""
        with no_grad():
            for _ in range(count):
                self._u.assign(F.normalize(op.matmul(matrix, self._v), dim=0, eps=self.eps))
                self._v.assign(F.normalize(op.matmul(self._u, matrix), dim=0, eps=self.eps))

    def forward(self, weight: Array) -> Array:
        """Return the weight, its largest singular value near 1; in training, after a step of the iteration."""
        if len(weight.shape) < 2:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training and not replaying():
            self._iterate(matrix.detach() if isinstance(matrix, Tensor) else matrix, self.n_power_iterations)
        return op.divide(weight, singular_value(matrix, self._u, self._v))

    def right_inverse(self, value: Array) -> Array:
        """Return the value: its scale is free."""
        return value

    def extra_repr(self) -> str:
        """Return the settings."""
        return f"n_power_iterations={self.n_power_iterations}, dim={self.dim}"


def singular_value(matrix: Array, u: Tensor, v: Tensor) -> Array:
    """Return u^T matrix v, u and v as they are now: the next iteration changes them."""
    left, right = Tensor(u.data.copy()), Tensor(v.data.copy())
    return op.matmul(left, op.matmul(matrix, right))


def spectral_dim(module: Module, dim: int | None) -> int:
    """Return the axis of a weight's outputs, unless one is given."""
    if dim is not None:
        return dim
    return -2 if isinstance(module, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)) else -1


def spectral_norm(
    module: Any, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Any:
    """weight = original / sigma, sigma its largest singular value as a matrix with rows `dim`; return the module.

    sigma comes from the power iteration, a step (`n_power_iterations`) of which each forward pass in training makes:
    u <- W v / |W v|, v <- W^T u / |W^T u|, sigma = u^T W v.  `dim` is by default the axis of the outputs.  State:
    parametrizations.weight.original, parametrizations.weight.0._u and ._v.
    Source: Miyato et al., "Spectral normalization for generative adversarial networks", ICLR 2018, Algorithm 1.

    >>> import gradlib as gl
    >>> layer = spectral_norm(gl.nn.Dense(3, 2)).eval()
    >>> import numpy as np
    >>> bool(abs(np.linalg.svd(layer.weight.numpy())[1].max() - 1) < 0.05)
    True
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ShapeError(
            f"spectral_norm(module, name): {type(module).__name__} has no tensor {name!r}\n"
            f"  need the name of a Parameter: {', '.join(key for key, _ in module.named_parameters()) or 'it has none'}"
        )
    return register_parametrization(
        module, name, SpectralNorm(weight, n_power_iterations, spectral_dim(module, dim), eps)
    )
