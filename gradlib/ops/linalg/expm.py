"""The exponential of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core import Tensor, leaf, op, sample
from ..arithmetic import divide, multiply
from ..comparisons import equal, where
from ..join import concat
from ..operands import of_arrays, widened
from ..order import abs as magnitude
from ..reduce import max as largest
from ..reduce import sum as total
from ..shape import matrix_transpose
from .host import require, square
from .parts import columns, rows
from .samples import regular

__all__ = ["expm"]

Array = Any

# The approximation of degree 13 by Pade, good to double precision up to this 1-norm.
_LIMIT = 5.371920351148152
_PADE = (
    64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0, 129060195264000.0,
    10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0, 40840800.0, 960960.0, 16380.0, 182.0, 1.0,
)  # fmt: skip


def _expm_vjp(g: Array, ans: Any, x: Array) -> Array:
    """D(exp)(X)[H] stands beside exp(X) in the exponential of [[X, H], [0, X]], and its transpose is that at X^T.

    It is linear in H, so G is brought to the size 1 before and back after: the size of X alone shall decide how often
    the approximation is squared.
    """
    t = matrix_transpose(x)
    size = largest(total(magnitude(g.detach() if isinstance(g, Tensor) else g), axis=-2, keepdims=True),
                   axis=(-2, -1), keepdims=True)  # fmt: skip
    size = where(equal(size, 0.0), 1.0, size)
    n = x.shape[-1]
    above = concat([t, divide(g, size)], axis=-1)
    below = concat([op.zeros_like(t), t], axis=-1)
    y = _expm(concat([above, below], axis=-2))
    return multiply(columns(rows(y, None, n), n, None), size)


@leaf(
    "expm",
    infer=square("expm(x)"),
    vjp=(_expm_vjp,),
    saves=("x",),
    wide=True,
    complex=True,
    samples=lambda: [
        sample((3, 3)),
        sample(regular(2, 4, 4)),
        sample(lambda rng: 9.0 * rng.standard_normal((3, 3)) @ np.diag([1.0, -1.0, 0.1])),
        sample((1, 1)),
        sample((0, 2, 2)),
    ],
)
def _expm(xp: Any, x: Array) -> Array:
    """The sum over k of X^k / k!: approximated for X / 2^s and squared s times, s for each matrix its own."""
    if x.size == 0:
        return xp.zeros_like(x)
    require(xp, "expm(x)", "cuSOLVER")
    size = abs(x).sum(-2).max(-1)
    ratio = xp.where(xp.isfinite(size), size, xp.zeros((), size.dtype)) / _LIMIT
    times = xp.ceil(xp.log2(xp.maximum(ratio, xp.ones((), size.dtype)))).astype(int)[..., None, None]
    a = x / (2.0**times).astype(size.dtype)
    b = [c / _PADE[0] for c in _PADE]  # so that nothing overflows in float32
    a2 = xp.matmul(a, a)
    a4 = xp.matmul(a2, a2)
    a6 = xp.matmul(a2, a4)
    one = xp.eye(x.shape[-1], dtype=x.dtype)
    odd = xp.matmul(a6, b[13] * a6 + b[11] * a4 + b[9] * a2) + b[7] * a6 + b[5] * a4 + b[3] * a2 + b[1] * one
    even = xp.matmul(a6, b[12] * a6 + b[10] * a4 + b[8] * a2) + b[6] * a6 + b[4] * a4 + b[2] * a2 + one
    odd = xp.matmul(a, odd)
    y = xp.linalg.solve(even - odd, even + odd)  # never singular, as a is small
    for i in range(int(times.max())):
        y = xp.where(times > i, xp.matmul(y, y), y)
    return y


@of_arrays
@widened
def expm(x: Any, /) -> Any:
    """Y = exp(X), the sum over k of X^k / k!, of each matrix of the batch.

    Parameters
    ----------
    x : (..., n, n), floating or complex.

    Returns
    -------
    (..., n, n) : of the same dtype.

    Raises
    ------
    ShapeError : the matrices are not square.
    DTypeError : integers or booleans.

    Notes
    -----
    Derivative: every order, each by the exponential of a matrix twice as large.  Kernel: scaling and squaring with
    NumPy's or CuPy's products and solver.

    Source: N. Higham, "The scaling and squaring method for the matrix exponential revisited", 2005; for the derivative
    R. Mathias, "A chain rule for matrix functions and applications", 1996, theorem 2.1.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.linalg.expm(gl.tensor([[0.0, 1.0], [0.0, 0.0]]))
    tensor([[1., 1.],
            [0., 1.]], dtype=float32)
    """
    return _expm(x)


op.register(expm=expm)
