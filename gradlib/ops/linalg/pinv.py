"""What singular values decide: the pseudoinverse, the rank, least squares, the condition number."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...core import leaf, op, sample, zeros_as
from ...errors import ShapeError, message, operand
from ...spec import Spec, broadcast_shapes, real_of
from ..arithmetic import add, multiply, subtract
from ..comparisons import greater
from ..complex_parts import conj, real
from ..operands import of_arrays, widened
from ..reduce import max as largest
from ..reduce import sum as total
from ..shape import broadcast_to, matrix_transpose, reshape
from .host import DIVERGED, check_inexact, check_matrix, lapack
from .parts import adjoint, product
from .samples import of_rank, regular
from .svd import svdvals

__all__ = ["LstsqResult", "lstsq", "matrix_rank", "pinv"]

Array = Any


class LstsqResult(NamedTuple):
    """A solution, what it leaves, and what the matrix is like."""

    solution: Any
    residuals: Any
    rank: Any
    singular_values: Any


def _infer_pinv(x: Spec, rtol: Spec) -> Spec:
    *batch, m, n = check_matrix("pinv(x)", x).shape
    return Spec((*batch, n, m), x.dtype)


def _pinv_vjp(g: Array, ans: Array, x: Array, rtol: Any) -> Array:
    """D(Y)[H] = -Y H Y + Y Y^H H^H (1 - X Y) + (1 - Y X) H^H Y^H Y, as long as the rank does not change."""
    y, g_t = ans, matrix_transpose(g)
    right = subtract(g_t, product(x, y, g_t))  # (1 - X Y) G^T
    left = subtract(g_t, product(g_t, y, x))  # G^T (1 - Y X)
    others = add(product(right, y, adjoint(y)), product(adjoint(y), y, left))
    transposed = matrix_transpose(y)
    return subtract(conj(others), product(transposed, g, transposed))


@leaf(
    "pinv",
    infer=_infer_pinv,
    vjp=(_pinv_vjp, lambda g, ans, x, rtol: zeros_as(g, shape=rtol.shape, dtype=rtol.dtype)),
    saves=("x ans", ""),
    wide=True,
    complex=True,
    samples=lambda: [
        sample(regular(3, 3), np.full((), 1e-3)),
        sample(regular(2, 5, 3), np.full(2, 1e-3)),
        sample(regular(2, 4), np.full((), 1e-3)),
        sample(of_rank(2, 4, 3), np.full((), 1e-3), smooth=False),  # a step to any side is one to another rank
        sample((0, 2, 3), np.full(0, 1e-3)),
        sample((3, 0), np.full((), 1e-3)),
    ],
)
def _pinv(xp: Any, x: Array, rtol: Array) -> Array:
    """Y with X Y X = X and Y X Y = Y, X Y and Y X Hermitian; singular values up to rtol times the largest are 0."""
    if 0 in x.shape[-2:]:
        return xp.zeros((*x.shape[:-2], x.shape[-1], x.shape[-2]), x.dtype)
    u, s, vh = lapack(xp, "pinv(x)", DIVERGED, lambda x: xp.linalg.svd(x, full_matrices=False), x)
    kept = s > rtol.astype(s.dtype)[..., None] * s[..., :1]
    inverse = xp.where(kept, 1 / xp.where(kept, s, xp.ones((), s.dtype)), xp.zeros((), s.dtype))
    return xp.matmul(vh.conj().swapaxes(-1, -2) * inverse[..., None, :], u.conj().swapaxes(-1, -2))


def _relative(x: Any, rtol: Any) -> Any:
    """Return the tolerance of each matrix: by default the larger size times the rounding error of the dtype."""
    dtype = real_of(x.dtype)
    if rtol is None:
        rtol = max(x.shape[-2:]) * float(np.finfo(dtype).eps)
    if isinstance(rtol, (int, float)):
        rtol = np.asarray(rtol, dtype)
    rtol = op.cast(rtol, dtype)
    return broadcast_to(rtol, tuple(x.shape[:-2]))


@of_arrays
@widened
def pinv(x: Any, /, *, rtol: Any = None) -> Any:
    """Y = X^+, the pseudoinverse of Moore and Penrose: X Y X = X and Y X Y = Y, X Y and Y X Hermitian.

    Parameters
    ----------
    x : (..., m, n), floating or complex.
    rtol : singular values up to `rtol` times the largest count as 0: a number, or one for each matrix, (...).
        By default max(m, n) times the machine epsilon of the dtype.

    Returns
    -------
    (..., n, m) : of the same dtype.

    Raises
    ------
    ShapeError : x has fewer than two axes.
    DTypeError : integers or booleans.
    LinAlgError : the singular values were not found: x is not finite.

    Notes
    -----
    Derivative: every order, along matrices of the same rank.  Kernel: LAPACK, cuSOLVER on ``cuda``.

    Source: G. Golub and V. Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems whose
    variables separate", 1973, equation 4.12.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.linalg.pinv(gl.tensor([[2.0, 0.0], [0.0, 0.0]])).numpy().round(5)
    array([[0.5, 0. ],
           [0. , 0. ]], dtype=float32)
    """
    check_matrix("pinv(x)", x)
    return _pinv(x, _relative(x, rtol))


@of_arrays
@widened
def matrix_rank(x: Any, /, *, rtol: Any = None) -> Any:
    """y = how many singular values are larger than rtol times the largest.

    Parameters
    ----------
    x : (..., m, n), floating or complex.
    rtol : a number, or one for each matrix, (...); by default max(m, n) times the machine epsilon of the dtype.

    Returns
    -------
    (...) : int64.

    Raises
    ------
    ShapeError, DTypeError, LinAlgError : as `pinv`.

    Notes
    -----
    Derivative: none, it is an integer.  Kernel: LAPACK, cuSOLVER on ``cuda``.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.linalg.matrix_rank(gl.tensor([[1.0, 2.0], [2.0, 4.0]]))
    tensor(1, dtype=int64)
    """
    check_matrix("matrix_rank(x)", x)
    return _rank(x, svdvals(x), rtol)


def _rank(x: Any, s: Any, rtol: Any) -> Any:
    if s.shape[-1] == 0:
        return total(greater(s, 0.0), axis=-1)
    limit = multiply(largest(s, axis=-1, keepdims=True), reshape(_relative(x, rtol), (*x.shape[:-2], 1)))
    return total(greater(s, limit), axis=-1)


@of_arrays
@widened
def lstsq(x1: Any, x2: Any, /, *, rtol: Any = None) -> LstsqResult:
    """X that minimises ||x1 X - x2||, the smallest such X where there are several.

    Parameters
    ----------
    x1 : (..., m, n), floating or complex.
    x2 : (m,), or (..., m, k), whose columns are k right hand sides.  Batch dimensions broadcast.
    rtol : as in `pinv`.

    Returns
    -------
    LstsqResult : ``solution`` (n,) or (..., n, k); ``residuals``, the sum of squares left, () or (..., k);
        ``rank`` of x1 (...), int64; ``singular_values`` of x1 (..., min(m, n)).

    Raises
    ------
    ShapeError : the shapes do not fit.
    DTypeError : integers or booleans.
    LinAlgError : the singular values were not found: x1 is not finite.

    Notes
    -----
    Derivative: every order, along matrices of the same rank.  Kernel: composition over `pinv`.
    (NumPy leaves the residuals out where x1 is not of full rank or not tall.)

    Examples
    --------
    >>> import gradlib as gl
    >>> line = gl.tensor([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]], dtype="float64")
    >>> gl.linalg.lstsq(line, gl.tensor([1.0, 3.0, 5.0], dtype="float64")).solution.numpy().round(6)
    array([2., 1.])
    """
    call = "lstsq(x1, x2)"
    check_inexact(call, x1=x1, x2=x2)
    check_matrix(call, x1, "x1")
    b = reshape(x2, (*x2.shape, 1)) if x2.ndim == 1 else x2
    if b.ndim < 2 or b.shape[-2] != x1.shape[-2]:
        lines = [operand("x1", x1, "..., m, n"), operand("x2", x2, "..., m, k")]
        got = f"{b.shape[-2]} rows" if b.ndim > 1 else f"{b.ndim} axes"
        raise ShapeError(message(f"{call}: x1 has {x1.shape[-2]} rows, x2 has {got}", lines, "need as many rows"))
    broadcast_shapes(call, tuple(x1.shape[:-2]), tuple(b.shape[:-2]))
    s = svdvals(x1)
    solution = product(pinv(x1, rtol=rtol), b)
    left = subtract(product(x1, solution), b)
    residuals = total(real(multiply(left, conj(left))), axis=-2)
    if x2.ndim == 1:
        solution, residuals = reshape(solution, tuple(solution.shape[:-1])), reshape(residuals, residuals.shape[:-1])
    return LstsqResult(solution, residuals, _rank(x1, s, rtol), s)
