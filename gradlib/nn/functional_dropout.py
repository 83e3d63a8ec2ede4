"""Dropout of channels and for networks of SELU, and samples from categories; users reach them as `nn.functional`.

Masks depend on the generator's next key alone.  PyTorch's `inplace` is taken and means nothing: tensors do not change.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..core import Tensor, op, per_example
from ..errors import ShapeError, message, operand
from ..ops import Generator, default_generator, uniform
from ..spec import normalize_axis
from .host import device_of, plain

__all__ = [
    "alpha_dropout",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "feature_alpha_dropout",
    "gumbel_softmax",
]

Array = Any


def dropout(
    input: Array, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: Generator | None = None
) -> Array:
    """y = x / (1 - p) with probability 1 - p, else 0, in training; the input itself otherwise.

    The mask depends on the generator's next key alone: it is the same, to the bit, on every device.
    Raises: ShapeError for p outside [0, 1].  Derivative: every order.  Kernel: ``dropout.cu``.
    Source: Srivastava et al., "Dropout", JMLR 15 (2014).

    >>> import numpy as np
    >>> sorted(set(dropout(np.ones(100), 0.5).tolist()))
    [0.0, 2.0]
    """
    check_probability("dropout(input, p)", p)
    if not training or p == 0:
        return input
    return ops.dropout(input, per_example((generator or default_generator()).key()), p=p)


def check_probability(name: str, p: float) -> None:
    """Raise ShapeError for a p outside [0, 1]."""
    if not (isinstance(p, (int, float, np.floating)) and 0 <= p <= 1):
        raise ShapeError(f"{name}: p is {p!r}\n  need 0 <= p <= 1")


def _channel_ones(input: Array) -> Array:
    """Return ones (batch, 1, ..., channels) of the input's dtype, not on the tape."""
    first = (slice(None), *(slice(0, 1),) * (len(input.shape) - 2))
    ones = op.ones_like(input[first])
    return ones.detach() if isinstance(ones, Tensor) else ones


def _channels(name: str, ndim: int, input: Array, p: float, training: bool, generator: Generator | None) -> Array:
    check_probability(f"{name}(input, p)", p)
    if len(input.shape) != ndim:
        lines = [operand("input", input, "batch, ..., channels")]
        raise ShapeError(message(f"{name}(input): input has {len(input.shape)} dimensions", lines, f"need {ndim}"))
    if not training or p == 0:
        return input
    return op.multiply(input, dropout(_channel_ones(input), p, generator=generator))


def dropout1d(
    input: Array, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: Generator | None = None
) -> Array:
    """y = x / (1 - p) for a channel of a sequence (batch, length, channels) with probability 1 - p, else 0.

    >>> import numpy as np
    >>> sorted(set(dropout1d(np.ones((8, 5, 9)), 0.5).sum(1).ravel().tolist()))
    [0.0, 10.0]
    """
    return _channels("dropout1d", 3, input, p, training, generator)


def dropout2d(
    input: Array, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: Generator | None = None
) -> Array:
    """y = x / (1 - p) for a channel of an image (batch, height, width, channels) with probability 1 - p, else 0.

    Raises: ShapeError.  Derivative: every order.  Kernel: composition.
    Source: Tompson et al., "Efficient object localization using convolutional networks", CVPR 2015.

    >>> import numpy as np
    >>> y = dropout2d(np.ones((1, 4, 4, 8)))
    >>> bool((y == y[:, :1, :1]).all())
    True
    """
    return _channels("dropout2d", 4, input, p, training, generator)


def dropout3d(
    input: Array, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: Generator | None = None
) -> Array:
    """y = x / (1 - p) for a channel of a volume (batch, d, h, w, channels) with probability 1 - p, else 0.

    >>> import numpy as np
    >>> sorted(set(dropout3d(np.ones((8, 1, 2, 2, 9)), 0.5).sum((1, 2, 3)).ravel().tolist()))
    [0.0, 8.0]
    """
    return _channels("dropout3d", 5, input, p, training, generator)


_LIMIT = -1.0507009873554804934193349852946 * 1.6732632423543772848170429916717  # of SELU, towards minus infinity


def _alpha(name: str, input: Array, ones: Array, p: float, generator: Generator | None) -> Array:
    """Return a (x where the mask keeps it, else SELU's limit) + b."""
    check_probability(f"{name}(input, p)", p)
    if p == 1:
        return op.multiply(input, 0.0)
    kept = op.where(op.greater(dropout(ones, p, generator=generator), 0), input, _LIMIT)
    a = ((1.0 - p) * (1.0 + p * _LIMIT * _LIMIT)) ** -0.5
    return op.subtract(op.multiply(kept, a), a * p * _LIMIT)


def alpha_dropout(
    input: Array, p: float = 0.5, training: bool = False, inplace: bool = False, *, generator: Generator | None = None
) -> Array:
    """y = a (x, or s with probability p) + b, in training: dropout that keeps mean 0 and variance 1, for SELU.

    s = -1.7581, the limit of SELU; a = ((1 - p)(1 + p s^2))^(-1/2), b = -a p s.
    Raises: ShapeError.  Derivative: every order.  Kernel: composition.
    Source: Klambauer et al., "Self-normalizing neural networks", 2017, section 3.

    >>> import numpy as np
    >>> alpha_dropout(np.array([1.0]))
    array([1.])
    """
    if not training or p == 0:
        return input
    return _alpha("alpha_dropout", input, op.ones_like(input), p, generator)


def feature_alpha_dropout(
    input: Array, p: float = 0.5, training: bool = False, inplace: bool = False, *, generator: Generator | None = None
) -> Array:
    """y = a (x, or s with probability p for a whole channel) + b, in training; see `alpha_dropout`.

    Shapes: (batch, ..., channels).

    >>> import numpy as np
    >>> y = feature_alpha_dropout(np.ones((1, 4, 8)), training=True)
    >>> bool((y == y[:, :1]).all())
    True
    """
    if not training or p == 0:
        return input
    return _alpha("feature_alpha_dropout", input, _channel_ones(input), p, generator)


def gumbel_softmax(
    logits: Array,
    tau: float = 1.0,
    hard: bool = False,
    eps: float = 1e-10,
    dim: int = -1,
    *,
    generator: Generator | None = None,
) -> Array:
    """y = softmax((logits + g) / tau) along axis `dim`, g = -log(-log u), u ~ U(0, 1): a sample of the categories.

    With `hard` y is the one-hot code of the largest, with the derivative of the soft sample.  `eps` means nothing.
    Raises: ValueError unless tau > 0.  Derivative: every order.  Kernel: composition.
    Source: Jang, Gu, Poole, "Categorical reparameterization with Gumbel-softmax", ICLR 2017, equation 2.

    >>> import numpy as np
    >>> float(gumbel_softmax(np.zeros(5), hard=True).sum())
    1.0
    """
    if not tau > 0:
        raise ValueError(f"gumbel_softmax(tau): tau is {tau}\n  need tau > 0")
    axis = normalize_axis("gumbel_softmax(logits, dim)", dim, len(logits.shape))
    u = uniform(tuple(logits.shape), dtype="float32", device=device_of(logits), generator=generator)
    u = u if isinstance(logits, Tensor) else plain(u)
    noise = op.negative(op.log(op.negative(op.log(op.add(u, 2.0**-25)))))  # u is a multiple of 2^-24: never 0 nor 1
    soft = op.softmax(op.multiply(op.add(logits, op.cast(noise, dtype=logits.dtype)), 1.0 / tau), axis=axis)
    if not hard:
        return soft
    best = op.argmax(soft, axis=axis, keepdims=True)
    code = op.put_along_axis(
        op.ones_like(op.take_along_axis(soft, best, axis=axis)), best, axis=axis, size=logits.shape[axis]
    )
    if not isinstance(soft, Tensor):
        return code
    return op.add(code.detach(), op.subtract(soft, soft.detach()))
