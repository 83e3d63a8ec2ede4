"""What is done to parameters and gradients as a whole: clipping, and one vector of all of them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ...core import Tensor, no_grad, op
from ...errors import DTypeError, GradientError, ShapeError
from ...ops import tensors as tensors_
from ..module import Module

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_total_norm",
    "parameters_to_vector",
    "vector_to_parameters",
]

Parameters = Module | Tensor | Iterable[Tensor]


def _listed(parameters: Parameters) -> list[Tensor]:
    if isinstance(parameters, Module):
        return list(parameters.parameters())
    if isinstance(parameters, Tensor):
        return [parameters]
    several = list(parameters) if isinstance(parameters, Iterable) else [parameters]
    for i, p in enumerate(several):
        if not isinstance(p, Tensor):
            kind = type(p).__name__
            raise DTypeError(
                f"nn.utils: parameters[{i}] is of type {kind}\n  need a Module, a Tensor or some: model.parameters()"
            )
    return several


def _with_gradients(parameters: Parameters) -> tuple[list[Tensor], list[Any]]:
    several = _listed(parameters)
    return [p for p in several if p.grad is not None], [p.grad.data for p in several if p.grad is not None]


def get_total_norm(tensors: Parameters, norm_type: float = 2.0, error_if_nonfinite: bool = False) -> Tensor:
    """(sum of |x|^p)^(1/p) over all elements of all tensors; the largest |x| for ``norm_type=math.inf``.

    Shapes: any; result ().  Dtypes: float16 and bfloat16 are summed in float32.
    Kernel: ``tensors.cu``, a launch for each dtype and one more.
    Raises: ValueError unless norm_type > 0; with `error_if_nonfinite` GradientError for a norm that is not finite.

    >>> import gradlib as gl
    >>> get_total_norm([gl.tensor([3.0]), gl.tensor([[4.0]])])
    tensor(5., dtype=float32)
    """
    with no_grad():
        total = Tensor(tensors_.total_norm([t.data for t in _listed(tensors)], norm_type))
    if error_if_nonfinite and not math.isfinite(float(total)):
        raise GradientError(f"clip_grad_norm_: the gradients' norm is {float(total)}\n  need a finite norm")
    return total


def clip_grads_with_norm_(parameters: Parameters, max_norm: float, total_norm: Tensor) -> None:
    """g <- g min(1, max_norm / (total_norm + 1e-6)) for every gradient.  Kernel: ``tensors.cu``, for all at once.

    >>> import gradlib as gl
    >>> p = gl.nn.Parameter(gl.tensor([3.0, 4.0]))
    >>> p.grad = gl.tensor([3.0, 4.0])
    >>> clip_grads_with_norm_([p], 2.5, get_total_norm([p.grad]))
    >>> [round(x, 4) for x in p.grad.tolist()]
    [1.5, 2.0]
    """
    with no_grad():
        several, grads = _with_gradients(parameters)
        for p, grad in zip(several, tensors_.scaled_to_norm(grads, max_norm, total_norm.data), strict=True):
            p.grad = Tensor(grad)


def clip_grad_norm_(
    parameters: Parameters, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """g <- g min(1, max_norm / (|g| + 1e-6)), |g| the norm of all gradients together; return |g|.

    `parameters` is a Module, a Tensor, or some; those without a gradient count for nothing.  `norm_type` and
    errors are those of `get_total_norm`.  No value is read on the host.

    Examples
    --------
    >>> import gradlib as gl
    >>> p = gl.nn.Parameter(gl.tensor([3.0, 4.0]))
    >>> (p * p / 2).sum().backward()
    >>> gl.nn.utils.clip_grad_norm_([p], 1.0)
    tensor(5., dtype=float32)
    >>> [round(x, 4) for x in p.grad.tolist()]
    [0.6, 0.8]
    """
    if not max_norm >= 0:  # the gradients would change their sign
        raise ValueError(f"clip_grad_norm_(max_norm): max_norm is {max_norm}\n  need a number of at least 0")
    several = _listed(parameters)
    total = get_total_norm([p.grad for p in several if p.grad is not None], norm_type, error_if_nonfinite)
    clip_grads_with_norm_(several, max_norm, total)
    return total


def clip_grad_value_(parameters: Parameters, clip_value: float) -> None:
    """g <- min(max(g, -clip_value), clip_value), elementwise.  Kernel: ``tensors.cu``, for all at once.

    >>> import gradlib as gl
    >>> p = gl.nn.Parameter(gl.tensor([3.0, -0.25]))
    >>> (p * p / 2).sum().backward()
    >>> gl.nn.utils.clip_grad_value_([p], 1.0)
    >>> p.grad.tolist()
    [1.0, -0.25]
    """
    if not clip_value >= 0:
        raise ValueError(f"clip_grad_value_(clip_value): clip_value is {clip_value}\n  need a number of at least 0")
    with no_grad():
        several, grads = _with_gradients(parameters)
        for p, grad in zip(several, tensors_.clamped(grads, clip_value), strict=True):
            p.grad = Tensor(grad)


def parameters_to_vector(parameters: Parameters) -> Any:
    """Return all elements as one vector, differentiably.

    >>> import gradlib as gl
    >>> parameters_to_vector([gl.tensor([[1.0, 2.0]]), gl.tensor(3.0)]).tolist()
    [1.0, 2.0, 3.0]
    """
    return op.concat([op.reshape(p, shape=(-1,)) for p in _listed(parameters)])


def vector_to_parameters(vec: Tensor, parameters: Parameters) -> None:
    """Overwrite the parameters with the elements of a vector, in order.

    Raises: ShapeError for a vector of another size.

    >>> import gradlib as gl
    >>> p = gl.nn.Parameter(gl.zeros((2, 1)))
    >>> vector_to_parameters(gl.tensor([1.0, 2.0]), [p])
    >>> p.tolist()
    [[1.0], [2.0]]
    """
    several = _listed(parameters)
    size = sum(p.size for p in several)
    if tuple(vec.shape) != (size,):
        raise ShapeError(f"vector_to_parameters: vec has shape {tuple(vec.shape)}\n  need ({size},)")
    start = 0
    for p in several:
        p.assign(op.reshape(vec.detach()[start : start + p.size], shape=p.shape))
        start += p.size
