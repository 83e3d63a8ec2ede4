"""Initializers: each overwrites a tensor in place and returns it.

Fans are counted for gradlib's layouts: a weight is (..., in, out), its leading axes (a convolution's
window) the receptive field.  Numbers come from `generator`, by default that of `gl.manual_seed`, so one
seed gives the same weights on every device.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from ..core import Tensor, current_backend
from ..errors import DTypeError, ShapeError, message, operand
from ..ops import Generator, normal, uniform
from ..spec import as_dtype, default_float, int64, is_floating
from .init_structured import dirac_, eye_, orthogonal_, sparse_, tensor_of, trunc_normal_

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "fans",
    "gain",
    "glorot_normal_",
    "glorot_uniform_",
    "he_normal_",
    "he_uniform_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "lecun_normal_",
    "lecun_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

Mode = Literal["fan_in", "fan_out"]


def fans(tensor: Tensor) -> tuple[int, int]:
    """Return (fan_in, fan_out): how many inputs an output is computed from, and how many outputs an input enters.

    For a weight (*window, in, out) these are prod(window) * in and prod(window) * out.  With groups,
    `in` is that of one group, so fan_in is right and fan_out is that of all groups, as in PyTorch.

    Raises
    ------
    ShapeError : fewer than two dimensions.

    >>> import gradlib as gl
    >>> fans(gl.zeros((3, 3, 8, 16)))
    (72, 144)
    """
    if tensor_of("fans", tensor).ndim < 2:
        raise ShapeError(
            message(
                f"fans(tensor): tensor has {tensor.ndim} dimensions, a weight at least 2",
                [operand("tensor", tensor, "..., in, out")],
                "need a weight; for a vector normal_, uniform_ or zeros_",
            )
        )
    field = math.prod(tensor.shape[:-2])
    return field * tensor.shape[-2], field * tensor.shape[-1]


def gain(nonlinearity: str, param: float | None = None) -> float:
    """Return the factor that keeps the variance through `nonlinearity`, as ``torch.nn.init.calculate_gain``.

    linear, sigmoid, conv 1; tanh 5/3; relu sqrt(2); leaky_relu sqrt(2 / (1 + slope^2)); selu 3/4.

    >>> round(gain("relu"), 4)
    1.4142
    """
    if nonlinearity == "leaky_relu":
        return math.sqrt(2.0 / (1.0 + (0.01 if param is None else param) ** 2))
    window = {f"conv{transpose}{n}d": 1.0 for transpose in ("", "_transpose") for n in (1, 2, 3)}
    known = {"linear": 1.0, **window, "sigmoid": 1.0, "tanh": 5.0 / 3.0, "relu": math.sqrt(2.0), "selu": 0.75}
    if nonlinearity not in known:
        raise ValueError(
            f"gain(nonlinearity): {nonlinearity!r} is unknown\n  need one of {', '.join([*known, 'leaky_relu'])}"
        )
    return known[nonlinearity]


calculate_gain = gain


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one number.

    >>> import gradlib as gl
    >>> constant_(gl.zeros((2,)), 3.0).tolist()
    [3.0, 3.0]
    """
    tensor_of("constant_", tensor)
    return tensor.assign(np.broadcast_to(np.asarray(val, tensor.dtype), tensor.shape))


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with 0.

    >>> import gradlib as gl
    >>> zeros_(gl.ones((2,))).tolist()
    [0.0, 0.0]
    """
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with 1.

    >>> import gradlib as gl
    >>> ones_(gl.zeros((2,))).tolist()
    [1.0, 1.0]
    """
    return constant_(tensor, 1.0)


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Draw from U[a, b).  Raises: ValueError unless a <= b.

    >>> import gradlib as gl
    >>> w = uniform_(gl.zeros((1000,)), -1.0, 2.0)
    >>> bool((w >= -1).all()), bool((w < 2).all())
    (True, True)
    """
    tensor_of("uniform_", tensor)
    if not a <= b:
        raise ValueError(f"uniform_(tensor, a, b): a is {a}, b {b}\n  need a <= b")
    return tensor.assign(uniform(tensor.shape, a, b, dtype=tensor.dtype, device=tensor.device, generator=generator))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Draw from N(mean, std^2).  Raises: ValueError unless std >= 0.

    >>> import gradlib as gl
    >>> bool(abs(normal_(gl.zeros((1000,)), 5.0).mean() - 5.0) < 0.2)
    True
    """
    tensor_of("normal_", tensor)
    if not std >= 0:
        raise ValueError(f"normal_(tensor, mean, std): std is {std}\n  need std >= 0")
    return tensor.assign(normal(tensor.shape, mean, std, dtype=tensor.dtype, device=tensor.device, generator=generator))


def _uniform_std(tensor: Tensor, std: float, generator: Generator | None) -> Tensor:
    bound = math.sqrt(3.0) * std  # U[-b, b) has variance b^2 / 3
    return uniform_(tensor, -bound, bound, generator)


def _kaiming_std(tensor: Tensor, a: float, mode: Mode, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"kaiming(mode): {mode!r} is unknown\n  need 'fan_in' or 'fan_out'")
    fan = fans(tensor)[mode == "fan_out"]
    return gain(nonlinearity, a) / math.sqrt(max(fan, 1))


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: Mode = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Draw from U[-b, b), b = gain sqrt(3 / fan), with the gain of `nonlinearity` (of slope `a`); also `he_uniform_`.

    Source: He et al., "Delving deep into rectifiers", ICCV 2015, equation 10.

    >>> import gradlib as gl
    >>> w = kaiming_uniform_(gl.zeros((6, 100)), nonlinearity="relu")
    >>> bool(abs(w).max() <= 1.0)
    True
    """
    return _uniform_std(tensor, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: Mode = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Draw from N(0, gain^2 / fan), with the gain of `nonlinearity` (of slope `a`); also `he_normal_`.

    Source: He et al., "Delving deep into rectifiers", ICCV 2015, equation 10.

    >>> import gradlib as gl
    >>> w = kaiming_normal_(gl.zeros((200, 50)), nonlinearity="relu")
    >>> round(float(w.std()), 2)
    0.1
    """
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Draw from U[-b, b), b = gain sqrt(6 / (fan_in + fan_out)); also `glorot_uniform_`.

    Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS 2010, equation 16.

    >>> import gradlib as gl
    >>> bool(abs(xavier_uniform_(gl.zeros((50, 100)))).max() <= 0.2)
    True
    """
    return _uniform_std(tensor, gain * math.sqrt(2.0 / max(sum(fans(tensor)), 1)), generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Draw from N(0, gain^2 2 / (fan_in + fan_out)); also `glorot_normal_`.

    Source: Glorot and Bengio, AISTATS 2010, equation 12.

    >>> import gradlib as gl
    >>> round(float(xavier_normal_(gl.zeros((100, 100))).std()), 2)
    0.1
    """
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / max(sum(fans(tensor)), 1)), generator)


def lecun_uniform_(tensor: Tensor, generator: Generator | None = None) -> Tensor:
    """Draw from U[-b, b), b = sqrt(3 / fan_in).

    Source: LeCun et al., "Efficient BackProp", 1998, section 4.6.

    >>> import gradlib as gl
    >>> bool(abs(lecun_uniform_(gl.zeros((300, 10)))).max() <= 0.1)
    True
    """
    return _uniform_std(tensor, 1.0 / math.sqrt(max(fans(tensor)[0], 1)), generator)


def lecun_normal_(tensor: Tensor, generator: Generator | None = None) -> Tensor:
    """Draw from N(0, 1 / fan_in).

    Source: LeCun et al., "Efficient BackProp", 1998, section 4.6.

    >>> import gradlib as gl
    >>> round(float(lecun_normal_(gl.zeros((100, 100))).std()), 2)
    0.1
    """
    return normal_(tensor, 0.0, 1.0 / math.sqrt(max(fans(tensor)[0], 1)), generator)


he_uniform_, he_normal_ = kaiming_uniform_, kaiming_normal_
glorot_uniform_, glorot_normal_ = xavier_uniform_, xavier_normal_


def default_(weight: Tensor, bias: Tensor | None) -> None:
    """Draw a layer's weight and bias from U[-b, b), b = 1 / sqrt(fan_in): PyTorch's default.

    (There: kaiming_uniform_ with a = sqrt(5), whose gain is sqrt(1/3).)
    """
    bound = 1.0 / math.sqrt(max(fans(weight)[0], 1))
    uniform_(weight, -bound, bound)
    if bias is not None:
        uniform_(bias, -bound, bound)


def allocate(shape: tuple[int, ...], dtype: Any, device: str | None) -> Tensor:
    """Return zeros for a layer to initialise: float32, on the default device, unless said otherwise."""
    wanted = as_dtype(default_float if dtype is None else dtype)
    if not is_floating(wanted):
        raise DTypeError(f"layer(dtype): parameters cannot be {wanted}\n  need a floating dtype")
    return Tensor(current_backend(device).zeros(shape, wanted))


def count(device: str | None) -> Tensor:
    """Return the integer 0 on a device: a counter's start."""
    return Tensor(current_backend(device).zeros((), int64))
