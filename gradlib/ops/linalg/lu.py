"""LU factors with row exchanges: NumPy has none to hand out, so they are made here."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...core import leaf, op, sample
from ...spec import Spec
from ..along import tril, triu
from ..join import concat
from ..operands import of_arrays, widened
from ..shape import matrix_transpose
from .host import check_matrix, require
from .parts import columns, minus, plus, product, rows
from .samples import regular
from .solve import solve_each

__all__ = ["LUResult", "lu"]

Array = Any


class LUResult(NamedTuple):
    """``P @ L @ U == x``."""

    P: Any
    L: Any
    U: Any


def _infer_lu(x: Spec) -> tuple[Spec, Spec, Spec]:
    check_matrix("lu(x)", x)
    *batch, m, n = x.shape
    k = min(m, n)
    return Spec((*batch, m, m), x.dtype), Spec((*batch, m, k), x.dtype), Spec((*batch, k, n), x.dtype)


def _lu_vjp(gs: Any, ans: Any, x: Any) -> Array:
    """P is constant; with P^T H = D and L, U square, D(L)[H] = L tril(F, -1) and D(U)[H] = triu(F) U, F = L^-1 D U^-1.

    The rows of a tall matrix beyond the k-th are L_2 = A_2 U^-1, the columns of a wide one U_2 = L^-1 A_2.
    """
    (_, g_l, g_u), (p, lower, upper) = gs, ans
    m, n, k = lower.shape[-2], upper.shape[-1], upper.shape[-2]
    l_1, u_1 = rows(lower, None, k), columns(upper, None, k)
    g_l1 = None if g_l is None else rows(g_l, None, k)
    g_u1 = None if g_u is None else columns(g_u, None, k)
    rest = None
    if m > k and g_l is not None:
        rest = matrix_transpose(solve_each(u_1, matrix_transpose(rows(g_l, k, None))))
        g_u1 = minus(g_u1, product(matrix_transpose(rows(lower, k, None)), rest))
    if n > k and g_u is not None:
        rest = solve_each(matrix_transpose(l_1), columns(g_u, k, None))
        g_l1 = minus(g_l1, product(rest, matrix_transpose(columns(upper, k, None))))
    inner = None if g_l1 is None else tril(product(matrix_transpose(l_1), g_l1), k=-1)
    if g_u1 is not None:
        inner = plus(inner, triu(product(g_u1, matrix_transpose(u_1))))
    if inner is None:  # only P has a cotangent
        return op.zeros_like(product(lower, upper))
    left = solve_each(matrix_transpose(l_1), inner)
    g = matrix_transpose(solve_each(u_1, matrix_transpose(left)))
    if m != n:
        if rest is None:
            rest = op.zeros_like(rows(lower, k, None) if m > n else columns(upper, k, None))
        g = concat([g, rest], axis=-2 if m > n else -1)
    return product(p, g)


PANEL = 8  # columns that are eliminated one by one


def _factors(xp: Any, a: Array) -> tuple[Array, Array, Array]:
    """Return order, L, U with a[order] = L U, by halves: most of the work is products of matrices."""
    *batch, m, n = a.shape
    k = min(m, n)
    if k <= PANEL:
        return _eliminate(xp, a)
    half = k // 2
    order, l_1, u_1 = _factors(xp, a[..., :half])
    right = xp.take_along_axis(a[..., half:], order[..., None], -2)
    u_2 = xp.linalg.solve(l_1[..., :half, :], right[..., :half, :])  # a lower triangle of ones: nothing is exchanged
    below, l_2, u_3 = _factors(xp, right[..., half:, :] - xp.matmul(l_1[..., half:, :], u_2))
    order = xp.concatenate([order[..., :half], xp.take_along_axis(order[..., half:], below, -1)], -1)
    lower, upper = xp.zeros((*batch, m, k), a.dtype), xp.zeros((*batch, k, n), a.dtype)
    lower[..., :half, :half] = l_1[..., :half, :]
    lower[..., half:, :half] = xp.take_along_axis(l_1[..., half:, :], below[..., None], -2)
    lower[..., half:, half:] = l_2
    upper[..., :half, :half], upper[..., :half, half:], upper[..., half:, half:] = u_1, u_2, u_3
    return order, lower, upper


def _eliminate(xp: Any, a: Array) -> tuple[Array, Array, Array]:
    """Do the same column by column."""
    *batch, m, n = a.shape
    place = xp.arange(m)
    order = xp.broadcast_to(place, (*batch, m))
    k = min(m, n)
    for j in range(k):
        pivot = j + xp.argmax(abs(a[..., j:, j]), -1)[..., None]
        exchange = xp.where(place == pivot, j, xp.where(place == j, pivot, place))
        order = xp.take_along_axis(order, exchange, -1)
        a = xp.take_along_axis(a, exchange[..., None], -2)
        top = a[..., j : j + 1, j : j + 1]
        a[..., j + 1 :, j : j + 1] /= xp.where(top == 0, xp.ones((), a.dtype), top)  # then the column is 0 anyway
        a[..., j + 1 :, j + 1 :] -= a[..., j + 1 :, j : j + 1] * a[..., j : j + 1, j + 1 :]
    return order, xp.tril(a[..., :k], -1) + xp.eye(m, k, dtype=a.dtype), xp.triu(a[..., :k, :])


@leaf(
    "lu",
    infer=_infer_lu,
    vjp=(_lu_vjp,),
    saves=("ans",),
    wide=True,
    complex=True,
    partial=True,
    outputs=3,
    samples=lambda: [
        sample(regular(3, 3)),
        sample(regular(2, 5, 5)),
        sample(regular(5, 3)),
        sample(regular(2, 2, 4)),
        sample(regular(1, 1)),
        sample(regular(1, 3)),
        sample(regular(3, 1)),
        sample((0, 2, 2)),
        sample((2, 0, 3)),
    ],
)
def _lu(xp: Any, x: Array) -> tuple[Array, Array, Array]:
    """P, L, U with x = P L U."""
    *batch, m, n = x.shape
    if x.size == 0:
        k = min(m, n)
        p = xp.broadcast_to(xp.eye(m, dtype=x.dtype), (*batch, m, m)).copy()
        return p, xp.zeros((*batch, m, k), x.dtype), xp.zeros((*batch, k, n), x.dtype)
    require(xp, "lu(x)", "cuSOLVER")
    order, lower, upper = _factors(xp, x)
    p = (xp.arange(m)[:, None] == order[..., None, :]).astype(x.dtype)
    return p, lower, upper


@of_arrays
@widened
def lu(x: Any, /) -> LUResult:
    """(P, L, U) with x = P L U: P a permutation, L lower triangular with ones on the diagonal, U upper triangular.

    In each column the element of the largest absolute value is the pivot.

    Parameters
    ----------
    x : (..., m, n), floating or complex.

    Returns
    -------
    LUResult : ``P`` (..., m, m), ``L`` (..., m, k), ``U`` (..., k, n), k = min(m, n).

    Raises
    ------
    ShapeError : x has fewer than two axes.
    DTypeError : integers or booleans.
    LinAlgError : in the backward pass, where the leading square part is singular.

    Notes
    -----
    Derivative: every order; P is constant.  Kernel: composition of products of matrices.

    Source: F. de Hoog, R. Anderssen, M. Lukas, "Differentiation of matrix functionals using triangular
    factorization", 2011; factoring by halves: S. Toledo, "Locality of reference in LU decomposition with partial
    pivoting", 1997.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.linalg.lu(gl.tensor([[1.0, 2.0], [4.0, 4.0]])).U
    tensor([[4., 4.],
            [0., 1.]], dtype=float32)
    """
    return LUResult(*_lu(x))


op.register(lu=lu)
