"""Diagonals of matrices, and matrices with a given diagonal: each is the transpose of the other."""

from __future__ import annotations

from typing import Any

from ..core import leaf, op, sample
from ..errors import ShapeError, message, operand
from ..spec import Spec
from .operands import of_arrays

__all__ = ["diag"]

Array = Any


def _length(rows: int, columns: int, offset: int) -> int:
    return max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))


def _diagonal_vjp(g: Array, ans: Any, x: Any, offset: int) -> Array:
    return _diagonal_matrix(g, offset=offset, shape=tuple(x.shape[-2:]))


def _infer_diagonal(x: Spec, *, offset: int) -> Spec:
    if x.ndim < 2:
        raise ShapeError(message(f"diagonal(x): x has {x.ndim} axes", [operand("x", x)], "need at least 2"))
    return Spec((*x.shape[:-2], _length(x.shape[-2], x.shape[-1], offset)), x.dtype)


@leaf(
    "diagonal",
    infer=_infer_diagonal,
    vjp=(_diagonal_vjp,),
    linear=True,
    view=True,
    moves=True,
    samples=lambda: [
        sample((3, 3), offset=0),
        sample((2, 4, 3), offset=-1),
        sample((3, 5), offset=2),
        sample((3, 2), offset=7),
        sample((0, 4, 4), offset=0),
    ],
)
def _diagonal(xp: Any, x: Array, *, offset: int) -> Array:
    """y[..., i] = x[..., i, i + offset]."""
    if x.ndim < 2:
        raise ValueError("x is no matrix")
    return xp.diagonal(x, offset, -2, -1)


def _infer_matrix(x: Spec, *, offset: int, shape: tuple[int, int]) -> Spec:
    if x.ndim < 1 or x.shape[-1] != _length(*shape, offset):
        what = f"diagonal_matrix(x, shape): diagonal {offset} of a matrix {shape[0]} x {shape[1]}"
        raise ShapeError(message(f"{what} has {_length(*shape, offset)} elements", [operand("x", x)]))
    return Spec((*x.shape[:-1], *shape), x.dtype)


@leaf(
    "diagonal_matrix",
    infer=_infer_matrix,
    vjp=(lambda g, ans, x, offset, shape: _diagonal(g, offset=offset),),
    linear=True,
    moves=True,
    samples=lambda: [
        sample((3,), offset=0, shape=(3, 3)),
        sample((2, 3), offset=-1, shape=(4, 3)),
        sample((3,), offset=2, shape=(3, 5)),
        sample((0,), offset=7, shape=(3, 2)),
        sample((0, 4), offset=0, shape=(4, 4)),
    ],
)
def _diagonal_matrix(xp: Any, x: Array, *, offset: int, shape: tuple[int, int]) -> Array:
    """y[..., i, i + offset] = x[..., i], and zero elsewhere."""
    y = xp.zeros((*x.shape[:-1], *shape), x.dtype)
    rows = xp.arange(x.shape[-1]) + max(0, -offset)
    y[..., rows, rows + offset] = x
    return y


def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """y[..., i] = x[..., i, i + offset]: a diagonal of the last two axes, above the main one for a positive offset.

    Parameters
    ----------
    x : (..., m, n), of any dtype.
    offset : which diagonal.

    Returns
    -------
    (..., k) : the elements of the diagonal; none where it lies outside.

    Raises
    ------
    ShapeError : x has fewer than two axes.

    Notes
    -----
    Derivative: every order (it is linear; its transpose puts a vector on the diagonal).  Kernel: none, a view.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.linalg.diagonal(gl.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([1., 4.], dtype=float32)
    """
    return _diagonal(x, offset=offset)


@of_arrays
def diag(x: Any, k: int = 0) -> Any:
    """Return the matrix with the vector x on diagonal `k` and zeros elsewhere; the diagonal `k` of a matrix x.

    Derivative: every order (linear).  Kernel: composition.

    >>> import gradlib as gl
    >>> gl.diag(gl.tensor([1.0, 2.0]))
    tensor([[1., 0.],
            [0., 2.]], dtype=float32)
    """
    if x.ndim == 2:
        return _diagonal(x, offset=k)
    if x.ndim != 1:
        raise ShapeError(message(f"diag(x, k): x has {x.ndim} axes", [operand("x", x)], "need 1 or 2"))
    n = x.shape[0] + abs(k)
    return _diagonal_matrix(x, offset=k, shape=(n, n))


def matrix_of(x: Any) -> Any:
    """Return the square matrices with the vectors x (..., n) on their diagonals."""
    n = x.shape[-1]
    return _diagonal_matrix(x, offset=0, shape=(n, n))


op.register(diagonal=diagonal, diagonal_matrix=_diagonal_matrix)
