"""Functional forms of the layers: PyTorch's names and argument order, gradlib's layouts.

Images are NHWC, convolution weights HWIO, dense weights (in, out); where PyTorch takes axis 1, these take
the last axis.  Each function takes Tensors, or plain NumPy or CuPy arrays, and returns the same kind.
PyTorch's `inplace` is taken and means nothing, as tensors do not change; its deprecated arguments (`size_average`,
`reduce`) are left out.

>>> import numpy as np
>>> import gradlib.nn.functional as F
>>> F.conv2d(np.ones((1, 3, 3, 1)), np.ones((2, 2, 1, 1))).ravel()
array([4., 4., 4., 4.])
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from .. import backend as backends
from .. import ops
from ..core import Tensor, op, per_example
from ..errors import DTypeError, ShapeError, message, operand
from ..ops import Generator, default_generator
from ..ops.operands import of_arrays
from ..spec import INTEGER, int64, normalize_axis
from . import functional_activation as _activation
from . import functional_attention as _attention
from . import functional_conv_gradient as _conv_gradient
from . import functional_conv_norm as _conv_norm
from . import functional_dropout as _dropout
from . import functional_embedding as _embedding
from . import functional_fold as _fold
from . import functional_loss as _loss
from . import functional_margin as _margin
from . import functional_multihead as _multihead
from . import functional_norm as _norm
from . import functional_pool as _pool
from . import functional_position as _position
from . import functional_product as _product
from . import functional_resize as _resize
from . import functional_sample as _sample
from . import functional_spatial as _spatial
from . import functional_unpool as _unpool
from .functional_activation import *
from .functional_attention import *
from .functional_conv_gradient import *
from .functional_conv_norm import *
from .functional_dropout import *
from .functional_dropout import check_probability
from .functional_embedding import *
from .functional_fold import *
from .functional_loss import *
from .functional_loss import reduced
from .functional_margin import *
from .functional_multihead import *
from .functional_norm import *
from .functional_pool import *
from .functional_position import *
from .functional_product import *
from .functional_resize import *
from .functional_sample import *
from .functional_spatial import *
from .functional_spatial import laid_out
from .functional_unpool import *
from .host import known, plain

__all__ = [
    "conv2d",
    "cross_entropy",
    "dense",
    "flatten",
    "linear",
    "nll_loss",
    "one_hot",
    *_activation.__all__,
    *_attention.__all__,
    *_conv_gradient.__all__,
    *_conv_norm.__all__,
    *_loss.__all__,
    *_sample.__all__,
    *_fold.__all__,
    *_embedding.__all__,
    *_dropout.__all__,
    *_margin.__all__,
    *_multihead.__all__,
    *_norm.__all__,
    *_position.__all__,
    *_pool.__all__,
    *_product.__all__,
    *_resize.__all__,
    *_spatial.__all__,
    *_unpool.__all__,
]

Array = Any  # a Tensor, or an array of a device
Size = int | Sequence[int]
Activation = str | Callable[[Any], Any] | None


# -- layers with weights


def dense(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    activation: Activation = None,
    residual: Array | None = None,
    p: float = 0.0,
    training: bool = True,
    generator: Generator | None = None,
) -> Array:
    """y = dropout(activation(input @ weight + bias), p) + residual; also called `linear`.

    Shapes: input (..., in); weight (in, out); bias (out,); residual and result (..., out).  `activation` is one of
    PyTorch's lower-case names at its defaults, or a callable, which is applied but not fused.  Nothing is dropped
    unless a `p` is given, and in training; `generator` as in `dropout`.
    Raises: ShapeError, DTypeError.  Derivative: every order.  Kernel: ``product_sm90.cu``, ``product_mma.cu``: one
    launch for all of it; ``dense.cu``, which has neither residual nor dropout: these are launches of their own.

    >>> import numpy as np
    >>> dense(np.array([[1.0, 2.0]]), np.array([[3.0], [-4.0]]), activation="relu", residual=np.array([[7.0]]))
    array([[7.]])
    """
    if residual is None and p == 0:
        return ops.dense(input, weight, bias, activation=activation)
    name = "dense(input, weight, bias)"
    check_probability(name, p)
    key = per_example((generator or default_generator()).key()) if training and p > 0 else None
    if not callable(activation):
        return ops.dense_residual(input, weight, bias, residual, key, activation=activation, p=p)
    y = ops.dense(input, weight, bias, activation=activation)
    y = y if key is None else ops.dropout(y, key, p=p)
    return y if residual is None else op.add(y, residual)


linear = dense


def conv2d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
    *,
    scale: Array | None = None,
    residual: Array | None = None,
    activation: Activation = None,
) -> Array:
    """y[p] = activation(scale sum over r of x[p stride + r dilation - padding] @ weight[r] + bias + residual).

    A cross-correlation, with what follows it in the same launch: `scale` (and `bias`) take in a batch normalisation of
    known statistics, `residual` is what a residual block adds before its activation.

    Shapes: input (batch, height, width, in); weight (kh, kw, in / groups, out); bias, scale (out,); result and residual
    (batch, h', w', out), h' = floor((height + 2 padding - dilation (kh - 1) - 1) / stride) + 1.  `padding`
    is an int, two of them, ``"valid"`` or ``"same"`` (stride 1; an odd zero goes below and right).
    Raises: ShapeError, DTypeError.  Derivative: every order.  Kernel: ``conv_sm90.cu``, ``conv_mma.cu``,
    ``conv2d.cu``, ``depthwise.cu``.

    >>> import numpy as np
    >>> conv2d(np.ones((1, 3, 3, 1)), np.ones((3, 3, 1, 1)), padding=1)[0, :, :, 0]
    array([[4., 6., 4.],
           [6., 9., 6.],
           [4., 6., 4.]])
    """
    try:
        return ops.conv2d(input, weight, bias, scale=scale, residual=residual, activation=activation,
                          stride=stride, padding=padding, dilation=dilation, groups=groups)  # fmt: skip
    except ShapeError as error:
        raise laid_out(error, input, weight.shape[-2] * groups) from None


# -- losses


def cross_entropy(
    input: Array,
    target: Array,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Array:
    """loss = -log softmax(input)[target], averaged over the rows that count.

    Shapes: input (..., classes); target integers (...), or probabilities (..., classes); weight
    (classes,); result () or, with ``reduction="none"``, (...).  `reduction` is "mean" (weighted), "sum" or "none".
    Raises: ShapeError, DTypeError, IndexError for a target that is no class.
    Derivative: every order.  Kernel: ``softmax.cu``.

    >>> import numpy as np
    >>> round(float(cross_entropy(np.array([[0.0, 0.0], [9.0, 0.0]]), np.array([1, 0]))), 4)
    0.3466
    """
    return ops.cross_entropy(
        input, target, weight, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing
    )


@of_arrays
def nll_loss(
    input: Array, target: Array, weight: Array | None = None, ignore_index: int = -100, reduction: str = "mean"
) -> Array:
    """loss = -input[target], for log-probabilities; averaged over the rows that count, weighted by `weight[target]`.

    Shapes: input (..., classes); target integers (...); weight (classes,); result () or (...).
    Raises: ShapeError, DTypeError, IndexError for a target that is no class.  Derivative: every order.
    Kernel: composition.

    >>> import numpy as np
    >>> float(nll_loss(np.log(np.array([[0.5, 0.5], [1.0, 1e-9]])), np.array([0, 0]), reduction="sum").round(4))
    0.6931
    """
    classes = input.shape[-1]
    operands = [operand("input", input, "..., classes"), operand("target", target, "...")]
    if target.dtype not in INTEGER:
        what = f"nll_loss(input, target): target is {target.dtype}"
        raise DTypeError(message(what, operands, "need class numbers: target.to('int64')"))
    if tuple(target.shape) != tuple(input.shape[:-1]):
        raise ShapeError(
            message("nll_loss(input, target): the shapes do not fit", operands, "need target.shape == input.shape[:-1]")
        )
    if known(target):
        classes_of = plain(target)
        bad = (classes_of != ignore_index) & ((classes_of < 0) | (classes_of >= classes))
        if bad.any():
            raise IndexError(
                f"nll_loss(input, target): target has class {int(classes_of[bad][0])}, input has {classes} classes\n"
                f"  need 0 <= target < {classes}, or target == ignore_index ({ignore_index})"
            )
    counted = op.not_equal(target, ignore_index)
    hot = op.one_hot(op.where(counted, target, 0), classes, dtype=input.dtype)
    hot = op.multiply(hot, op.expand_dims(op.cast(counted, dtype=input.dtype), axis=-1))
    if weight is not None:
        hot = op.multiply(hot, weight)
    losses = op.negative(op.sum(op.multiply(op.where(op.not_equal(hot, 0), input, 0), hot), axis=-1))
    if reduction != "mean":
        return reduced("nll_loss", losses, reduction)
    return op.divide(op.sum(losses), op.sum(hot))


# -- shapes


@of_arrays
def one_hot(tensor: Array, num_classes: int = -1) -> Array:
    """y[..., k] = 1 where tensor[...] == k, else 0; int64.

    Shapes: tensor (...) of integers; result (..., num_classes), by default the largest value plus 1.
    Raises: DTypeError for floats, ShapeError for values outside [0, num_classes).

    >>> import numpy as np
    >>> one_hot(np.array([0, 2]))
    array([[1, 0, 0],
           [0, 0, 1]])
    """
    values = tensor.data if isinstance(tensor, Tensor) else tensor
    if values.dtype not in INTEGER:
        raise DTypeError(
            message(
                "one_hot(tensor): tensor is not of integers", [operand("tensor", tensor)], "need tensor.to('int64')"
            )
        )
    low, high = (int(values.min()), int(values.max())) if values.size else (0, -1)
    count = high + 1 if num_classes < 0 else num_classes
    if low < 0 or high >= count:
        raise ShapeError(
            f"one_hot(tensor, num_classes): values from {low} to {high} for {count} classes\n"
            f"  need 0 <= value < num_classes"
        )
    hot = _hot(values, count)
    return Tensor(hot) if isinstance(tensor, Tensor) else hot


def _hot(values: Array, count: int) -> Array:
    plain = values.data if isinstance(values, Tensor) else values
    backend = backends.backend_of(plain)
    return backend.coerce((plain[..., None] == backend.xp.arange(count)).astype(int64))


@of_arrays
def flatten(input: Array, start_dim: int = 0, end_dim: int = -1) -> Array:
    """y = the same elements, axes `start_dim` to `end_dim` joined into one.

    Raises: ShapeError for an axis that is not there, or in the wrong order.

    >>> import numpy as np
    >>> flatten(np.ones((2, 3, 4)), 1).shape
    (2, 12)
    """
    ndim = len(input.shape)
    if ndim == 0:
        return op.reshape(input, shape=(1,))
    name = "flatten(input, start_dim, end_dim)"
    first, last = normalize_axis(name, start_dim, ndim), normalize_axis(name, end_dim, ndim)
    if first > last:
        raise ShapeError(f"{name}: start_dim {start_dim} comes after end_dim {end_dim}")
    shape = tuple(input.shape)
    return op.reshape(input, shape=(*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))
