"""The QR decomposition."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...core import leaf, op, sample
from ...spec import Spec
from ..along import triu
from ..arithmetic import add, subtract
from ..complex_parts import conj, real
from ..diagonal import matrix_of
from ..join import concat
from ..operands import of_arrays, widened
from ..shape import matrix_transpose
from .host import DIVERGED, check_matrix, lapack
from .parts import adjoint, columns, minus, plus, product, rows
from .samples import regular
from .solve import solve_each

__all__ = ["QRResult", "qr"]

Array = Any


class QRResult(NamedTuple):
    """``Q @ R == x``."""

    Q: Any
    R: Any


def _infer_qr(x: Spec, *, mode: str) -> tuple[Spec, Spec]:
    check_matrix("qr(x)", x)
    *batch, m, n = x.shape
    k = m if mode == "complete" else min(m, n)
    return Spec((*batch, m, k), x.dtype), Spec((*batch, k, n), x.dtype)


def _qr_vjp(gs: Any, ans: Any, x: Any, mode: str) -> Array:
    """With k columns A_1 = Q_1 R_1, C = Q_1^H H_1 R_1^-1: D(R_1)[H] R_1^-1 is C's upper triangle and what mirrors the
    lower, T, with a real diagonal; D(Q_1)[H] = H_1 R_1^-1 - Q_1 T.

    Columns beyond a square A_1 are R_2 = Q_1^H A_2; vectors beyond the k-th turn against the first k.
    """
    (g_q, g_r), (q, r) = gs, ans
    n, k = r.shape[-1], min(q.shape[-2], r.shape[-1])
    q_1, r_1 = columns(q, None, k), columns(rows(r, None, k), None, k)
    g_1 = None if g_q is None else columns(g_q, None, k)
    g_r1 = None if g_r is None else columns(rows(g_r, None, k), None, k)
    g_a2 = None
    if n > k:
        if g_r is None:
            g_a2 = op.zeros_like(columns(r, k, None))
        else:
            r_2, g_r2 = columns(r, k, None), columns(g_r, k, None)
            g_a2 = product(conj(q_1), g_r2)
            g_1 = plus(g_1, product(conj(q_1), conj(r_2), adjoint(g_r2)))
    mirrored = None if g_r1 is None else product(g_r1, matrix_transpose(r_1))
    if g_1 is not None:
        mirrored = minus(mirrored, product(matrix_transpose(q_1), g_1))
    upper = triu(mirrored, k=1)
    g_c = add(add(upper, adjoint(upper)), matrix_of(real(op.diagonal(mirrored, offset=0))))
    total = plus(g_1, product(conj(q_1), g_c))
    if g_q is not None and q.shape[-1] > k:
        q_2, g_2 = columns(q, k, None), columns(g_q, k, None)
        total = subtract(total, product(conj(q_2), adjoint(g_2), conj(q_1)))
    g_a1 = matrix_transpose(solve_each(r_1, matrix_transpose(total)))
    return g_a1 if g_a2 is None else concat([g_a1, g_a2], axis=-1)


@leaf(
    "qr",
    infer=_infer_qr,
    vjp=(_qr_vjp,),
    saves=("ans",),
    wide=True,
    complex=True,
    partial=True,
    outputs=2,
    samples=lambda: [
        sample(regular(3, 3), mode="reduced"),
        sample(regular(2, 5, 3), mode="reduced"),
        sample(regular(2, 4), mode="reduced"),
        sample(regular(3, 3), mode="complete"),
        sample(regular(4, 3), mode="complete", smooth="real"),
        sample(regular(5, 2), mode="complete", smooth=False),  # Q beyond the second column: any basis will do
        sample(regular(2, 3), mode="complete"),
        sample(regular(1, 1), mode="reduced"),
        sample((0, 2, 2), mode="reduced"),
    ],
)
def _qr(xp: Any, x: Array, *, mode: str) -> tuple[Array, Array]:
    """Q, R with x = Q R, Q unitary, R upper triangular."""
    q, r = lapack(xp, "qr(x)", DIVERGED, lambda x: xp.linalg.qr(x, mode=mode), x)
    return q, r


@of_arrays
@widened
def qr(x: Any, /, *, mode: str = "reduced") -> QRResult:
    """(Q, R) with x = Q R, the columns of Q orthonormal, R upper triangular with a real diagonal.

    Parameters
    ----------
    x : (..., m, n), floating or complex.
    mode : ``"reduced"``, with k = min(m, n) columns of Q; or ``"complete"``, with m.

    Returns
    -------
    QRResult : ``Q`` (..., m, k), ``R`` (..., k, n); k = m for ``"complete"``.

    Raises
    ------
    ShapeError : x has fewer than two axes.
    DTypeError : integers or booleans.
    ValueError : another mode.
    LinAlgError : in the backward pass, where the first k columns of x are linearly dependent.

    Notes
    -----
    Derivative: every order, for every shape.  The columns of a complete Q beyond the n-th are determined but for a
    rotation among themselves; what does not depend on it (the projection on the null space) has a right derivative.
    Kernel: LAPACK, cuSOLVER on ``cuda``.

    Source: S. Walter and L. Lehmann, "Algorithmic differentiation of linear algebra functions", 2010; for wide
    matrices D. Roberts and L. Roberts, "QR and LQ decomposition matrix backpropagation algorithms", 2020.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.linalg.qr(gl.tensor([[3.0, 1.0], [4.0, 2.0]])).R.shape
    (2, 2)
    """
    if mode not in ("reduced", "complete"):
        raise ValueError(f'qr(x, mode): mode is {mode!r}\n  need "reduced" or "complete"')
    return QRResult(*_qr(x, mode=mode))


op.register(qr=qr)
