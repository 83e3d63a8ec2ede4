"""A batch normalisation of known statistics as scale and shift, which the op before it can take in."""

from __future__ import annotations

from typing import Any

from ..core import between, fused, op, sample
from ..errors import DTypeError, ShapeError, message, operand
from ..spec import Spec, is_floating
from . import norm_launch

__all__ = ["batch_norm_fold"]

Array = Any


def _infer(
    mean: Spec, var: Spec, weight: Spec | None = None, bias: Spec | None = None, *, eps: float, dtype: Any = None
) -> tuple[Spec, Spec]:
    given = {"mean": mean, "var": var, "weight": weight, "bias": bias}
    lines = [operand(name, spec, "channels") for name, spec in given.items() if spec is not None]
    if len(mean.shape) != 1 or any(spec is not None and spec.shape != mean.shape for spec in given.values()):
        what = "batch_norm_fold(mean, var, weight, bias): the shapes differ, or have more than one axis"
        raise ShapeError(message(what, lines, "need (channels,) of each"))
    if not all(is_floating(spec.dtype) for spec in given.values() if spec is not None):
        raise DTypeError(message("batch_norm_fold(mean, var, weight, bias): not floating", lines, "need floats"))
    spec = Spec(mean.shape, mean.dtype if dtype is None else dtype)
    return spec, spec


def _samples() -> list[Any]:
    return [
        sample((5,), between(0.5, 2, 5), (5,), (5,), eps=1e-5),
        sample((300,), between(0.5, 2, 300), None, (300,), eps=1e-3),
        sample((1,), between(0.5, 2, 1), (1,), None, eps=1e-5),
    ]


@fused("batch_norm_fold", infer=_infer, samples=_samples, outputs=2)
def batch_norm_fold(
    mean: Array,
    var: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    *,
    eps: float = 1e-5,
    dtype: Any = None,
) -> tuple[Array, Array]:
    """scale = weight / sqrt(var + eps) and shift = bias - mean scale: batch_norm_inference(x) = x scale + shift.

    In `dtype`, by default that of mean, rounded once.
    Shapes: all (channels,).  Dtypes: floating.  Raises: ShapeError, DTypeError.
    Derivative: every order, by the composition.  Kernel: ``batch_norm.cu``.
    """
    dtype = mean.dtype if dtype is None else dtype
    rstd = op.divide(1.0, op.sqrt(op.add(var, eps)))
    scale = rstd if weight is None else op.multiply(rstd, weight)
    shift = op.negative(op.multiply(mean, scale))
    shift = shift if bias is None else op.add(shift, bias)
    return op.cast(scale, dtype=dtype), op.cast(shift, dtype=dtype)


@batch_norm_fold.kernel("cuda", planned=True)
def _(mean: Array, var: Array, weight: Array | None, bias: Array | None, *, eps: float, dtype: Any) -> Any:
    return norm_launch.fold(mean, var, weight, bias, eps, mean.dtype if dtype is None else dtype)


op.register(batch_norm_fold=batch_norm_fold)
