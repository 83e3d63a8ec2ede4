"""Convolution layers in one, two and three dimensions: the triad's op with bias and activation fused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core import Saved, between, fused, op, sample
from ..errors import ShapeError
from ..spec import is_floating
from . import conv_launch, conv_tensor
from .activation import Activation, activate
from .conv_host import Ints, Pairs
from .conv_tensor import window_of
from .conv_triad import conv, infer, triad_samples
from .dense_launch import column_sums

__all__ = ["conv1d", "conv2d", "conv3d"]

Array = Any
Size = int | Sequence[int]
Padding = str | int | Sequence[int | Sequence[int]]


# -- arguments


def _per_axis(name: str, ndim: int, argument: str, value: Size) -> Ints:
    sizes = (value,) * ndim if isinstance(value, int) else tuple(value)
    if len(sizes) != ndim or not all(isinstance(s, int) and s >= 1 for s in sizes):
        raise ShapeError(f"{name}: {argument} is {value!r}\n  need an int of at least 1, or {ndim} of them")
    return sizes


def _pairs(name: str, kernel: Ints, padding: Padding, stride: Ints, dilation: Ints) -> Pairs:
    """Return the padding before and after each axis; "same" puts the odd one after, as PyTorch does."""
    ndim = len(kernel)
    if padding == "valid":
        return ((0, 0),) * ndim
    if padding == "same":
        if set(stride) != {1}:
            raise ShapeError(f'{name}: padding "same" with stride {stride}\n  need stride 1, or padding in numbers')
        reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple((r // 2, r - r // 2) for r in reach)
    if isinstance(padding, str):
        raise ValueError(f'{name}: padding is {padding!r}\n  need "same", "valid", an int, or one per axis')
    each = (padding,) * ndim if isinstance(padding, int) else tuple(padding)
    pairs = tuple((p, p) if isinstance(p, int) else tuple(p) for p in each)
    if len(pairs) != ndim or not all(len(p) == 2 and min(p) >= 0 for p in pairs):
        raise ShapeError(f"{name}: padding is {padding!r}\n  need {ndim} of: an int of at least 0, or a pair of them")
    return pairs  # type: ignore[return-value]


# -- the layer


def _layer_samples() -> list[Any]:
    acts = ["gelu", None, "silu", "tanh", "sigmoid", "softplus", "mish", None, None, "gelu", "gelu", "tanh"]
    smooth = [
        sample(x, w, None if i % 3 == 1 else w[-1:], activation=act, **p)
        for i, ((x, w, p), act) in enumerate(zip(triad_samples(), acts, strict=True))
    ]
    kinked = ("relu", "leaky_relu", "elu", "relu6", "selu", "hardswish")
    window = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}
    weight, bias = between(-0.2, 0.2, 3, 3, 3, 4), between(-0.2, 0.2, 4)  # no value near the kinks at 3 and 6
    return smooth + [sample((2, 4, 5, 3), weight, bias, activation=a, smooth=False, **window) for a in kinked]


@fused("convolution", infer=infer, samples=_layer_samples)
def _convolution(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int,
    activation: Activation = None,
) -> Array:
    """y = act(conv(input, weight) + bias)."""
    window = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    if callable(activation):
        return activation(_convolution(input, weight, bias, activation=None, **window))
    y = conv(input, weight, **window)
    return activate(y if bias is None else op.add(y, bias), activation)


def _layer(
    ndim: int,
    input: Array,
    weight: Array,
    bias: Array | None,
    stride: Size,
    padding: Padding,
    dilation: Size,
    groups: int,
    activation: Activation,
) -> Array:
    name = f"conv{ndim}d(input, weight, bias)"
    stride, dilation = _per_axis(name, ndim, "stride", stride), _per_axis(name, ndim, "dilation", dilation)
    kernel = tuple(getattr(weight, "shape", ())[:-2])
    if len(kernel) != ndim:  # apply or infer has the words for it
        kernel = (1,) * ndim
    pairs = _pairs(name, kernel, padding, stride, dilation)
    return _convolution(
        input, weight, bias, stride=stride, padding=pairs, dilation=dilation, groups=groups, activation=activation
    )


def conv2d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    activation: Activation = None,
) -> Array:
    """y = act(conv(input, weight) + bias), the cross-correlation of images with filters.

    ``conv[b, p, q, k] = sum over r, s, c of input[b, p*stride - pad + r*dilation, q*stride - pad + s*dilation, c]
    weight[r, s, c, k]``, zero outside of the image.

    Parameters
    ----------
    input : (batch, height, width, channels)
    weight : (kernel_height, kernel_width, channels / groups, features)
    bias : (features,), optional
    stride, dilation
        An int, or one for each axis.
    padding
        Zeros around the image: an int, or for each axis an int or a pair (before, after); ``"valid"`` is 0;
        ``"same"`` keeps height and width at stride 1, an odd zero at the end.
    groups
        Cuts channels and features into as many parts that do not meet; ``groups=channels`` is depthwise.
    activation
        A name or a callable, as in `dense`.

    Returns
    -------
    (batch, out_height, out_width, features)
        float16 and bfloat16 are summed in float32 and rounded once.

    Raises
    ------
    ShapeError
        If channels, groups, kernel and image do not fit each other.

    Notes
    -----
    Derivative: first order by backward kernels, every higher order by the triad of convolution, data gradient
    and weight gradient.  Kernel: conv_sm90.cu, conv_weights_sm90.cu (sm_90a, channels and features multiples of 8),
    else conv2d.cu, depthwise.cu: implicit matrix products.

    Examples
    --------
    >>> import numpy as np
    >>> x, w = np.ones((1, 3, 3, 1)), np.ones((3, 3, 1, 1))
    >>> conv2d(x, w, padding="same")[0, :, :, 0]
    array([[4., 6., 4.],
           [6., 9., 6.],
           [4., 6., 4.]])
    """
    return _layer(2, input, weight, bias, stride, padding, dilation, groups, activation)


def conv1d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    activation: Activation = None,
) -> Array:
    """y = act(conv(input, weight) + bias) over (batch, length, channels), weight (kernel, channels / groups, features).

    Everything else is as in `conv2d`, whose kernels it uses.
    """
    return _layer(1, input, weight, bias, stride, padding, dilation, groups, activation)


def conv3d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    activation: Activation = None,
) -> Array:
    """y = act(conv(input, weight) + bias) over (batch, depth, height, width, channels), weight DHWIO.

    Everything else is as in `conv2d`.  Kernel: on tensor cores only; elsewhere it runs as a composition.
    """
    return _layer(3, input, weight, bias, stride, padding, dilation, groups, activation)


# -- kernels


@_convolution.kernel("cuda")
def _launch_layer(
    input: Array, weight: Array, bias: Array | None, *, activation: Activation, save: bool, **window: Any
) -> Any:
    out = conv_launch.forward(input, weight, bias, activation=activation, save=save, **window)
    if out is NotImplemented or activation is None or not save:
        return out if out is NotImplemented else out[0]
    y, z = out
    return Saved(y, (y if z is None else z,))


@_convolution.backward.kernel("cuda")
def _launch_layer_backward(
    input: Array,
    weight: Array,
    bias: Array | None,
    g: Array,
    *residuals: Array,
    activation: Activation,
    needs: tuple[bool, ...],
    **window: Any,
) -> Any:
    if (activation is not None and not residuals) or not is_floating(g.dtype):
        return NotImplemented
    s = residuals[0] if activation is not None else None
    places, features = g.size // max(g.shape[-1], 1), g.shape[-1]
    there = conv_tensor.backward(input, weight, g, s, window_of(weight.shape[:-2], **window), activation, needs)
    if there is not None:
        dx, dw, sums = there
        db = None
        if needs[2]:
            db = column_sums(g, s, places, features, activation) if sums is None else conv_tensor.total(sums, g.dtype)
        return dx, dw, db
    dx = dw = db = None
    if needs[0]:
        dx = conv_launch.data_gradient(g, s, weight, size=input.shape[1:-1], activation=activation, **window)
    if needs[1]:
        dw = conv_launch.weight_gradient(input, g, s, kernel=weight.shape[:-2], activation=activation, **window)
    if dx is NotImplemented or dw is NotImplemented:
        return NotImplemented
    if needs[2]:
        db = column_sums(g, s, places, features, activation)
    return dx, dw, db


op.register(conv1d=conv1d, conv2d=conv2d, conv3d=conv3d)
