"""Convolutions in one, two and three dimensions: a closed triad of leaves, and a fused layer on top.

`conv`, its gradient in the data and its gradient in the filters are each other's derivatives, so three
kernels give all orders.  The fused op adds bias and activation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core import Saved, fused, leaf, op, sample
from ..errors import DTypeError, ShapeError, message, operand
from ..spec import Spec, is_floating
from . import conv_host, conv_launch
from .activation import Activation, activate, check
from .conv_host import Ints, Pairs
from .dense import column_sums

__all__ = ["conv1d", "conv2d", "conv3d"]

Array = Any
Size = int | Sequence[int]
Padding = str | int | Sequence[int | Sequence[int]]

_AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}


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


def _infer(
    input: Spec,
    weight: Spec,
    bias: Spec | None = None,
    *,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int,
    activation: Activation = None,
) -> Spec:
    ndim = len(stride)
    name = f"conv{ndim}d(input, weight, bias)"
    axes = _AXES[ndim]
    kernel_axes = [f"kernel_{axis}" for axis in axes]

    def refuse(what: str, fix: str) -> ShapeError:
        lines = [
            operand("input", input, f"batch, {', '.join(axes)}, channels"),
            operand("weight", weight, f"{', '.join(kernel_axes)}, channels / groups, features"),
        ]
        if bias is not None:
            lines.append(operand("bias", bias, "features"))
        return ShapeError(message(f"{name}: {what}", lines, fix))

    for argument, spec in (("input", input), ("weight", weight)):
        if spec.ndim != ndim + 2:
            raise refuse(f"{argument} has {spec.ndim} dimensions, expected {ndim + 2}", f"need {ndim + 2} dimensions")
    channels, per_group, features = input.shape[-1], weight.shape[-2], weight.shape[-1]
    if groups < 1 or channels % groups or features % groups:
        raise refuse(
            f"groups is {groups}, with {channels} channels and {features} features",
            "need groups that divide input.shape[-1] and weight.shape[-1]",
        )
    if channels != per_group * groups:
        of = "" if groups == 1 else f" ({per_group} in each of {groups} groups)"
        raise refuse(
            f"input has {channels} channels, weight expects {per_group * groups}{of}",
            f"need input.shape[{ndim + 1}] == weight.shape[{ndim}]" + ("" if groups == 1 else " * groups"),
        )
    kernel, size = weight.shape[:-2], input.shape[1:-1]
    for axis, n, k, d, (before, after) in zip(axes, size, kernel, dilation, padding, strict=True):
        reach, room = d * (k - 1) + 1, n + before + after
        if k < 1 or reach > room:
            spread = f" (kernel {k}, dilation {d})" if d > 1 else ""
            raise refuse(
                f"the kernel's {axis} is {reach}{spread}, the padded input's {room}",
                "need a kernel of at least 1 and at most the padded input",
            )
    if bias is not None and bias.shape != (features,):
        raise refuse(f"bias has shape {bias.shape}, weight makes {features} features", f"need bias.shape == ({features},)")
    check(name, activation)
    if activation is not None and not is_floating(input.dtype):
        raise DTypeError(message(f"{name}: an activation needs floats", [operand("input", input)], "need a floating dtype"))
    return Spec((input.shape[0], *conv_host.out_sizes(size, kernel, stride, padding, dilation), features), input.dtype)


# -- the triad


def _infer_data(g: Spec, w: Spec, *, size: Ints, groups: int, **window: Any) -> Spec:
    return Spec((g.shape[0], *size, w.shape[-2] * groups), g.dtype)


def _infer_weight(x: Spec, g: Spec, *, kernel: Ints, groups: int, **window: Any) -> Spec:
    return Spec((*kernel, x.shape[-1] // groups, g.shape[-1]), x.dtype)


def _window(
    ndim: int, stride: int = 1, padding: Padding = 0, dilation: int = 1, groups: int = 1, kernel: int = 3
) -> dict[str, Any]:
    strides, dilations = (stride,) * ndim, (dilation,) * ndim
    pairs = _pairs("sample", (kernel,) * ndim, padding, strides, dilations)
    return {"stride": strides, "padding": pairs, "dilation": dilations, "groups": groups}


def _triad_samples() -> list[tuple[Ints, Ints, dict[str, Any]]]:
    """Shapes of x and w, and the window: primes, size 1, no images, strides, dilation, groups, depthwise, 1-d and 3-d."""
    return [
        ((2, 5, 7, 3), (3, 3, 3, 5), _window(2, padding=1)),
        ((1, 1, 1, 1), (1, 1, 1, 1), _window(2)),
        ((2, 7, 5, 3), (1, 1, 3, 4), _window(2)),
        ((1, 9, 8, 4), (3, 2, 4, 5), {**_window(2, stride=2), "padding": ((1, 0), (0, 2))}),
        ((2, 11, 11, 2), (3, 3, 2, 3), _window(2, stride=3, padding=2, dilation=2)),
        ((2, 6, 5, 6), (3, 3, 2, 9), _window(2, padding="same", groups=3)),
        ((2, 6, 7, 5), (3, 3, 1, 5), _window(2, padding=1, groups=5)),
        ((1, 7, 6, 3), (3, 3, 1, 6), _window(2, stride=2, padding=1, groups=3)),
        ((1, 9, 7, 3), (2, 3, 1, 3), {**_window(2, dilation=2, groups=3), "stride": (2, 1)}),
        ((0, 5, 5, 2), (3, 3, 2, 3), _window(2, padding=1)),
        ((5, 11, 13, 3), (3, 3, 3, 17), _window(2, padding=1)),  # more than a tile of places
        ((2, 13, 3), (4, 3, 5), _window(1, stride=2, padding=1, dilation=3)),
        ((1, 4, 5, 3, 2), (2, 3, 2, 2, 3), _window(3, stride=2, padding=1)),
    ]


def _conv_samples() -> list[Any]:
    return [sample(x, w, **p) for x, w, p in _triad_samples()]


def _data_samples() -> list[Any]:
    return [
        sample(_infer(Spec(x, None), Spec(w, None), **p).shape, w, size=x[1:-1], **p)  # type: ignore[arg-type]
        for x, w, p in _triad_samples()
    ]


def _weight_samples() -> list[Any]:
    return [
        sample(x, _infer(Spec(x, None), Spec(w, None), **p).shape, kernel=w[:-2], **p)  # type: ignore[arg-type]
        for x, w, p in _triad_samples()
    ]


@leaf(
    "conv",
    infer=_infer,
    vjp=(
        lambda g, ans, x, w, **p: _data_gradient(g, w, size=tuple(x.shape[1:-1]), **p),
        lambda g, ans, x, w, **p: _weight_gradient(x, g, kernel=tuple(w.shape[:-2]), **p),
    ),
    saves=("w", "x"),
    promote="same",
    samples=_conv_samples,
)
def _conv(
    xp: Any, input: Array, weight: Array, *, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> Array:
    """y[b, o, k] = sum over taps t, channels c of x[b, o * stride - before + t * dilation, c] w[t, c, k].

    The cross-correlation that machine learning calls convolution: x (batch, *size, channels), w
    (*kernel, channels / groups, features).  Kernel: conv2d.cu and depthwise.cu (1-d and 2-d).
    """
    return conv_host.forward(xp, input, weight, stride, padding, dilation, groups)


@leaf(
    "conv_data_gradient",
    infer=_infer_data,
    vjp=(
        lambda u, ans, g, w, *, size, **p: _conv(u, w, **p),
        lambda u, ans, g, w, *, size, **p: _weight_gradient(u, g, kernel=tuple(w.shape[:-2]), **p),
    ),
    saves=("w", "g"),
    promote="same",
    samples=_data_samples,
)
def _data_gradient(
    xp: Any, g: Array, w: Array, *, size: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> Array:
    """dx = the adjoint of `conv` in x, at g, for an x of spatial size `size`: also the transposed convolution."""
    return conv_host.data_gradient(xp, g, w, size, stride, padding, dilation, groups)


@leaf(
    "conv_weight_gradient",
    infer=_infer_weight,
    vjp=(
        lambda v, ans, x, g, *, kernel, **p: _data_gradient(g, v, size=tuple(x.shape[1:-1]), **p),
        lambda v, ans, x, g, *, kernel, **p: _conv(x, v, **p),
    ),
    saves=("g", "x"),
    promote="same",
    samples=_weight_samples,
)
def _weight_gradient(
    xp: Any, x: Array, g: Array, *, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> Array:
    """dw = the adjoint of `conv` in w, at g, for a w of kernel size `kernel`."""
    return conv_host.weight_gradient(xp, x, g, kernel, stride, padding, dilation, groups)


# -- the layer


def _layer_samples() -> list[Any]:
    acts: list[Any] = ["gelu", None, "silu", "tanh", "sigmoid", "softplus", "mish", None, None, "gelu", "gelu", "tanh", "gelu"]
    smooth = [
        sample(x, w, None if i % 3 == 1 else w[-1:], activation=act, **p)
        for i, ((x, w, p), act) in enumerate(zip(_triad_samples(), acts, strict=True))
    ]
    kinked = ("relu", "leaky_relu", "elu", "relu6", "selu", "hardswish")
    window = _window(2, padding=1)
    return smooth + [sample((2, 4, 5, 3), (3, 3, 3, 4), (4,), activation=a, smooth=False, **window) for a in kinked]


@fused("convolution", infer=_infer, promote="same", samples=_layer_samples)
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
    y = _conv(input, weight, **window)
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
    kernel = tuple(weight.shape[:-2])
    if len(kernel) != ndim:  # infer has the words for it
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
    and weight gradient.  Kernel: conv2d.cu (implicit matrix product), depthwise.cu.

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

    Everything else is as in `conv2d`.  Kernel: none yet; it runs as a composition.
    """
    return _layer(3, input, weight, bias, stride, padding, dilation, groups, activation)


# -- kernels


@_conv.kernel("cuda")
def _launch_conv(input: Array, weight: Array, **window: Any) -> Any:
    out = conv_launch.forward(input, weight, None, **window)
    return out if out is NotImplemented else out[0]


@_data_gradient.kernel("cuda")
def _launch_data_gradient(g: Array, w: Array, **window: Any) -> Any:
    return conv_launch.data_gradient(g, None, w, **window)


@_weight_gradient.kernel("cuda")
def _launch_weight_gradient(x: Array, g: Array, **window: Any) -> Any:
    return conv_launch.weight_gradient(x, g, None, **window)


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
    dx = dw = db = None
    if needs[0]:
        dx = conv_launch.data_gradient(g, s, weight, size=input.shape[1:-1], activation=activation, **window)
    if needs[1]:
        dw = conv_launch.weight_gradient(input, g, s, kernel=weight.shape[:-2], activation=activation, **window)
    if dx is NotImplemented or dw is NotImplemented:
        return NotImplemented
    if needs[2]:
        features = g.shape[-1]
        db = column_sums(g, s, g.size // max(features, 1), features, activation)
    return dx, dw, db


op.register(conv1d=conv1d, conv2d=conv2d, conv3d=conv3d)
