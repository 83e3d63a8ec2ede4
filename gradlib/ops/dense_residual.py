"""The fully connected layer with what follows it in a residual block: dropout, and the sum with what went around."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import Chain, Saved, between, fused, op, sample
from ..errors import DTypeError, ShapeError, message, operand
from ..spec import Spec, check_one_dtype, is_floating
from . import dense_chain
from .activation import READS_OUTPUT, Activation, fusible
from .dense import dense
from .dense import infer as infer_dense
from .dense_launch import as_product, backward, room
from .dropout import dropout
from .random import check_key

__all__ = ["dense_residual"]

Array = Any

_CALL = "dense_residual(input, weight, bias, residual, key)"

# Of these the derivative reads the output before dropout and residual, which is nowhere; of the others that read the
# output it depends on signs alone, and the pre-activation has the same.
_READ_LOST = READS_OUTPUT & {"elu", "selu"}


def _infer(
    input: Spec,
    weight: Spec,
    bias: Spec | None,
    residual: Spec | None,
    key: Spec | None,
    *,
    activation: Activation,
    p: float,
) -> Spec:
    y = infer_dense(input, weight, bias, activation=activation)
    if residual is not None:
        lines = [operand("residual", residual), operand("output", y, "..., out")]
        if residual.shape != y.shape:
            raise ShapeError(
                message(f"{_CALL}: residual has another shape than the output", lines, "need equal shapes")
            )
        check_one_dtype(_CALL, lines, residual, y)
    if key is not None:
        check_key(_CALL, key)
        if not is_floating(input.dtype):
            raise DTypeError(
                message(f"{_CALL}: dropout needs floats", [operand("input", input)], "need a floating dtype")
            )
    if not 0 <= p <= 1:
        raise ShapeError(f"{_CALL}: p is {p}\n  need 0 <= p <= 1")
    return y


def _samples() -> list[Any]:
    key = np.array([5, 9], np.uint64)
    weight, bias = between(-0.2, 0.2, 5, 4), between(-0.2, 0.2, 4)
    return [
        sample((7, 5), (5, 3), (3,), (7, 3), None, activation=None, p=0.0),
        sample((7, 5), (5, 3), (3,), (7, 3), key, activation="gelu", p=0.3),
        sample((2, 3, 5), (5, 4), None, None, key, activation="tanh", p=0.5),
        sample((9, 5), weight, bias, (9, 4), key, activation="relu", p=0.5, smooth=False),
        sample((9, 5), weight, bias, (9, 4), None, activation="elu", p=0.0, smooth=False),
        sample((0, 5), (5, 3), (3,), (0, 3), None, activation=None, p=0.0),
    ]


@fused("dense_residual", infer=_infer, samples=_samples)
def dense_residual(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    residual: Array | None = None,
    key: Array | None = None,
    *,
    activation: Activation = None,
    p: float = 0.0,
) -> Array:
    """y = dropout(act(input @ weight + bias)) + residual.

    Shapes: input (..., in), weight (in, out), bias (out,), residual as the result (..., out), key ``uint64[2]`` (see
    `Generator.key`), without which nothing is dropped.  Dtypes: floating, one for all; 16-bit floats are summed in
    float32 and rounded once.  Raises: ShapeError, DTypeError, ValueError as `dense` does.

    Derivative: first order by the kernels of `dense`, higher orders by the composition.  Kernel: those of
    `dense` that end in finish.cuh, all of it in the product's epilogue; where `dense` takes dense.cu, a composition.
    """
    y = dense(input, weight, bias, activation=activation)
    if key is not None:
        y = dropout(y, key, p=p)
    return y if residual is None else op.add(y, residual)


@dense_residual.kernel("cuda", planned=True)
def _launch(
    input: Array,
    weight: Array,
    bias: Array | None,
    residual: Array | None,
    key: Array | None,
    *,
    activation: Activation,
    p: float,
    save: bool,
) -> Any:
    if not fusible(activation) or (save and activation in _READ_LOST):
        return NotImplemented
    y, z = room(input, weight, save and activation is not None)
    if not y.size or not as_product(input, weight, bias, y, z, activation, residual, key, p):
        return NotImplemented
    return y if z is None else Saved(y, (z,))


@dense_residual.backward.kernel("cuda", planned=True)
def _launch_backward(
    input: Array,
    weight: Array,
    bias: Array | None,
    residual: Array | None,
    key: Array | None,
    g: Array,
    *saved: Array,
    activation: Activation,
    p: float,
    needs: Sequence[bool],
) -> Any:
    if activation is not None and not saved:
        return NotImplemented
    kept = g if key is None else dropout(g, key, p=p)
    found = backward(input, weight, kept, saved[0] if saved else None, activation, needs)
    return found if found is NotImplemented else (*found, g if needs[3] else None, None)


dense_residual.chain = Chain(dense_chain.slope, dense_chain.backward, adds=1)
op.register(dense_residual=dense_residual)
