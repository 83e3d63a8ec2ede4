"""The gradients of convolutions as functions, for those who write their own backward pass; users reach them as `F`.

They take plain arrays, as everything in `nn.functional` does, or Tensors, through which they are differentiable again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import ShapeError, message, operand
from ..ops.conv_arguments import Padding, Size, window_arguments
from ..ops.conv_triad import data_gradient, infer, weight_gradient
from ..ops.operands import of_arrays
from ..spec import Spec
from .functional_spatial import sizes_of

__all__ = [
    "conv1d_input_gradient",
    "conv1d_weight_gradient",
    "conv2d_input_gradient",
    "conv2d_weight_gradient",
    "conv3d_input_gradient",
    "conv3d_weight_gradient",
]

Array = Any


def _check(name: str, grad: Array, input: tuple[int, ...], weight: tuple[int, ...], window: dict[str, Any]) -> None:
    """Refuse a gradient that is not that of the convolution of arrays of these shapes."""
    y = infer(Spec(input, grad.dtype), Spec(weight, grad.dtype), **window)
    if tuple(grad.shape) != y.shape:
        lines = [operand("grad", grad, "as the result of the convolution")]
        raise ShapeError(
            message(f"{name}: grad has shape {tuple(grad.shape)}, the convolution gives {y.shape}", lines,
                    f"need grad.shape == {y.shape}")
        )  # fmt: skip


@of_arrays
def _input_gradient(
    grad: Array, weight: Array, ndim: int, input_size: Size, stride: Size, padding: Padding, dilation: Size, groups: int
) -> Array:
    name = f"conv{ndim}d_input_gradient(grad, weight, input_size)"
    size = sizes_of(name, "input_size", input_size, ndim)
    kernel, channels = tuple(weight.shape[:-2]), weight.shape[-2] * groups
    window = {**window_arguments(name, ndim, kernel, stride, padding, dilation), "groups": groups}
    _check(name, grad, (grad.shape[0], *size, channels), tuple(weight.shape), window)
    return data_gradient(grad, weight, size=size, **window)


@of_arrays
def _weight_gradient(
    input: Array, grad: Array, ndim: int, kernel_size: Size, stride: Size, padding: Padding, dilation: Size, groups: int
) -> Array:
    name = f"conv{ndim}d_weight_gradient(input, grad, kernel_size)"
    kernel = sizes_of(name, "kernel_size", kernel_size, ndim)
    window = {**window_arguments(name, ndim, kernel, stride, padding, dilation), "groups": groups}
    shape = (*kernel, input.shape[-1] // max(groups, 1), grad.shape[-1])
    _check(name, grad, tuple(input.shape), shape, window)
    return weight_gradient(input, grad, kernel=kernel, **window)


def conv2d_input_gradient(
    grad: Array,
    weight: Array,
    input_size: int | Sequence[int],
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Array:
    """dx = the gradient of ``sum(grad * conv2d(input, weight, ...))`` in the input, which is not needed for it.

    dx[b, h, w, c] sums grad[b, p, q, k] weight[r, s, c, k] over every place (p, q) and tap (r, s) that read (h, w).

    Shapes: grad (batch, h', w', out), as the result; weight (kh, kw, in / groups, out); `input_size` (height, width);
    result (batch, height, width, in).  The window's arguments are those of `conv2d`.  Also a transposed convolution.
    Raises: ShapeError, DTypeError.  Derivative: every order.  Kernel: ``conv_sm90.cu``, ``conv_mma.cu``, ``conv2d.cu``.

    >>> import numpy as np
    >>> conv2d_input_gradient(np.ones((1, 2, 2, 1)), np.ones((2, 2, 1, 1)), (3, 3))[0, :, :, 0]
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    return _input_gradient(grad, weight, 2, input_size, stride, padding, dilation, groups)


def conv2d_weight_gradient(
    input: Array,
    grad: Array,
    kernel_size: int | Sequence[int],
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Array:
    """dw = the gradient of ``sum(grad * conv2d(input, weight, ...))`` in the weight, which is not needed for it.

    dw[r, s, c, k] sums input[b, p stride + r dilation - padding, q stride + s dilation - padding, c] grad[b, p, q, k]
    over all images and places.

    Shapes: input (batch, height, width, in); grad (batch, h', w', out), as the result; `kernel_size` an int or
    (kh, kw); result (kh, kw, in / groups, out).  The window's arguments are those of `conv2d`.  The bias's gradient is
    ``grad.sum((0, 1, 2))``.
    Raises: ShapeError, DTypeError.  Derivative: every order.
    Kernel: ``conv_weights_sm90.cu``, ``conv_weights_mma.cu``, ``conv2d.cu``.

    >>> import numpy as np
    >>> conv2d_weight_gradient(np.arange(9.0).reshape(1, 3, 3, 1), np.ones((1, 2, 2, 1)), 2)[:, :, 0, 0]
    array([[ 8., 12.],
           [20., 24.]])
    """
    return _weight_gradient(input, grad, 2, kernel_size, stride, padding, dilation, groups)


def conv1d_input_gradient(
    grad: Array,
    weight: Array,
    input_size: int | Sequence[int],
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Array:
    """dx = the gradient of ``sum(grad * conv1d(input, weight, ...))`` in an input of size (length).

    Everything else is as in `conv2d_input_gradient`.

    >>> import numpy as np
    >>> conv1d_input_gradient(np.ones((1, 2, 1)), np.ones((2, 1, 1)), 3).ravel()
    array([1., 2., 1.])
    """
    return _input_gradient(grad, weight, 1, input_size, stride, padding, dilation, groups)


def conv1d_weight_gradient(
    input: Array,
    grad: Array,
    kernel_size: int | Sequence[int],
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Array:
    """dw = the gradient of ``sum(grad * conv1d(input, weight, ...))`` in a weight of this kernel size.

    Everything else is as in `conv2d_weight_gradient`.

    >>> import numpy as np
    >>> conv1d_weight_gradient(np.arange(3.0).reshape(1, 3, 1), np.ones((1, 2, 1)), 2).ravel()
    array([1., 3.])
    """
    return _weight_gradient(input, grad, 1, kernel_size, stride, padding, dilation, groups)


def conv3d_input_gradient(
    grad: Array,
    weight: Array,
    input_size: int | Sequence[int],
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Array:
    """dx = the gradient of ``sum(grad * conv3d(input, weight, ...))`` in an input of size (depth, height, width).

    Everything else is as in `conv2d_input_gradient`.

    >>> import numpy as np
    >>> conv3d_input_gradient(np.ones((1, 1, 1, 2, 1)), np.ones((1, 1, 2, 1, 1)), (1, 1, 3)).ravel()
    array([1., 2., 1.])
    """
    return _input_gradient(grad, weight, 3, input_size, stride, padding, dilation, groups)


def conv3d_weight_gradient(
    input: Array,
    grad: Array,
    kernel_size: int | Sequence[int],
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Array:
    """dw = the gradient of ``sum(grad * conv3d(input, weight, ...))`` in a weight of this kernel size.

    Everything else is as in `conv2d_weight_gradient`.

    >>> import numpy as np
    >>> conv3d_weight_gradient(np.ones((1, 1, 1, 3, 1)), np.ones((1, 1, 1, 2, 1)), (1, 1, 2)).ravel()
    array([2., 2.])
    """
    return _weight_gradient(input, grad, 3, kernel_size, stride, padding, dilation, groups)
