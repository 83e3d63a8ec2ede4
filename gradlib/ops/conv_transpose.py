"""Transposed convolution in one, two and three dimensions: the triad's data gradient with what follows it fused."""

from __future__ import annotations

from typing import Any

from ..core import between, fused, op, sample
from ..errors import DTypeError, ShapeError, message, operand
from ..spec import Spec, check_one_dtype, is_floating
from . import conv_launch, conv_tensor
from .activation import Activation, activate, check, with_saved
from .conv_host import Ints, Pairs
from .conv_triad import data_gradient
from .dense_launch import column_sums

__all__ = ["transposed_convolution"]

Array = Any


def _infer(
    input: Spec,
    weight: Spec,
    bias: Spec | None = None,
    *,
    size: Ints,
    groups: int,
    activation: Activation = None,
    **window: Any,
) -> Spec:
    name, channels = f"conv_transpose{len(size)}d(input, weight, bias)", weight.shape[-2] * groups

    def lines() -> list[str]:
        given = [operand("input", input, "batch, ..., in"), operand("weight", weight, "..., out / groups, in")]
        return given if bias is None else [*given, operand("bias", bias, "out")]

    if bias is not None and bias.shape != (channels,):
        what = f"{name}: bias has shape {bias.shape}, weight makes {channels} channels"
        raise ShapeError(message(what, lines(), f"need bias.shape == ({channels},)"))
    check_one_dtype(name, lines(), input, weight, bias)
    check(name, activation)
    if activation is not None and not is_floating(input.dtype):
        raise DTypeError(message(f"{name}: an activation needs floats", lines(), "need a floating dtype"))
    return Spec((input.shape[0], *size, channels), input.dtype)


def _samples() -> list[Any]:
    one: dict[str, Any] = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}
    two: dict[str, Any] = {**one, "stride": (2, 2)}
    weight, bias = between(-0.2, 0.2, 3, 3, 4, 3), between(-0.2, 0.2, 4)
    return [
        sample((2, 5, 7, 3), (3, 3, 5, 3), (5,), size=(5, 7), activation="gelu", **one),
        sample((2, 4, 5, 3), weight, bias, size=(4, 5), activation="relu", smooth=False, **one),
        sample((1, 3, 4, 5), (3, 2, 4, 5), (4,), size=(6, 7), activation="gelu", **two),  # larger than it need be
        sample((2, 2, 3, 9), (3, 3, 2, 9), (6,), size=(2, 3), activation="gelu", **{**one, "groups": 3}),
        sample((1, 3, 3, 6), (3, 3, 1, 6), (3,), size=(5, 5), activation="gelu", **{**two, "groups": 3}),  # depthwise
        sample((1, 1, 1, 1), (1, 1, 1, 1), (1,), size=(1, 1), **{**one, "padding": ((0, 0), (0, 0))}),
        sample((0, 4, 4, 3), (3, 3, 2, 3), (2,), size=(4, 4), activation="gelu", **one),
        sample((2, 5, 5), (4, 3, 5), (3,), size=(16,), activation="gelu", stride=(2,), padding=((1, 1),),
               dilation=(3,), groups=1),
        sample((1, 2, 3, 3), (2, 2, 2, 3), None, size=(5, 8), **{**two, "stride": (3, 3)}),  # some are not reached
    ]  # fmt: skip


@fused("transposed_convolution", infer=_infer, samples=_samples)
def transposed_convolution(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    size: Ints,
    stride: Ints,
    padding: Pairs,
    dilation: Ints,
    groups: int,
    activation: Activation = None,
) -> Array:
    """y = act(data gradient of the convolution with this weight and window at input, for an image of `size`, + bias).

    Shapes: input (batch, *places, in); weight (*kernel, out / groups, in); bias (out,); result (batch, *size, out).
    Dtypes: floating; integers without an activation.  Raises: ShapeError, DTypeError.
    Derivative: first order by backward kernels, which are the convolution's forward and weight gradient at ``dz = g
    act'``; every higher order by the triad.  Kernel: one launch for all of it, of strides one for each class of places
    that they keep apart (in two where a long sum is split, group by group in conv_mma.cu): conv_sm90.cu, conv_mma.cu,
    the plain product of a 1x1; elsewhere conv2d.cu and depthwise.cu in one and two dimensions, a composition in three.
    """
    window = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    if callable(activation):
        return activation(transposed_convolution(input, weight, bias, size=size, activation=None, **window))
    y = data_gradient(input, weight, size=size, **window)
    return activate(y if bias is None else op.add(y, bias), activation)


# -- kernels


@transposed_convolution.kernel("cuda", planned=True)
def _launch(
    input: Array, weight: Array, bias: Array | None, *, activation: Activation, save: bool, **window: Any
) -> Any:
    out = conv_launch.transposed(input, weight, bias, activation=activation, save=save, **window)
    return with_saved(out, activation, save)


@transposed_convolution.backward.kernel("cuda", planned=True)
def _launch_backward(
    input: Array,
    weight: Array,
    bias: Array | None,
    g: Array,
    *residuals: Array,
    size: Ints,
    activation: Activation,
    needs: tuple[bool, ...],
    **window: Any,
) -> Any:
    if (activation is not None and not residuals) or not is_floating(g.dtype):
        return NotImplemented
    s = residuals[0] if activation is not None else None
    dx = dw = sums = None
    if needs[0] or needs[1]:
        found = conv_launch.transposed_gradients(input, weight, g, s, needs[:2], activation, window)  # type: ignore[arg-type]
        if found is None:
            return NotImplemented
        dx, dw, sums, _ = found
    db = None
    if needs[2] and sums is not None:
        db = conv_tensor.total(sums, g.dtype)
    elif needs[2]:
        channels = g.shape[-1]
        db = column_sums(g, s, g.size // max(channels, 1), channels, activation)
    return dx, dw, db
