"""The fully connected layer: product, bias and activation in one op."""

from __future__ import annotations

from typing import Any

from ..core import Chain, between, fused, op, sample
from ..errors import DTypeError, ShapeError, message, operand
from ..spec import Spec, check_one_dtype, is_floating
from . import dense_chain, dense_launch
from .activation import Activation, activate, check, with_saved
from .matmul import matmul

__all__ = ["dense"]

Array = Any


def infer(input: Spec, weight: Spec, bias: Spec | None = None, *, activation: Activation = None) -> Spec:
    what = "dense(input, weight, bias)"

    def lines() -> list[str]:
        given = [operand("input", input, "batch, in"), operand("weight", weight, "in, out")]
        return given if bias is None else [*given, operand("bias", bias, "out")]

    if weight.ndim != 2 or input.ndim == 0:
        problem = f"weight has {weight.ndim} dimensions, need 2" if weight.ndim != 2 else "input has no dimensions"
        raise ShapeError(message(f"{what}: {problem}", lines(), "need input (..., in) and weight (in, out)"))
    if input.shape[-1] != weight.shape[0]:
        raise ShapeError(
            message(
                f"{what}: input has {input.shape[-1]} features, weight expects {weight.shape[0]}",
                lines(),
                f"need input.shape[{input.ndim - 1}] == weight.shape[0]",
            )
        )
    if bias is not None and bias.shape != weight.shape[1:]:
        raise ShapeError(
            message(
                f"{what}: bias has shape {bias.shape}, weight makes {weight.shape[1]} features",
                lines(),
                "need bias.shape == (weight.shape[1],)",
            )
        )
    check_one_dtype(what, lines(), input, weight, bias)
    check(what, activation)
    if activation is not None and not is_floating(input.dtype):
        raise DTypeError(message(f"{what}: an activation needs floats", lines(), "need a floating dtype"))
    return Spec((*input.shape[:-1], weight.shape[1]), input.dtype)


def _samples() -> list[Any]:
    smooth = [
        sample((7, 5), (5, 3), (3,), activation="gelu"),
        sample((7, 5), (5, 3), None, activation="silu"),
        sample((67, 71), (71, 73), (73,), activation="tanh"),
        sample((1, 1), (1, 1), (1,), activation="sigmoid"),
        sample((2, 3, 5), (5, 2), (2,), activation="softplus"),
        sample((5,), (5, 3), (3,)),
        sample((7, 5), (5, 3)),
        sample((0, 5), (5, 3), (3,), activation="gelu"),
        sample((4, 0), (0, 3), (3,), activation="gelu"),
        sample((531, 13), (13, 11), (11,), activation="mish"),  # long sums, which are split
        sample((70, 72), (72, 40), (40,), activation="gelu"),  # rows that bulk copies take
        sample((9, 8), (8, 16), None, activation="tanh"),
    ]
    kinked = ("relu", "leaky_relu", "elu", "relu6", "selu", "hardswish")
    weight, bias = (
        between(-0.2, 0.2, 6, 5),
        between(-0.2, 0.2, 5),
    )  # no value near the kinks at 3 and 6: they get rounded
    return smooth + [sample((9, 6), weight, bias, activation=name, smooth=False) for name in kinked]


@fused("dense", infer=infer, samples=_samples)
def dense(input: Array, weight: Array, bias: Array | None = None, *, activation: Activation = None) -> Array:
    """y = act(input @ weight + bias).

    Parameters
    ----------
    input : (..., in)
    weight : (in, out)
    bias : (out,), optional
    activation
        A name (PyTorch's functional names at PyTorch's defaults, such as ``"relu"`` or ``"gelu"``), or a
        callable, which is composed instead of fused.

    Returns
    -------
    (..., out)
        float16 and bfloat16 are summed in float32 and rounded once.

    Raises
    ------
    ShapeError
        If the features of input, weight and bias differ.
    DTypeError
        If their dtypes differ.
    ValueError
        If there is no activation of that name.

    Notes
    -----
    Derivative: first order by a backward kernel, higher orders by the composition.  Kernel: product_thin.cu (at most 8
    rows or features), product_double.cu (float64 on tensor cores), product_sm90.cu and product_mma.cu (16-bit floats
    and, as bfloat16 planes, float32), else dense.cu: bias and activation in the product's epilogue.  Backward:
    ``dz = g act'`` in the epilogue of the next layer's backward where it is dense too, else in a pass that also sums
    its columns (planes.cu), or in the loads of the products (dense.cu).

    Examples
    --------
    >>> import numpy as np
    >>> dense(np.array([[1.0, 2.0]]), np.array([[3.0], [-4.0]]), np.array([1.0]), activation="relu")
    array([[0.]])
    """
    if callable(activation):
        return activation(dense(input, weight, bias, activation=None))
    y = matmul(input, weight)
    return activate(y if bias is None else op.add(y, bias), activation)


@dense.kernel("cuda", planned=True)
def _launch(input: Array, weight: Array, bias: Array | None, *, activation: Activation, save: bool) -> Any:
    out = dense_launch.forward(input, weight, bias, activation, save)
    return with_saved(out, activation, save)


@dense.backward.kernel("cuda", planned=True)
def _launch_backward(
    input: Array,
    weight: Array,
    bias: Array | None,
    g: Array,
    *residuals: Array,
    activation: Activation,
    needs: tuple[bool, ...],
) -> Any:
    if activation is not None and not residuals:
        return NotImplemented
    return dense_launch.backward(input, weight, g, residuals[0] if residuals else None, activation, needs)


dense.chain = Chain(dense_chain.slope, dense_chain.backward, adds=1)
op.register(dense=dense)
