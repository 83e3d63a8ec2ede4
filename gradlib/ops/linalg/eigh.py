"""Eigenvalues and eigenvectors of symmetric and Hermitian matrices."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...core import leaf, op, sample
from ...spec import Spec, real_of
from ..arithmetic import multiply
from ..complex_parts import conj
from ..diagonal import matrix_of
from ..operands import of_arrays, widened
from ..shape import matrix_transpose
from .host import DIVERGED, check_matrix, lapack
from .parts import gaps, hermitian, off_diagonal, plus, product, ratio, row
from .samples import definite

__all__ = ["EighResult", "eigh", "eigvalsh"]

Array = Any


class EighResult(NamedTuple):
    """``x @ eigenvectors == eigenvectors * eigenvalues``."""

    eigenvalues: Any
    eigenvectors: Any


def _eigh_vjp(gs: Any, ans: Any, x: Any) -> Array:
    """With P = V^H H V: D(w)[H] = diag P and D(V)[H] = V (F * P), F_ij = 1 / (w_j - w_i), 0 on the diagonal.

    So H gets the Hermitian part of conj(V) (diag(g_w) + F * K) V^T, K = V^T G_V.
    """
    (g_w, g_v), (w, v) = gs, ans
    inner = None if g_w is None else matrix_of(g_w)
    if g_v is not None:
        k = off_diagonal(product(matrix_transpose(v), g_v))
        inner = plus(inner, hermitian(ratio(k, gaps(w))))
    return product(multiply(conj(v), row(g_w)) if g_v is None else product(conj(v), inner), matrix_transpose(v))


def _infer_eigh(x: Spec) -> tuple[Spec, Spec]:
    check_matrix("eigh(x)", x, square=True)
    return Spec(x.shape[:-1], real_of(x.dtype)), x


def _samples() -> list[Any]:
    return [sample(definite(3, 3)), sample(definite(2, 5, 5)), sample(definite(1, 1)), sample((0, 2, 2))]


def _hermitian_part(x: Array) -> Array:
    return (x + x.conj().swapaxes(-1, -2)) * 0.5


@leaf(
    "eigh",
    infer=_infer_eigh,
    vjp=(_eigh_vjp,),
    saves=("ans",),
    wide=True,
    complex=True,
    partial=True,
    outputs=2,
    samples=lambda: [s._replace(smooth="real") for s in _samples()],
)
def _eigh(xp: Any, x: Array) -> tuple[Array, Array]:
    """w, V with (x + x^H) / 2 = V diag(w) V^H."""
    w, v = lapack(xp, "eigh(x)", DIVERGED, xp.linalg.eigh, _hermitian_part(x))
    return w, v


def _eigvalsh_vjp(g: Array, ans: Any, x: Array) -> Array:
    _, v = _eigh(x)
    return product(multiply(conj(v), row(g)), matrix_transpose(v))


@leaf(
    "eigvalsh",
    infer=lambda x: Spec(check_matrix("eigvalsh(x)", x, square=True).shape[:-1], real_of(x.dtype)),
    vjp=(_eigvalsh_vjp,),
    saves=("x",),
    wide=True,
    complex=True,
    samples=_samples,
)
def _eigvalsh(xp: Any, x: Array) -> Array:
    """The eigenvalues of (x + x^H) / 2, in ascending order."""
    return lapack(xp, "eigvalsh(x)", DIVERGED, xp.linalg.eigvalsh, _hermitian_part(x))


@of_arrays
@widened
def eigh(x: Any, /) -> EighResult:
    """(w, V) with x V = V diag(w), w real and ascending, V^H V = 1.

    Parameters
    ----------
    x : (..., n, n), symmetric or Hermitian.  Of another matrix, the part (x + x^H) / 2 is decomposed.

    Returns
    -------
    EighResult : ``eigenvalues`` (..., n), real; ``eigenvectors`` (..., n, n), in the columns.

    Raises
    ------
    ShapeError : the matrices are not square.
    DTypeError : integers or booleans.
    LinAlgError : the iteration did not converge; the message names the matrix.

    Notes
    -----
    Derivative: every order, D(w_i)[H] = v_i^H H v_i and D(v_j)[H] = sum over i of v_i (v_i^H H v_j) / (w_j - w_i).
    Eigenvectors are determined but for a factor of absolute value 1 each; what does not depend on it has a right
    derivative.  Where eigenvalues are equal their eigenvectors have none, and what depends on them gets NaN; what
    depends on the other vectors, or on the eigenvalues, keeps its first derivative (right if it treats equal
    eigenvalues alike), and gets NaN for higher ones.
    Kernel: LAPACK, cuSOLVER on ``cuda``.

    Source: M. Giles, "Collected matrix derivative results for forward and reverse mode", 2008, section 3.1.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.linalg.eigh(gl.tensor([[2.0, 1.0], [1.0, 2.0]])).eigenvalues.numpy().round(5)
    array([1., 3.], dtype=float32)
    """
    return EighResult(*_eigh(x))


@of_arrays
@widened
def eigvalsh(x: Any, /) -> Any:
    """w, the eigenvalues of symmetric or Hermitian x, real and ascending.

    Parameters
    ----------
    x : (..., n, n), symmetric or Hermitian.  Of another matrix, the part (x + x^H) / 2 is taken.

    Returns
    -------
    (..., n) : real.

    Raises
    ------
    ShapeError, DTypeError, LinAlgError : as `eigh`.

    Notes
    -----
    Derivative: every order, as `eigh`.  Where eigenvalues are equal the first derivative is right for functions that
    treat them alike (a sum, a trace of a power), and higher ones are NaN.  Kernel: LAPACK, cuSOLVER on ``cuda``.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.linalg.eigvalsh(gl.tensor([[3.0, 0.0], [0.0, 1.0]]))
    tensor([1., 3.], dtype=float32)
    """
    return _eigvalsh(x)


op.register(eigh=eigh)
