"""Determinants and their logarithms."""

from __future__ import annotations

from itertools import permutations
from typing import Any, NamedTuple

import numpy as np

from ...core import leaf, op, sample, zeros_as
from ...errors import ShapeError, message, operand
from ...spec import Spec, is_complex, real_of
from ..arithmetic import multiply
from ..operands import of_arrays, widened
from ..shape import matrix_transpose
from .host import DIVERGED, SINGULAR, check_matrix, lapack
from .parts import imag_times_i, scalar
from .samples import of_rank, regular
from .solve import inv

__all__ = ["SlogdetResult", "det", "slogdet"]

Array = Any


class SlogdetResult(NamedTuple):
    """``det(x) == sign * exp(logabsdet)``."""

    sign: Any
    logabsdet: Any


# -- the determinant, and its derivatives, which have no division in them


def _det_vjp(g: Array, ans: Any, x: Array) -> Array:
    return multiply(scalar(g), det_derivative(x))


def _infer_det(x: Spec) -> Spec:
    check_matrix("det(x)", x, square=True)
    return Spec(x.shape[:-2], x.dtype)


@leaf(
    "det",
    infer=_infer_det,
    vjp=(_det_vjp,),
    saves=("x",),
    wide=True,
    complex=True,
    samples=lambda: [
        sample(regular(3, 3)),
        sample(regular(2, 4, 4)),
        sample((1, 1)),
        sample((2, 0, 0)),
        sample((0, 2, 2)),
    ],
)
def _det(xp: Any, x: Array) -> Array:
    """y = the determinant of each matrix."""
    return lapack(xp, "det(x)", SINGULAR, xp.linalg.det, x)


def _infer_derivative(x: Spec, *hs: Spec) -> Spec:
    check_matrix("det_derivative(x, *hs)", x, square=True)
    for h in hs:
        if h.shape != x.shape:
            raise ShapeError(message("det_derivative(x, *hs): shapes differ", [operand("x", x), operand("h", h)]))
    return x


def _derivative_vjp(i: int, g: Array, ans: Any, x: Array, *hs: Array) -> Array:
    """D^k det(X)[H_1, ..., H_k] is linear in each H and does not change when they change places."""
    return det_derivative(x, *hs, g) if i == 0 else det_derivative(x, *hs[: i - 1], *hs[i:], g)


@leaf(
    "det_derivative",
    infer=_infer_derivative,
    vjp=_derivative_vjp,
    saves="x hs",
    promote="same",
    wide=True,
    complex=True,
    samples=lambda: [
        sample(regular(4, 4)),
        sample(of_rank(3, 4, 4)),
        sample(regular(2, 3, 3), (2, 3, 3)),
        sample(of_rank(2, 4, 4), (4, 4)),
        sample(regular(3, 3), (3, 3), (3, 3)),
        sample((1, 1), (1, 1)),
        sample((0, 2, 2), (0, 2, 2)),
    ],
)
def det_derivative(xp: Any, x: Array, *hs: Array) -> Array:
    """Y with sum(Y T) = D^(k + 1) det(X)[H_1, ..., H_k, T] for every T: for no H the matrix of cofactors.

    With X = U S V^H and M = U^H H V, the determinant is det(U) det(V^H) det(S), and a determinant near a diagonal
    matrix is a sum over permutations of k + 1 rows of products of as many elements of the M and of the singular
    values of the other rows.  Nothing is divided, so singular matrices are no exception, to any order.
    """
    if x.size == 0:
        return xp.zeros_like(x)
    u, s, vh = lapack(xp, "det(x)", DIVERGED, xp.linalg.svd, x)
    unit = (xp.linalg.det(u) * xp.linalg.det(vh))[..., None, None]
    left, right = _adjoint(u), _adjoint(vh)
    ms = [xp.matmul(xp.matmul(left, h), right) for h in hs]
    k = len(hs)
    others = _without(xp, s, k + 1).astype(x.dtype)
    index = "abcdefghijklmnopqrstuvwxyz"[: k + 1]
    inner = xp.zeros(x.shape, x.dtype)
    diagonal = np.arange(x.shape[-1])
    for order in permutations(range(k + 1)):
        terms = ",".join(["..." + index, *[f"...{index[j]}{index[order[j]]}" for j in range(k)]])
        fixed = order[k] == k
        result = index[k] if fixed else index[k] + index[order[k]]
        total = _parity(order) * xp.einsum(f"{terms}->...{result}", others, *ms)
        if fixed:
            inner[..., diagonal, diagonal] += total
        else:
            inner += total
    return unit * xp.matmul(xp.matmul(u.conj(), inner), vh.conj())


def _adjoint(x: Array) -> Array:
    return x.conj().swapaxes(-1, -2)


def _parity(order: tuple[int, ...]) -> int:
    swaps = sum(a > b for i, a in enumerate(order) for b in order[i + 1 :])
    return -1 if swaps % 2 else 1


def _without(xp: Any, s: Array, k: int) -> Array:
    """Return P[..., i_1, ..., i_k], the product of all s but those at i_1, ..., i_k; 0 where two of these are equal."""
    n = s.shape[-1]
    same = xp.eye(n, dtype=bool)
    factors = s
    distinct = xp.ones((), s.dtype)
    for level in range(k - 1):  # the last index is left out by products from both ends, without a division
        factors = xp.where(same, xp.ones((), s.dtype), factors[..., None, :])
        distinct = distinct[..., None] * xp.ones(n, s.dtype)
        for earlier in range(level + 1):
            distinct = distinct * ~same.reshape(*[n if j in (earlier, level + 1) else 1 for j in range(level + 2)])
    ones = xp.ones((*factors.shape[:-1], 1), s.dtype)
    before = xp.concatenate([ones, xp.cumprod(factors, -1)[..., :-1]], -1)
    after = xp.concatenate([xp.cumprod(factors[..., ::-1], -1)[..., ::-1][..., 1:], ones], -1)
    return before * after * distinct


@of_arrays
@widened
def det(x: Any, /) -> Any:
    """y = det x, the determinant of each matrix of the batch.

    Parameters
    ----------
    x : (..., n, n), floating or complex.

    Returns
    -------
    (...) : of the same dtype.

    Raises
    ------
    ShapeError : the matrices are not square.
    DTypeError : integers or booleans.

    Notes
    -----
    Derivative: every order, of singular matrices too: the gradient is the matrix of cofactors, computed without a
    division from the singular value decomposition.  The (k + 1)-th derivative takes n^k memory and k! products.
    Kernel: LAPACK, cuSOLVER on ``cuda``.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.grad(gl.linalg.det)(gl.tensor([[1.0, 2.0], [2.0, 4.0]], dtype="float64")).numpy().round(6)
    array([[ 4., -2.],
           [-2.,  1.]])
    """
    return _det(x)


# -- its logarithm


def _infer_slogdet(x: Spec) -> tuple[Spec, Spec]:
    check_matrix("slogdet(x)", x, square=True)
    return Spec(x.shape[:-2], x.dtype), Spec(x.shape[:-2], real_of(x.dtype))


def _slogdet_vjp(gs: Any, ans: Any, x: Array) -> Array:
    """D(log det X)[H] = tr(X^-1 H): its real part is that of log |det X|, its imaginary part turns the sign."""
    g_sign, g_log = gs
    g = g_log
    if g_sign is not None and is_complex(x.dtype):
        turn = imag_times_i(multiply(g_sign, ans[0]))
        g = turn if g is None else op.add(turn, g)
    if g is None:  # the sign of a real determinant is constant
        return zeros_as(g_sign, shape=x.shape, dtype=x.dtype)
    return multiply(scalar(g), matrix_transpose(inv(x)))


@leaf(
    "slogdet",
    infer=_infer_slogdet,
    vjp=(_slogdet_vjp,),
    saves=("x ans",),
    wide=True,
    complex=True,
    partial=True,
    outputs=2,
    samples=lambda: [sample(regular(3, 3)), sample(regular(2, 5, 5)), sample((1, 1)), sample((0, 2, 2))],
)
def _slogdet(xp: Any, x: Array) -> tuple[Array, Array]:
    """The sign, and the logarithm of the absolute value, of the determinant."""
    sign, logabsdet = lapack(xp, "slogdet(x)", SINGULAR, xp.linalg.slogdet, x)
    return sign, logabsdet


@of_arrays
@widened
def slogdet(x: Any, /) -> SlogdetResult:
    """(sign, logabsdet) with det x = sign exp(logabsdet): the determinant where it would over- or underflow.

    Parameters
    ----------
    x : (..., n, n), floating or complex.

    Returns
    -------
    SlogdetResult : ``sign`` (...), of absolute value 1, or 0 for a singular matrix; ``logabsdet`` (...), real,
        then minus infinity.

    Raises
    ------
    ShapeError : the matrices are not square.
    DTypeError : integers or booleans.
    LinAlgError : in the backward pass, of a singular matrix, where the logarithm has no derivative.

    Notes
    -----
    Derivative: every order; D(logabsdet)[H] = Re tr(X^-1 H).  Kernel: LAPACK, cuSOLVER on ``cuda``.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.linalg.slogdet(-gl.eye(3)).sign
    tensor(-1., dtype=float32)
    """
    return SlogdetResult(*_slogdet(x))


op.register(det=det)
