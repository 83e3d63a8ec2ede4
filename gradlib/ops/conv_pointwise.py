"""Convolutions of one tap, stride 1 and no padding as what they are: plain products of (places, channels)."""

from __future__ import annotations

from typing import Any

from .. import backend as backends
from ..spec import float32
from .activation import Activation
from .conv_host import Ints
from .product.front import passes, planes_of, prepared, product, worthwhile
from .product.moments import apart
from .product.patches import Window
from .product.planes import gradient
from .product.problem import BEFORE, Matrix, Outputs, Problem, Steps, Totals

__all__ = ["data_gradient", "dz_of", "forward", "goes", "weight_gradient"]

Array = Any


def goes(x: Array, channels: int, features: int, window: Window, size: Ints, out: Ints, places: int) -> bool:
    """Whether a convolution is a plain product that should go to tensor cores."""
    ones = (1,) * len(size)
    plain = window.kernel == ones and window.stride == ones and size == out and not any(window.before)
    return plain and window.groups == 1 and worthwhile(x, places, features, channels)


def _rows(x: Array) -> Array:
    return x.reshape(1, -1, x.shape[-1])


def _filters(w: Array) -> Matrix:
    found = prepared(Matrix(w.reshape(1, *w.shape[-2:])))
    assert found is not None  # launchers get contiguous arrays
    return found


def _images(x: Array) -> Matrix:
    found = prepared(Matrix(_rows(x)))
    assert found is not None
    return found


def forward(x: Array, w: Array, out: Outputs, activation: str | None, moments: bool) -> Totals | None:
    """Compute out.y = act(scale x w + bias + residual); return its moments, as `patches.convolve` does."""
    steps = Steps(out.bias is not None, out.scale is not None, activation, out.z is not None, moments=moments,
                  residual=BEFORE if out.residual is not None else 0)  # fmt: skip
    z, residual = (None if a is None else _rows(a) for a in (out.z, out.residual))
    problem = _problem(out.y.size // w.shape[-1], w.shape[-1], w.shape[-2], x, out.y)._replace(steps=steps)
    limits = backends.backend_of(x).limits
    if moments and apart(problem, limits.multiprocessors, hopper=limits.architecture == "sm_90a"):
        problem = problem._replace(steps=steps._replace(moments=False))
    return product(problem, _images(x), _filters(w), out._replace(y=_rows(out.y), z=z, residual=residual))


def dz_of(g: Array, s: Array | None, activation: Activation) -> tuple[Matrix, Array | None]:
    """Return dz = g act'(s), and its column sums: None where no pass over g was needed."""
    if activation is None and g.dtype != float32:
        return _images(g), None
    return gradient(_rows(g), None if s is None else _rows(s), activation, planes_of(g))  # type: ignore[arg-type]


def data_gradient(dz: Matrix, w: Array, out: Outputs, activation: str | None = None) -> None:
    """Compute out.y = act(dz w^T + bias)."""
    channels, features = w.shape[-2:]
    steps = Steps(out.bias is not None, False, activation, out.z is not None)
    problem = _problem(out.y.size // channels, channels, features, out.y, out.y)
    z = None if out.z is None else _rows(out.z)
    product(problem._replace(b_transposed=True, steps=steps), dz, _filters(w)._replace(transposed=True),
            out._replace(y=_rows(out.y), z=z))  # fmt: skip


def weight_gradient(x: Array, dz: Matrix, dw: Array) -> None:
    """Compute dw = x^T dz."""
    channels, features = dw.shape[-2:]
    problem = _problem(channels, features, x.size // channels, x, dw)._replace(a_transposed=True)
    product(problem, _images(x)._replace(transposed=True), dz, Outputs(dw.reshape(1, channels, features)))


def _problem(m: int, n: int, k: int, operand: Array, y: Array) -> Problem:
    return Problem(m, n, k, 1, passes(operand), y.dtype.itemsize)
