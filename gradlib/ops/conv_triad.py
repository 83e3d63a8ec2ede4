"""The closed triad of convolution: the op, its gradient in the data, its gradient in the filters.

They are each other's derivatives, so three kernels give all orders.
"""

from __future__ import annotations

from typing import Any

from ..core import leaf, sample
from ..errors import DTypeError, ShapeError, message, operand
from ..spec import Spec, check_one_dtype, is_floating
from . import conv_host, conv_launch
from .activation import Activation, check
from .conv_host import Ints, Pairs

__all__ = ["conv", "data_gradient", "infer", "triad_samples", "weight_gradient"]

Array = Any

_AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}


def infer(
    input: Spec,
    weight: Spec,
    bias: Spec | None = None,
    scale: Spec | None = None,
    residual: Spec | None = None,
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

    def lines() -> list[str]:
        given = [
            operand("input", input, f"batch, {', '.join(axes)}, channels"),
            operand("weight", weight, f"{', '.join(kernel_axes)}, channels / groups, features"),
        ]
        steps = (("bias", bias, "features"), ("scale", scale, "features"), ("residual", residual, "as the result"))
        return given + [operand(name, spec, axes) for name, spec, axes in steps if spec is not None]

    def refuse(what: str, fix: str) -> ShapeError:
        return ShapeError(message(f"{name}: {what}", lines(), fix))

    for argument, given in (("input", input), ("weight", weight)):
        if given.ndim != ndim + 2:
            raise refuse(f"{argument} has {given.ndim} dimensions, expected {ndim + 2}", f"need {ndim + 2} dimensions")
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
    for argument, spec in (("bias", bias), ("scale", scale)):
        if spec is not None and spec.shape != (features,):
            raise refuse(
                f"{argument} has shape {spec.shape}, weight makes {features} features",
                f"need {argument}.shape == ({features},)",
            )
    shape = (input.shape[0], *conv_host.out_sizes(size, kernel, stride, padding, dilation), features)
    if residual is not None and residual.shape != shape:
        raise refuse(f"residual has shape {residual.shape}, the result {shape}", f"need residual.shape == {shape}")
    check_one_dtype(name, lines(), input, weight, bias, scale, residual)
    check(name, activation)
    if activation is not None and not is_floating(input.dtype):
        raise DTypeError(
            message(f"{name}: an activation needs floats", [operand("input", input)], "need a floating dtype")
        )
    return Spec(shape, input.dtype)


# -- the triad


def _infer_data(g: Spec, w: Spec, *, size: Ints, groups: int, **window: Any) -> Spec:
    return Spec((g.shape[0], *size, w.shape[-2] * groups), g.dtype)


def _infer_weight(x: Spec, g: Spec, *, kernel: Ints, groups: int, **window: Any) -> Spec:
    return Spec((*kernel, x.shape[-1] // groups, g.shape[-1]), x.dtype)


def _window(ndim: int, stride: int = 1, padding: int = 0, dilation: int = 1, groups: int = 1) -> dict[str, Any]:
    return {
        "stride": (stride,) * ndim,
        "padding": ((padding, padding),) * ndim,
        "dilation": (dilation,) * ndim,
        "groups": groups,
    }


def triad_samples() -> list[tuple[Ints, Ints, dict[str, Any]]]:
    """Shapes of x and w, and the window: primes, size 1, no images, strides, dilation, groups, depthwise, 1-d."""
    return [
        ((2, 5, 7, 3), (3, 3, 3, 5), _window(2, padding=1)),
        ((1, 1, 1, 1), (1, 1, 1, 1), _window(2)),
        ((2, 7, 5, 3), (1, 1, 3, 4), _window(2)),
        ((1, 9, 8, 4), (3, 2, 4, 5), {**_window(2, stride=2), "padding": ((1, 0), (0, 2))}),
        ((2, 11, 11, 2), (3, 3, 2, 3), _window(2, stride=3, padding=2, dilation=2)),
        ((2, 6, 5, 6), (3, 3, 2, 9), _window(2, padding=1, groups=3)),
        ((2, 6, 7, 5), (3, 3, 1, 5), _window(2, padding=1, groups=5)),
        ((1, 7, 6, 3), (3, 3, 1, 6), _window(2, stride=2, padding=1, groups=3)),
        ((1, 9, 7, 3), (2, 3, 1, 3), {**_window(2, dilation=2, groups=3), "stride": (2, 1)}),
        ((0, 5, 5, 2), (3, 3, 2, 3), _window(2, padding=1)),
        ((5, 11, 13, 3), (3, 3, 3, 17), _window(2, padding=1)),  # more than a tile of places
        ((2, 13, 3), (4, 3, 5), _window(1, stride=2, padding=1, dilation=3)),
    ]


def _conv_samples() -> list[Any]:
    return [sample(x, w, **p) for x, w, p in triad_samples()]


def _data_samples() -> list[Any]:
    return [
        sample(infer(Spec(x, None), Spec(w, None), **p).shape, w, size=x[1:-1], **p)  # type: ignore[arg-type]
        for x, w, p in triad_samples()
    ]


def _weight_samples() -> list[Any]:
    return [
        sample(x, infer(Spec(x, None), Spec(w, None), **p).shape, kernel=w[:-2], **p)  # type: ignore[arg-type]
        for x, w, p in triad_samples()
    ]


def _back_to_data(g: Array, x: Any, w: Array, window: dict[str, Any]) -> Array:
    return data_gradient(g, w, size=tuple(x.shape[1:-1]), **window)


def _back_to_weight(g: Array, x: Array, w: Any, window: dict[str, Any]) -> Array:
    return weight_gradient(x, g, kernel=tuple(w.shape[:-2]), **window)


@leaf(
    "conv",
    infer=infer,
    vjp=(
        lambda g, ans, x, w, **window: _back_to_data(g, x, w, window),
        lambda g, ans, x, w, **window: _back_to_weight(g, x, w, window),
    ),
    saves=("weight", "input"),
    samples=_conv_samples,
)
def conv(xp: Any, input: Array, weight: Array, *, stride: Ints, padding: Pairs, dilation: Ints, groups: int) -> Array:
    """y[b, o, k] = sum over taps t, channels c of x[b, o * stride - before + t * dilation, c] w[t, c, k].

    The cross-correlation that machine learning calls convolution: x (batch, *size, channels), w
    (*kernel, channels / groups, features).  Kernel: conv2d.cu and depthwise.cu (1-d and 2-d).
    """
    return conv_host.forward(xp, input, weight, stride, padding, dilation, groups)


@leaf(
    "conv_data_gradient",
    infer=_infer_data,
    vjp=(
        lambda u, ans, g, w, *, size, **window: conv(u, w, **window),
        lambda u, ans, g, w, *, size, **window: _back_to_weight(g, u, w, window),
    ),
    saves=("w", "g"),
    samples=_data_samples,
)
def data_gradient(
    xp: Any, g: Array, w: Array, *, size: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> Array:
    """dx = the adjoint of `conv` in x, at g, for an x of spatial size `size`: also the transposed convolution."""
    return conv_host.data_gradient(xp, g, w, size, stride, padding, dilation, groups)


@leaf(
    "conv_weight_gradient",
    infer=_infer_weight,
    vjp=(
        lambda v, ans, x, g, *, kernel, **window: _back_to_data(g, x, v, window),
        lambda v, ans, x, g, *, kernel, **window: conv(x, v, **window),
    ),
    saves=("g", "x"),
    samples=_weight_samples,
)
def weight_gradient(
    xp: Any, x: Array, g: Array, *, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints, groups: int
) -> Array:
    """dw = the adjoint of `conv` in w, at g, for a w of kernel size `kernel`."""
    return conv_host.weight_gradient(xp, x, g, kernel, stride, padding, dilation, groups)


# -- kernels


@conv.kernel("cuda", planned=True)
def _launch_conv(input: Array, weight: Array, **window: Any) -> Any:
    out = conv_launch.forward(input, weight, None, **window)
    return out if out is NotImplemented else out[0]


@data_gradient.kernel("cuda", planned=True)
def _launch_data_gradient(g: Array, w: Array, **window: Any) -> Any:
    return conv_launch.data_gradient(g, None, w, **window)


@weight_gradient.kernel("cuda", planned=True)
def _launch_weight_gradient(x: Array, g: Array, **window: Any) -> Any:
    return conv_launch.weight_gradient(x, g, None, **window)
