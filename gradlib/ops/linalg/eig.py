"""Eigenvalues and eigenvectors of matrices that need not be symmetric: complex, whatever the matrix is."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...core import leaf, op, sample
from ...spec import Spec, complex_of, is_complex
from ..arithmetic import add, multiply, subtract
from ..complex_parts import conj
from ..diagonal import matrix_of
from ..operands import of_arrays, widened
from ..shape import matrix_transpose
from .host import DIVERGED, check_matrix, lapack
from .parts import gaps, off_diagonal, product, ratio, row
from .samples import spread
from .solve import solve_each

__all__ = ["EigResult", "eig", "eigvals"]

Array = Any


class EigResult(NamedTuple):
    """``x @ eigenvectors == eigenvectors * eigenvalues``."""

    eigenvalues: Any
    eigenvectors: Any


def _of(x: Any, g: Array) -> Array:
    """Return the cotangent of x: real for a real matrix."""
    return g if is_complex(x.dtype) else op.real(g)


def _eig_vjp(gs: Any, ans: Any, x: Any) -> Array:
    """With P = V^-1 H V, F_ij = 1 / (w_j - w_i): D(w)[H] = diag P, D(V)[H] = V (F * P) + V diag(c).

    Columns keep their length 1: c_j = -Re(v_j^H V (F * P)_j).  H gets V^-T (diag(g_w) + F * (K - B diag(Re K_jj))) V^T
    with K = V^T G_V, B = V^T conj(V).
    """
    (g_w, g_v), (w, v) = gs, ans
    transposed = matrix_transpose(v)
    inner = None if g_w is None else matrix_of(g_w)
    if g_v is not None:
        k = product(transposed, g_v)
        lengths = op.real(op.diagonal(k, offset=0))
        turn = subtract(k, multiply(product(transposed, conj(v)), row(lengths)))
        turn = ratio(off_diagonal(turn), gaps(w))
        inner = turn if inner is None else add(inner, turn)
    return _of(x, solve_each(transposed, product(inner, transposed)))


def _infer_eig(x: Spec) -> tuple[Spec, Spec]:
    check_matrix("eig(x)", x, square=True)
    dtype = complex_of(x.dtype)
    return Spec(x.shape[:-1], dtype), Spec(x.shape, dtype)


@leaf(
    "eig",
    infer=_infer_eig,
    vjp=(_eig_vjp,),
    saves=("x ans",),
    wide=True,
    complex=True,
    partial=True,
    outputs=2,
    samples=lambda: [
        sample(spread(3, 3), smooth="real"),
        sample(spread(2, 4, 4), smooth="real"),
        sample((1, 1), smooth="real"),
        sample((0, 2, 2)),
    ],
)
def _eig(xp: Any, x: Array) -> tuple[Array, Array]:
    """w, V with x V = V diag(w), the columns of V of length 1."""
    w, v = lapack(xp, "eig(x)", DIVERGED, xp.linalg.eig, x)
    dtype = complex_of(x.dtype)  # NumPy's are real where all eigenvalues are
    return w.astype(dtype), v.astype(dtype)


def _eigvals_vjp(g: Array, ans: Any, x: Array) -> Array:
    _, v = _eig(x)
    transposed = matrix_transpose(v)
    return _of(x, solve_each(transposed, multiply(op.reshape(g, (*g.shape, 1)), transposed)))


@leaf(
    "eigvals",
    infer=lambda x: Spec(check_matrix("eigvals(x)", x, square=True).shape[:-1], complex_of(x.dtype)),
    vjp=(_eigvals_vjp,),
    saves=("x",),
    wide=True,
    complex=True,
    samples=lambda: [sample(spread(3, 3)), sample(spread(2, 4, 4)), sample((1, 1)), sample((0, 2, 2))],
)
def _eigvals(xp: Any, x: Array) -> Array:
    """The eigenvalues, in no order."""
    return lapack(xp, "eigvals(x)", DIVERGED, xp.linalg.eigvals, x).astype(complex_of(x.dtype))


@of_arrays
@widened
def eig(x: Any, /) -> EigResult:
    """(w, V) with x V = V diag(w), complex; the columns of V of length 1.

    Parameters
    ----------
    x : (..., n, n), floating or complex.

    Returns
    -------
    EigResult : ``eigenvalues`` (..., n), in no order; ``eigenvectors`` (..., n, n), in the columns.  Complex.

    Raises
    ------
    ShapeError : the matrices are not square.
    DTypeError : integers or booleans.
    LinAlgError : the iteration did not converge; or, in the backward pass, the matrix cannot be diagonalised.

    Notes
    -----
    Derivative: every order.  Eigenvectors are determined but for a factor of absolute value 1 each; what does not
    depend on it has a right derivative.  Where eigenvalues are equal the eigenvectors have none: NaN.
    Kernel: LAPACK, cuSOLVER on ``cuda`` (CUDA 12.6 or later).

    Source: M. Giles, "Collected matrix derivative results for forward and reverse mode", 2008, section 3.1;
    C. Boeddeker et al., "On the computation of complex-valued gradients", 2017, section 4.7.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.linalg.eig(gl.tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    tensor([2.+0.j, 1.+0.j], dtype=complex64)
    """
    return EigResult(*_eig(x))


@of_arrays
@widened
def eigvals(x: Any, /) -> Any:
    """w, the eigenvalues of x, complex, in no order.

    Parameters
    ----------
    x : (..., n, n), floating or complex.

    Returns
    -------
    (..., n) : complex.

    Raises
    ------
    ShapeError, DTypeError, LinAlgError : as `eig`.

    Notes
    -----
    Derivative: every order, where the eigenvalues differ.  Kernel: LAPACK, cuSOLVER on ``cuda`` (CUDA 12.6 or later).

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.linalg.eigvals(gl.tensor([[0.0, 1.0], [-1.0, 0.0]])).numpy().imag
    array([ 1., -1.], dtype=float32)
    """
    return _eigvals(x)


op.register(eig=eig)
