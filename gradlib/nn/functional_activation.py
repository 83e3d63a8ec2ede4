"""Activations, in PyTorch's names and with its parameters; users reach them as `nn.functional`.

Ops and compositions of ops, differentiable to every order; at a kink the derivative is that of one of its sides.
"""

from __future__ import annotations

from typing import Any

from ..core import Tensor, op
from ..errors import ShapeError, message, operand
from ..ops import Generator, uniform
from ..spec import as_dtype, normalize_axis
from .functional_loss import log1p_exp
from .host import device_of

__all__ = [
    "celu",
    "elu",
    "gelu",
    "glu",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "log_softmax",
    "logsigmoid",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "rrelu",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
]

Array = Any


def relu(input: Array, inplace: bool = False) -> Array:
    """y = max(x, 0).

    >>> import numpy as np
    >>> relu(np.array([-2.0, 0.0, 1.0])).round(4)
    array([0., 0., 1.])
    """
    return op.relu(input)


def leaky_relu(input: Array, negative_slope: float = 0.01, inplace: bool = False) -> Array:
    """y = x for x > 0, else negative_slope x.

    >>> import numpy as np
    >>> leaky_relu(np.array([-2.0, 0.0, 1.0])).round(4)
    array([-0.02,  0.  ,  1.  ])
    """
    return op.leaky_relu(input, negative_slope=negative_slope)


def elu(input: Array, alpha: float = 1.0, inplace: bool = False) -> Array:
    """y = x for x > 0, else alpha (exp(x) - 1).

    >>> import numpy as np
    >>> elu(np.array([-2.0, 0.0, 1.0])).round(4)
    array([-0.8647,  0.    ,  1.    ])
    """
    return op.elu(input, alpha=alpha)


def gelu(input: Array, approximate: str = "none") -> Array:
    """y = x Phi(x); with ``approximate="tanh"``, Phi(x) = (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2.

    >>> import numpy as np
    >>> gelu(np.array([-2.0, 0.0, 1.0])).round(4)
    array([-0.0455,  0.    ,  0.8413])
    """
    return op.gelu(input, approximate=approximate)


def silu(input: Array, inplace: bool = False) -> Array:
    """y = x sigmoid(x).

    >>> import numpy as np
    >>> silu(np.array([-2.0, 0.0, 1.0])).round(4)
    array([-0.2384,  0.    ,  0.7311])
    """
    return op.silu(input)


def softplus(input: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """y = log(1 + exp(beta x)) / beta; x where beta x > threshold.

    >>> import numpy as np
    >>> softplus(np.array([-2.0, 0.0, 1.0])).round(4)
    array([0.1269, 0.6931, 1.3133])
    """
    return op.softplus(input, beta=beta, threshold=threshold)


def sigmoid(input: Array) -> Array:
    """y = 1 / (1 + exp(-x)).

    >>> import numpy as np
    >>> sigmoid(np.array([-2.0, 0.0, 1.0])).round(4)
    array([0.1192, 0.5   , 0.7311])
    """
    return op.sigmoid(input)


def tanh(input: Array) -> Array:
    """y = tanh(x).

    >>> import numpy as np
    >>> tanh(np.array([-2.0, 0.0, 1.0])).round(4)
    array([-0.964 ,  0.    ,  0.7616])
    """
    return op.tanh(input)


def softmax(input: Array, dim: int = -1, dtype: Any = None) -> Array:
    """y = exp(x) / sum of exp(x) along axis `dim`; cast to `dtype` first, if given.

    >>> import numpy as np
    >>> softmax(np.array([-2.0, 0.0, 1.0])).round(4)
    array([0.0351, 0.2595, 0.7054])
    """
    return op.softmax(input if dtype is None else op.cast(input, dtype=as_dtype(dtype)), axis=dim)


def log_softmax(input: Array, dim: int = -1, dtype: Any = None) -> Array:
    """y = x - log(sum of exp(x) along axis `dim`); cast to `dtype` first, if given.

    >>> import numpy as np
    >>> log_softmax(np.array([-2.0, 0.0, 1.0])).round(4)
    array([-3.349, -1.349, -0.349])
    """
    return op.log_softmax(input if dtype is None else op.cast(input, dtype=as_dtype(dtype)), axis=dim)


def relu6(input: Array, inplace: bool = False) -> Array:
    """y = min(max(x, 0), 6).

    >>> import numpy as np
    >>> relu6(np.array([-2.0, 0.0, 1.0])).round(4)
    array([0., 0., 1.])
    """
    return op.relu6(input)


def selu(input: Array, inplace: bool = False) -> Array:
    """y = 1.0507 x for x > 0, else 1.0507 1.6733 (exp(x) - 1).  Source: Klambauer et al., 2017, equation 2.

    >>> import numpy as np
    >>> selu(np.array([-2.0, 0.0, 1.0])).round(4)
    array([-1.5202,  0.    ,  1.0507])
    """
    return op.selu(input)


def celu(input: Array, alpha: float = 1.0, inplace: bool = False) -> Array:
    """y = x for x > 0, else alpha (exp(x / alpha) - 1).  Source: Barron, 2017, equation 2.

    >>> import numpy as np
    >>> celu(np.array([2.0, 0.0]))
    array([2., 0.])
    """
    right = op.greater(input, 0)
    left = op.multiply(op.expm1(op.multiply(op.where(right, 0.0, input), 1.0 / alpha)), alpha)
    return op.where(right, input, left)


def hardswish(input: Array, inplace: bool = False) -> Array:
    """y = x min(max(x + 3, 0), 6) / 6.  Source: Howard et al., "Searching for MobileNetV3", 2019.

    >>> import numpy as np
    >>> hardswish(np.array([-2.0, 0.0, 1.0])).round(4)
    array([-0.3333,  0.    ,  0.6667])
    """
    return op.hardswish(input)


def hardsigmoid(input: Array, inplace: bool = False) -> Array:
    """y = min(max(x + 3, 0), 6) / 6.

    >>> import numpy as np
    >>> hardsigmoid(np.array([-4.0, 0.0, 4.0]))
    array([0. , 0.5, 1. ])
    """
    return op.multiply(op.relu6(op.add(input, 3.0)), 1.0 / 6.0)


def hardtanh(input: Array, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Array:
    """y = min(max(x, min_val), max_val).

    >>> import numpy as np
    >>> hardtanh(np.array([-4.0, 0.5]))
    array([-1. ,  0.5])
    """
    return op.clip(input, min_val, max_val)


def mish(input: Array, inplace: bool = False) -> Array:
    """y = x tanh(log(1 + exp(x))).  Source: Misra, "Mish", 2019.

    >>> import numpy as np
    >>> mish(np.array([-2.0, 0.0, 1.0])).round(4)
    array([-0.2525,  0.    ,  0.8651])
    """
    return op.mish(input)


def logsigmoid(input: Array) -> Array:
    """y = log(1 / (1 + exp(-x))), exact for large -x.

    >>> import numpy as np
    >>> logsigmoid(np.array([-1000.0]))
    array([-1000.])
    """
    return op.negative(log1p_exp(op.negative(input)))


def softsign(input: Array) -> Array:
    """y = x / (1 + |x|).

    >>> import numpy as np
    >>> softsign(np.array([1.0, -3.0]))
    array([ 0.5 , -0.75])
    """
    return op.divide(input, op.add(op.abs(input), 1.0))


def tanhshrink(input: Array) -> Array:
    """y = x - tanh(x).

    >>> import numpy as np
    >>> tanhshrink(np.array([-2.0, 0.0, 1.0])).round(4)
    array([-1.036 ,  0.    ,  0.2384])
    """
    return op.subtract(input, op.tanh(input))


def hardshrink(input: Array, lambd: float = 0.5) -> Array:
    """y = x for |x| > lambd, else 0.

    >>> import numpy as np
    >>> hardshrink(np.array([0.25, -2.0]))
    array([ 0., -2.])
    """
    return op.where(op.greater(op.abs(input), lambd), input, 0.0)


def softshrink(input: Array, lambd: float = 0.5) -> Array:
    """y = x - lambd for x > lambd, x + lambd for x < -lambd, else 0.

    >>> import numpy as np
    >>> softshrink(np.array([0.25, -2.0]))
    array([ 0. , -1.5])
    """
    return op.subtract(input, op.clip(input, -lambd, lambd))


def threshold(input: Array, threshold: float, value: float, inplace: bool = False) -> Array:
    """y = x for x > threshold, else value.

    >>> import numpy as np
    >>> threshold(np.array([1.0, 3.0]), 2.0, -1.0)
    array([-1.,  3.])
    """
    return op.where(op.greater(input, threshold), input, value)


def prelu(input: Array, weight: Array) -> Array:
    """y = x for x > 0, else weight x.  Shapes: weight (1,), or (channels,) for the last axis.  Raises: ShapeError.

    Source: He et al., "Delving deep into rectifiers", ICCV 2015, equation 1.

    >>> import numpy as np
    >>> prelu(np.array([1.0, -2.0]), np.array([0.25]))
    array([ 1. , -0.5])
    """
    if weight.size != 1 and tuple(weight.shape) != tuple(input.shape[-1:]):
        lines = [operand("input", input, "..., channels"), operand("weight", weight, "1 or channels")]
        what = f"prelu(input, weight): weight has {weight.size} slopes, input {input.shape[-1]} channels"
        raise ShapeError(message(what, lines, "need weight.shape == (1,) or (input.shape[-1],)"))
    return _sloped(input, weight)


def _sloped(input: Array, slopes: Array) -> Array:
    return op.where(op.greater(input, 0), input, op.multiply(input, slopes))


def rrelu(
    input: Array,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
    *,
    generator: Generator | None = None,
) -> Array:
    """y = x for x > 0, else a x, a ~ U[lower, upper) for each element; (lower + upper) / 2 outside of training.

    Source: Xu et al., "Empirical evaluation of rectified activations", 2015.

    >>> import numpy as np
    >>> rrelu(np.array([1.0, -24.0]))
    array([ 1. , -5.5])
    """
    if not training:
        return op.leaky_relu(input, negative_slope=(lower + upper) / 2.0)
    slopes = uniform(tuple(input.shape), lower, upper, dtype=input.dtype, device=device_of(input), generator=generator)
    return _sloped(input, slopes if isinstance(input, Tensor) else slopes.data)


def glu(input: Array, dim: int = -1) -> Array:
    """y = a sigmoid(b), a and b the halves of x along axis `dim`, by default the last.

    Raises: ShapeError for an odd size.  Source: Dauphin et al., 2017, equation 1.

    >>> import numpy as np
    >>> glu(np.array([4.0, 0.0]))
    array([2.])
    """
    axis = normalize_axis("glu(input, dim)", dim, len(input.shape))
    if input.shape[axis] % 2:
        raise ShapeError(message(f"glu(input, dim={dim}): the axis is of odd size", [operand("input", input)]))
    a, b = op.split(input, 2, axis=axis)
    return op.multiply(a, op.sigmoid(b))


def softmin(input: Array, dim: int = -1, dtype: Any = None) -> Array:
    """y = exp(-x) / sum of exp(-x) along axis `dim`; cast to `dtype` first, if given.

    >>> import numpy as np
    >>> softmin(np.array([-2.0, 0.0, 1.0])).round(4)
    array([0.8438, 0.1142, 0.042 ])
    """
    cast = input if dtype is None else op.cast(input, dtype=as_dtype(dtype))
    return op.softmax(op.negative(cast), axis=dim)
