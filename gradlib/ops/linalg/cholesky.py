"""The Cholesky factor."""

from __future__ import annotations

from typing import Any

from ...core import leaf, op, sample
from ..along import tril
from ..arithmetic import multiply, subtract
from ..operands import of_arrays, widened
from ..shape import matrix_transpose
from .host import INDEFINITE, lapack, square
from .parts import adjoint, hermitian, product
from .samples import definite
from .solve import solve_each

__all__ = ["cholesky"]

Array = Any


def _cholesky_vjp(g: Array, ans: Array, x: Any) -> Array:
    """D(L)[H] = L Phi(L^-1 H L^-H), Phi the lower triangle with half the diagonal, for the Hermitian part H.

    So H gets the Hermitian part of L^-T Phi(L^T G) conj(L)^-1.  L^T is an upper triangle, which LU leaves as it is.
    """
    k = product(matrix_transpose(ans), g)
    diagonal = op.diagonal_matrix(op.diagonal(k, offset=0), offset=0, shape=k.shape[-2:])
    phi = subtract(tril(k), multiply(diagonal, 0.5))
    left = solve_each(matrix_transpose(ans), phi)
    return hermitian(adjoint(solve_each(matrix_transpose(ans), adjoint(left))))


@leaf(
    "cholesky",
    infer=square("cholesky(x)"),
    vjp=(_cholesky_vjp,),
    saves=("ans",),
    wide=True,
    complex=True,
    samples=lambda: [sample(definite(3, 3)), sample(definite(2, 5, 5)), sample(definite(1, 1)), sample((0, 2, 2))],
)
def _cholesky(xp: Any, x: Array) -> Array:
    """L, lower triangular with a positive diagonal, with L L^H = (x + x^H) / 2."""
    return lapack(xp, "cholesky(x)", INDEFINITE, xp.linalg.cholesky, (x + x.conj().swapaxes(-1, -2)) * 0.5)


@of_arrays
@widened
def cholesky(x: Any, /, *, upper: bool = False) -> Any:
    """L with L L^H = x, lower triangular with a positive diagonal; the upper factor L^H if `upper`.

    Parameters
    ----------
    x : (..., n, n), symmetric or Hermitian, positive definite.  Of another matrix, the part (x + x^H) / 2 is factored.
    upper : whether the result is U with U^H U = x.

    Returns
    -------
    (..., n, n) : of the same dtype; zero in the other triangle.

    Raises
    ------
    ShapeError : the matrices are not square.
    DTypeError : integers or booleans.
    LinAlgError : a matrix is not positive definite; the message says which.

    Notes
    -----
    Derivative: every order; the gradient is Hermitian.  Kernel: LAPACK, cuSOLVER on ``cuda``.

    Source: I. Murray, "Differentiation of the Cholesky decomposition", 2016, equations 8 to 10.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.linalg.cholesky(gl.tensor([[4.0, 2.0], [2.0, 5.0]]))
    tensor([[2., 0.],
            [1., 2.]], dtype=float32)
    """
    factor = _cholesky(x)
    return adjoint(factor) if upper else factor


op.register(cholesky=cholesky)
