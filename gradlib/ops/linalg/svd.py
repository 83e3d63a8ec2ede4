"""The singular value decomposition."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...core import leaf, op, sample
from ...spec import Spec, is_complex, real_of
from ..arithmetic import add, multiply, subtract
from ..complex_parts import conj
from ..diagonal import matrix_of
from ..operands import of_arrays, widened
from ..shape import matrix_transpose
from .host import DIVERGED, check_matrix, lapack
from .parts import (
    adjoint,
    column,
    columns,
    gaps,
    imag_times_i,
    minus,
    off_diagonal,
    plus,
    product,
    ratio,
    row,
    rows,
    unit_diagonal,
)
from .samples import regular

__all__ = ["SVDResult", "svd", "svdvals"]

Array = Any


class SVDResult(NamedTuple):
    """``U @ diag(S) @ Vh == x``."""

    U: Any
    S: Any
    Vh: Any


def _infer_svd(x: Spec, *, full_matrices: bool) -> tuple[Spec, Spec, Spec]:
    check_matrix("svd(x)", x)
    *batch, m, n = x.shape
    k = min(m, n)
    left, right = (m, n) if full_matrices else (k, k)
    return Spec((*batch, m, left), x.dtype), Spec((*batch, k), real_of(x.dtype)), Spec((*batch, right, n), x.dtype)


def _svd_vjp(gs: Any, ans: Any, x: Any, full_matrices: bool) -> Array:
    """With P = U^H H V, Omega_U and Omega_V skew-Hermitian: D(U)[H] = U Omega_U + (1 - U U^H) H V / S, and so for V.

    Off the diagonal Omega_U_ij = (P_ij s_j + s_i conj(P_ji)) / (s_j^2 - s_i^2), with the s exchanged for Omega_V; on it
    both share Im(P_ii) / s_i.  The vectors beyond the k-th turn against the first k: D(U_2)[H] = -U_1 D(U_1)[H]^H U_2.
    """
    (g_u, g_s, g_vh), (u, s, vh) = gs, ans
    k = s.shape[-1]
    u_1, vh_1 = columns(u, None, k), rows(vh, None, k)
    inner = None if g_s is None else matrix_of(g_s)
    turn_u = turn_v = outside = None
    if g_u is not None:
        turn_u = product(matrix_transpose(u_1), columns(g_u, None, k))
        if u.shape[-2] > k:  # (1 - conj(U) U^T) G_U / S conj(V^H), and what U_2 turns
            beyond = minus(columns(g_u, None, k), product(conj(u_1), turn_u))
            if u.shape[-1] > k:
                u_2, g_2 = columns(u, k, None), columns(g_u, k, None)
                beyond = subtract(beyond, product(conj(u_2), adjoint(g_2), conj(u_1)))
            outside = product(ratio(beyond, row(s)), conj(vh_1))
    if g_vh is not None:
        turn_v = product(rows(g_vh, None, k), matrix_transpose(vh_1))
        if vh.shape[-1] > k:
            beyond = minus(rows(g_vh, None, k), product(turn_v, conj(vh_1)))
            if vh.shape[-2] > k:
                vh_2, g_2 = rows(vh, k, None), rows(g_vh, k, None)
                beyond = subtract(beyond, product(conj(vh_1), adjoint(g_2), conj(vh_2)))
            outside = plus(outside, product(conj(u_1), ratio(beyond, column(s))))
        turn_v = adjoint(turn_v)  # V^T G_V
    if turn_u is not None or turn_v is not None:
        inner = plus(inner, _turned(turn_u, turn_v, s))
    middle = None if inner is None else product(conj(u_1), inner, conj(vh_1))
    return plus(middle, outside)


def _turned(k_u: Array | None, k_v: Array | None, s: Array) -> Array:
    """Return the cotangent of P that those of Omega_U and Omega_V, K_U and K_V, make.

    F (P_ij s_j + s_i conj(P_ji)) is taken apart into what is divided by s_j - s_i and what is by s_j + s_i.
    """
    both, apart = plus(k_u, k_v), k_u if k_v is None else minus(k_u, k_v)
    first = ratio(off_diagonal(both), gaps(s))
    second = ratio(off_diagonal(apart), unit_diagonal(add(row(s), column(s))))
    result = multiply(add(add(first, adjoint(first)), subtract(second, adjoint(second))), 0.5)
    if not is_complex(result.dtype):
        return result
    phases = ratio(imag_times_i(op.diagonal(apart, offset=0)), multiply(s, 2.0))
    return add(result, matrix_of(phases))


@leaf(
    "svd",
    infer=_infer_svd,
    vjp=(_svd_vjp,),
    saves=("ans",),
    wide=True,
    complex=True,
    partial=True,
    outputs=3,
    samples=lambda: [
        sample(regular(3, 3), full_matrices=False, smooth="real"),
        sample(regular(2, 5, 3), full_matrices=False, smooth="real"),
        sample(regular(2, 4), full_matrices=False, smooth="real"),
        sample(regular(3, 3), full_matrices=True, smooth="real"),
        sample(regular(4, 2), full_matrices=True, smooth=False),  # U beyond the second column: any basis will do
        sample(regular(1, 3), full_matrices=True, smooth=False),
        sample(regular(1, 1), full_matrices=False, smooth="real"),
        sample((0, 2, 2), full_matrices=False),
    ],
)
def _svd(xp: Any, x: Array, *, full_matrices: bool) -> tuple[Array, Array, Array]:
    """U, S, V^H with x = U diag(S) V^H."""
    u, s, vh = lapack(xp, "svd(x)", DIVERGED, lambda x: xp.linalg.svd(x, full_matrices=full_matrices), x)
    return u, s, vh


def _svdvals_vjp(g: Array, ans: Any, x: Array) -> Array:
    u, _, vh = _svd(x, full_matrices=False)
    return product(multiply(conj(u), row(g)), conj(vh))


@leaf(
    "svdvals",
    infer=lambda x: Spec((*check_matrix("svdvals(x)", x).shape[:-2], min(x.shape[-2:])), real_of(x.dtype)),
    vjp=(_svdvals_vjp,),
    saves=("x",),
    wide=True,
    complex=True,
    samples=lambda: [sample(regular(3, 3)), sample(regular(2, 5, 3)), sample(regular(2, 4)), sample((0, 2, 2))],
)
def _svdvals(xp: Any, x: Array) -> Array:
    """The singular values, in descending order."""
    return lapack(xp, "svdvals(x)", DIVERGED, lambda x: xp.linalg.svd(x, compute_uv=False), x)


@of_arrays
@widened
def svd(x: Any, /, *, full_matrices: bool = True) -> SVDResult:
    """(U, S, Vh) with x = U diag(S) Vh, U and Vh unitary, S real, not negative and descending.

    Parameters
    ----------
    x : (..., m, n), floating or complex.
    full_matrices : whether U is (..., m, m) and Vh (..., n, n), or both have only k = min(m, n) vectors.

    Returns
    -------
    SVDResult : ``U`` (..., m, m) or (..., m, k); ``S`` (..., k); ``Vh`` (..., n, n) or (..., k, n).

    Raises
    ------
    ShapeError : x has fewer than two axes.
    DTypeError : integers or booleans.
    LinAlgError : the iteration did not converge; the message names the matrix.

    Notes
    -----
    Derivative: every order.  Each pair of singular vectors is determined but for a common factor of absolute value 1,
    and the vectors beyond the k-th but for a rotation among themselves; what does not depend on these (U Vh, the
    projections on null spaces) has a right derivative.  Where singular values are equal, or 0, their vectors have none,
    and what depends on them gets NaN; what depends on the other vectors, or on the singular values, keeps its first
    derivative, and gets NaN for higher ones.
    Kernel: LAPACK, cuSOLVER on ``cuda``.

    Source: J. Townsend, "Differentiating the singular value decomposition", 2016; for complex matrices Z. Wan and
    S. Zhang, "Automatic differentiation for complex valued SVD", 2019.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.linalg.svd(gl.tensor([[3.0, 0.0], [0.0, 4.0]])).S
    tensor([4., 3.], dtype=float32)
    """
    return SVDResult(*_svd(x, full_matrices=full_matrices))


@of_arrays
@widened
def svdvals(x: Any, /) -> Any:
    """S, the singular values of x, real, not negative and descending.

    Parameters
    ----------
    x : (..., m, n), floating or complex.

    Returns
    -------
    (..., min(m, n)) : real.

    Raises
    ------
    ShapeError, DTypeError, LinAlgError : as `svd`.

    Notes
    -----
    Derivative: every order, D(s_i)[H] = Re(u_i^H H v_i).  Where singular values are equal, or 0, the first is one of
    several subgradients, right for functions that treat equal ones alike; higher ones are NaN.
    Kernel: LAPACK, cuSOLVER on ``cuda``.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.linalg.svdvals(gl.tensor([[3.0, 0.0], [0.0, 4.0]]))
    tensor([4., 3.], dtype=float32)
    """
    return _svdvals(x)


op.register(svd=svd, svdvals=svdvals)
