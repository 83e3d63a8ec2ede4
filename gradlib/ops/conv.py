"""Convolution layers in one, two and three dimensions: the triad's op with what follows it fused."""

from __future__ import annotations

from typing import Any

from ..core import between, fused, op, sample
from ..spec import is_floating
from . import conv_launch, conv_steps, conv_tensor
from .activation import Activation, activate, with_saved
from .conv_arguments import Padding, Size, window_arguments
from .conv_host import Ints, Pairs
from .conv_triad import conv, infer, triad_samples
from .dense_launch import column_sums

__all__ = ["conv1d", "conv2d", "conv3d"]

Array = Any


# -- the layer


def _layer_samples() -> list[Any]:
    acts = ["gelu", None, "silu", "tanh", "sigmoid", "softplus", "mish", None, None, "gelu", "gelu", "tanh"]
    smooth = [
        sample(x, w, None if i % 3 == 1 else w[-1:], activation=act, **p)
        for i, ((x, w, p), act) in enumerate(zip(triad_samples(), acts, strict=True))
    ]
    kinked = ("relu", "leaky_relu", "elu", "relu6", "selu", "hardswish")
    window: dict[str, Any] = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}
    weight, bias = between(-0.2, 0.2, 3, 3, 3, 4), between(-0.2, 0.2, 4)  # no value near the kinks at 3 and 6
    steps = [
        sample((2, 5, 4, 3), (3, 3, 3, 4), (4,), (4,), (2, 5, 4, 4), activation="gelu", **window),
        sample((2, 5, 4, 3), (3, 3, 3, 4), None, (4,), None, activation="tanh", **window),
        sample((2, 5, 4, 3), (3, 3, 3, 4), None, None, (2, 5, 4, 4), activation="silu", **window),
        sample((2, 5, 4, 3), (3, 3, 3, 4), (4,), (4,), (2, 5, 4, 4), activation=None, **window),
        sample((1, 4, 5, 6), (3, 3, 1, 6), (6,), (6,), (1, 4, 5, 6), activation="gelu", **{**window, "groups": 6}),
        sample((1, 6, 5, 4), (3, 3, 2, 40), (40,), (40,), None, **{**window, "stride": (2, 1), "groups": 2}),
        sample((0, 4, 5, 3), (3, 3, 3, 4), (4,), (4,), (0, 4, 5, 4), activation="silu", **window),
        sample(
            (2, 13, 3),
            (4, 3, 5),
            (5,),
            (5,),
            (2, 3, 5),
            activation="gelu",
            stride=(2,),
            padding=((1, 1),),
            dilation=(3,),
            groups=1,
        ),
    ]
    fused = [
        sample((2, 4, 5, 3), weight, bias, between(0.5, 1, 4), between(-0.2, 0.2, 2, 4, 5, 4), activation="relu",
               smooth=False, **window),
    ]  # fmt: skip
    return [
        *smooth, *steps, *fused,
        *[sample((2, 4, 5, 3), weight, bias, activation=a, smooth=False, **window) for a in kinked],
    ]  # fmt: skip


@fused("convolution", infer=infer, samples=_layer_samples)
def _convolution(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    scale: Array | None = None,
    residual: Array | None = None,
    *,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int,
    activation: Activation = None,
) -> Array:
    """y = act(scale conv(input, weight) + bias + residual)."""
    window = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    if callable(activation):
        return activation(_convolution(input, weight, bias, scale, residual, activation=None, **window))
    y = conv(input, weight, **window)
    y = y if scale is None else op.multiply(y, scale)
    y = y if bias is None else op.add(y, bias)
    return activate(y if residual is None else op.add(y, residual), activation)


def _layer(
    ndim: int,
    arrays: tuple[Array, Array, Array | None, Array | None, Array | None],
    stride: Size,
    padding: Padding,
    dilation: Size,
    groups: int,
    activation: Activation,
) -> Array:
    kernel = getattr(arrays[1], "shape", ())[:-2]
    window = window_arguments(f"conv{ndim}d(input, weight, bias)", ndim, kernel, stride, padding, dilation)
    return _convolution(*arrays, groups=groups, activation=activation, **window)


def conv2d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    scale: Array | None = None,
    residual: Array | None = None,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    activation: Activation = None,
) -> Array:
    """y = act(scale conv(input, weight) + bias + residual), the cross-correlation of images with filters.

    ``conv[b, p, q, k] = sum over r, s, c of input[b, p*stride - pad + r*dilation, q*stride - pad + s*dilation, c]
    weight[r, s, c, k]``, zero outside of the image.

    Parameters
    ----------
    input : (batch, height, width, channels)
    weight : (kernel_height, kernel_width, channels / groups, features)
    bias : (features,), optional
    scale : (features,), optional
        For a batch normalisation of known statistics that follows: ``scale = gamma / sqrt(var + eps)`` and
        ``bias = beta - mean scale``.
    residual : as the result, optional
        What a residual block adds before the activation.
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
    and weight gradient.  Kernel: implicit matrix products, each step in the one launch (in the last of two where a long
    sum is split): conv_sm90.cu (sm_90a, more than 24 channels a group), conv_mma.cu (sm_80 and later), and
    conv_weights_sm90.cu, conv_weights_mma.cu for the weight gradient; the plain product of a 1x1 with stride 1;
    conv2d.cu and depthwise.cu elsewhere.  16-bit images whose channels are no multiple of 8 are padded first.

    Examples
    --------
    >>> import numpy as np
    >>> x, w = np.ones((1, 3, 3, 1)), np.ones((3, 3, 1, 1))
    >>> conv2d(x, w, padding="same")[0, :, :, 0]
    array([[4., 6., 4.],
           [6., 9., 6.],
           [4., 6., 4.]])
    """
    return _layer(2, (input, weight, bias, scale, residual), stride, padding, dilation, groups, activation)


def conv1d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    scale: Array | None = None,
    residual: Array | None = None,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    activation: Activation = None,
) -> Array:
    """y = act(scale conv(input, weight) + bias + residual) over (batch, length, channels).

    weight (kernel, channels / groups, features); everything else is as in `conv2d`, whose kernels it uses.
    """
    return _layer(1, (input, weight, bias, scale, residual), stride, padding, dilation, groups, activation)


def conv3d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    scale: Array | None = None,
    residual: Array | None = None,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
    activation: Activation = None,
) -> Array:
    """y = act(scale conv(input, weight) + bias + residual) over (batch, depth, height, width, channels), weight DHWIO.

    Everything else is as in `conv2d`.  Kernel: on tensor cores only; elsewhere it runs as a composition.
    """
    return _layer(3, (input, weight, bias, scale, residual), stride, padding, dilation, groups, activation)


# -- kernels


@_convolution.kernel("cuda", planned=True)
def _launch_layer(
    input: Array,
    weight: Array,
    bias: Array | None,
    scale: Array | None,
    residual: Array | None,
    *,
    activation: Activation,
    save: bool,
    **window: Any,
) -> Any:
    out = conv_launch.forward(input, weight, bias, scale, residual, activation=activation, save=save, **window)
    return with_saved(out, activation, save)


@_convolution.backward.kernel("cuda", planned=True)
def _launch_layer_backward(
    input: Array,
    weight: Array,
    bias: Array | None,
    scale: Array | None,
    residual: Array | None,
    g: Array,
    *residuals: Array,
    activation: Activation,
    needs: tuple[bool, ...],
    **window: Any,
) -> Any:
    """dz = g act'(s) is the residual's gradient, and its columns' sums are the bias's.

    The data gradient goes through the filters with the scale in them.  The weight gradient is taken without the scale:
    its columns times the scale are dw, and their products with w, added up, are the scale's gradient.
    """
    if (activation is not None and not residuals) or not is_floating(g.dtype):
        return NotImplemented
    s = residuals[0] if activation is not None else None
    if needs[4] and conv_tensor.passes(g) != 1:  # elsewhere dz leaves the registers only here
        g, s, activation = g if s is None else conv_steps.slope(g, s, activation), None, None  # type: ignore[arg-type]
    filters = weight if scale is None or not needs[0] else conv_steps.scaled_filters(weight, scale)
    wanted = (needs[0], needs[1] or needs[3])
    found = conv_launch.gradients(input, weight, filters, g, s, wanted, scale is not None, activation, window)
    if found is None:
        return NotImplemented
    dx, dw, sums, dz = found
    db = dscale = dr = None
    if needs[2]:
        features = g.shape[-1]
        places = g.size // max(features, 1)
        db = column_sums(g, s, places, features, activation) if sums is None else conv_tensor.total(sums, g.dtype)
    if scale is not None and dw is not None:
        dw, dscale = conv_steps.scale_gradient(weight, dw, scale, (needs[1], needs[3]))
    if needs[4]:
        dr = g if s is None else conv_steps.slope(g, s, activation) if dz is None else dz  # type: ignore[arg-type]
    return dx, dw, db, dscale, dr


op.register(conv1d=conv1d, conv2d=conv2d, conv3d=conv3d)
