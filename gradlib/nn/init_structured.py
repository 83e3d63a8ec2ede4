"""Initializers whose values hang together: truncated, orthogonal, sparse, identity.  Users reach them as `nn.init`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core import Tensor, op
from ..errors import DTypeError, ShapeError, message, operand
from ..ops import Generator, normal, uniform

__all__ = ["dirac_", "eye_", "orthogonal_", "sparse_", "trunc_normal_"]

Array = Any


def _draw(kind: Any, shape: tuple[int, ...], generator: Generator | None) -> Array:
    """Return float64 numbers on the host: one seed, the same values on every device."""
    return kind(shape, dtype="float64", device="cpu", generator=generator).numpy()


def tensor_of(name: str, tensor: Any) -> Tensor:
    """Return a Tensor; refuse a plain array, a layer and the like."""
    if not isinstance(tensor, Tensor):
        raise DTypeError(
            f"{name}(tensor): tensor is of type {type(tensor).__name__}\n  need a Tensor, such as layer.weight"
        )
    return tensor


def _matrix(name: str, tensor: Tensor) -> None:
    if tensor_of(name, tensor).ndim != 2:
        lines = [operand("tensor", tensor, "in, out")]
        raise ShapeError(message(f"{name}(tensor): tensor has {tensor.ndim} dimensions", lines, "need a matrix"))


def erfinv(y: Array) -> Array:
    """x with erf(x) = y, for float64 y in (-1, 1): a closed guess, then Halley's steps on erf(x) - y.

    Source of the guess: Winitzki, "A handy approximation for the error function and its inverse", 2008.
    """
    log = np.log1p(-y * y)
    half = 2.0 / (math.pi * 0.147) + 0.5 * log
    x = np.copysign(np.sqrt(np.maximum(np.sqrt(half * half - log / 0.147) - half, 0.0)), y)
    for _ in range(3):  # cubic convergence: 2e-3, 1e-8, then rounding
        tail = np.sign(y) * (1 - np.abs(y) - op.erfc(np.abs(x)))  # erf(x) - y again, with all digits near +-1
        miss = np.where(np.abs(y) < 0.5, op.erf(x) - y, tail)
        newton = miss / (2.0 / math.sqrt(math.pi) * np.exp(-x * x))
        x = x - newton / (1.0 + x * newton)
    return x


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Draw from N(mean, std^2), conditioned on lying in [a, b], by the inverse distribution function.

    Raises: ValueError unless a < b and std > 0.

    Examples
    --------
    >>> import gradlib as gl
    >>> w = gl.nn.init.trunc_normal_(gl.tensor([0.0] * 1000), std=5.0)
    >>> bool((w >= -2).all()), bool((w <= 2).all())
    (True, True)
    """
    tensor_of("trunc_normal_", tensor)
    if not (a < b and std > 0):
        raise ValueError(f"trunc_normal_(tensor, mean, std, a, b): std is {std}, a {a}, b {b}\n  need std > 0, a < b")
    scale = std * math.sqrt(2.0)
    low, high = math.erf((a - mean) / scale), math.erf((b - mean) / scale)
    y = low + (high - low) * _draw(uniform, tensor.shape, generator)
    limit = np.nextafter(1.0, 0.0)
    return tensor.assign(np.clip(mean + scale * erfinv(np.clip(y, -limit, limit)), a, b).astype(tensor.dtype))


def orthogonal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill with gain Q: orthonormal columns if ``rows >= columns``, else rows, of the matrix (prod(leading axes), out).

    Q comes from the QR decomposition of normal numbers, made unique (so uniform among such matrices) by a
    positive diagonal of R.

    Raises: ShapeError for fewer than two axes.
    Source: Saxe et al., "Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks", ICLR 2014.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> q = gl.nn.init.orthogonal_(gl.tensor(np.zeros((5, 3))))
    >>> bool(np.allclose(q.numpy().T @ q.numpy(), np.eye(3)))
    True
    """
    if tensor_of("orthogonal_", tensor).ndim < 2:
        raise ShapeError(message("orthogonal_(tensor): need two axes", [operand("tensor", tensor, "..., in, out")]))
    columns = tensor.shape[-1]
    numbers = _draw(normal, (tensor.size // max(columns, 1), columns), generator)
    return tensor.assign((gain * orthonormal(numbers)).reshape(tensor.shape).astype(tensor.dtype))


def orthonormal(numbers: Array) -> Array:
    """Return the orthonormal factor of a matrix, of its transpose unless it is taller than wide."""
    wide = numbers.shape[0] <= numbers.shape[1]
    q, r = np.linalg.qr(numbers.T if wide else numbers)
    q = q * np.sign(np.diag(r))
    return q.T if wide else q


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Tensor:
    """Draw from N(0, std^2), then set in each row (an input's weights) the share `sparsity` to 0, at random places.

    Raises: ShapeError unless the tensor is a matrix (in, out); ValueError for a share outside [0, 1].
    Source: Martens, "Deep learning via Hessian-free optimization", ICML 2010, section 5.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> w = gl.nn.init.sparse_(gl.tensor(np.zeros((3, 10))), sparsity=0.25)
    >>> (w.numpy() == 0).sum(axis=1).tolist()
    [3, 3, 3]
    """
    _matrix("sparse_", tensor)
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparse_(tensor, sparsity): sparsity is {sparsity}\n  need 0 <= sparsity <= 1")
    values = std * _draw(normal, tensor.shape, generator)
    order = np.argsort(_draw(uniform, tensor.shape, generator), axis=1, kind="stable")
    np.put_along_axis(values, order[:, : math.ceil(sparsity * tensor.shape[1])], 0.0, axis=1)
    return tensor.assign(values.astype(tensor.dtype))


def eye_(tensor: Tensor) -> Tensor:
    """Fill a matrix with 1 on the diagonal, else 0: a dense layer that hands on its inputs.

    Raises: ShapeError unless the tensor is a matrix.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.nn.init.eye_(gl.tensor([[5.0, 5.0, 5.0], [5.0, 5.0, 5.0]])).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    _matrix("eye_", tensor)
    return tensor.assign(np.eye(*tensor.shape, dtype=tensor.dtype))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill a convolution's weight (*window, in / groups, out) so that it hands on its inputs, group by group.

    Output k of each group is input k of that group, as far as there are inputs; the rest is 0.

    Raises: ShapeError unless the window has one to three axes and groups divides out.

    Examples
    --------
    >>> import gradlib as gl, numpy as np
    >>> gl.nn.init.dirac_(gl.tensor(np.ones((3, 2, 2)))).tolist()[1]
    [[1.0, 0.0], [0.0, 1.0]]
    """
    if not 3 <= tensor_of("dirac_", tensor).ndim <= 5 or groups < 1 or tensor.shape[-1] % groups:
        raise ShapeError(
            message(
                f"dirac_(tensor, groups={groups}): not a convolution's weight",
                [operand("tensor", tensor, "*window, in / groups, out")],
                "need 3 to 5 axes, the last a multiple of groups",
            )
        )
    values = np.zeros(tensor.shape, tensor.dtype)
    middle = tuple(n // 2 for n in tensor.shape[:-2])
    inputs, per_group = tensor.shape[-2], tensor.shape[-1] // groups
    for group in range(groups):
        for k in range(min(inputs, per_group)):
            values[(*middle, k, group * per_group + k)] = 1
    return tensor.assign(values)
