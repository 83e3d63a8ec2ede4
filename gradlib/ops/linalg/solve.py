"""Inverses and systems of equations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...core import leaf, op, sample
from ...errors import ShapeError, message, operand
from ...spec import Spec, broadcast_shapes
from ..along import tril, triu
from ..arithmetic import negative
from ..join import flip
from ..operands import of_arrays, widened
from ..shape import broadcast_to, matrix_transpose, reshape
from .host import SINGULAR, check_inexact, check_matrix, lapack, square
from .parts import adjoint, product
from .samples import regular

__all__ = ["cholesky_solve", "inv", "solve", "solve_triangular"]

Array = Any


def _inv_vjp(g: Array, ans: Array, x: Any) -> Array:
    """D(Y)[H] = -Y H Y, so <G, D(Y)[H]> = <-Y^T G Y^T, H>."""
    transposed = matrix_transpose(ans)
    return negative(product(transposed, g, transposed))


@leaf(
    "inv",
    infer=square("inv(x)"),
    vjp=(_inv_vjp,),
    saves=("ans",),
    wide=True,
    complex=True,
    samples=lambda: [sample(regular(3, 3)), sample(regular(2, 5, 5)), sample(regular(1, 1)), sample((0, 2, 2))],
)
def _inv(xp: Any, x: Array) -> Array:
    """Y = X^-1."""
    return lapack(xp, "inv(x)", SINGULAR, xp.linalg.inv, x)


@of_arrays
@widened
def inv(x: Any, /) -> Any:
    """Y = X^-1, for each matrix of the batch.

    Parameters
    ----------
    x : (..., n, n), floating or complex; float16 and bfloat16 are computed in float32 and rounded once.

    Returns
    -------
    (..., n, n) : of the same dtype.

    Raises
    ------
    ShapeError : the matrices are not square.
    DTypeError : integers or booleans.
    LinAlgError : a matrix is singular; the message says which.

    Notes
    -----
    Derivative: every order, from D(X^-1)[H] = -X^-1 H X^-1.  Kernel: LAPACK, cuSOLVER on ``cuda``.

    Source: M. Giles, "Collected matrix derivative results for forward and reverse mode", 2008, section 2.2.3.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.linalg.inv(gl.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5 , 0.  ],
            [0.  , 0.25]], dtype=float32)
    """
    return _inv(x)


def _infer_solve(a: Spec, b: Spec) -> Spec:
    call = "solve(a, b)"
    check_matrix(call, a, "a", square=True)
    if b.shape[:-1] != a.shape[:-1]:
        lines = [operand("a", a, "..., n, n"), operand("b", b, "..., n, k")]
        raise ShapeError(message(f"{call}: a has {a.shape[:-1]} rows, b has {b.shape[:-1]}", lines, "need equal ones"))
    return Spec(b.shape, a.dtype)


def _solve_vjp(needs: Sequence[bool], g: Array, ans: Array, a: Array, b: Any) -> tuple[Array | None, Array]:
    """A X = B gives A dX = dB - dA X, so dB gets A^-T G and dA gets -(A^-T G) X^T."""
    back = solve_each(matrix_transpose(a), g)
    return negative(product(back, matrix_transpose(ans))) if needs[0] else None, back


@leaf(
    "solve",
    infer=_infer_solve,
    vjp=_solve_vjp,
    joint=True,
    saves="a ans",
    promote="same",
    wide=True,
    complex=True,
    samples=lambda: [
        sample(regular(3, 3), (3, 2)),
        sample(regular(2, 5, 5), (2, 5, 1)),
        sample(regular(1, 1), (1, 4)),
        sample((0, 2, 2), (0, 2, 3)),
        sample(regular(3, 3), (3, 0)),
    ],
)
def solve_each(xp: Any, a: Array, b: Array) -> Array:
    """X with A X = B, of equal batch dimensions."""
    if a.ndim < 2 or a.shape[:-1] != b.shape[:-1]:
        raise ValueError("the shapes do not fit")
    return lapack(xp, "solve(a, b)", SINGULAR, xp.linalg.solve, a, b)


def _pair(call: str, a: Any, b: Any, names: tuple[str, str]) -> tuple[Any, Any]:
    """Return square matrices and right hand sides with equal batch dimensions."""
    check_inexact(call, **{names[0]: a, names[1]: b})
    check_matrix(call, a, names[0], square=True)
    if b.ndim < 2 or b.shape[-2] != a.shape[-1]:
        lines = [operand(names[0], a, "..., n, n"), operand(names[1], b, "..., n, k")]
        got = f"has {b.shape[-2]} rows" if b.ndim > 1 else f"has {b.ndim} axes"
        what = f"{call}: {names[0]} has {a.shape[-1]} columns, {names[1]} {got}"
        raise ShapeError(message(what, lines, f"need {names[0]}.shape[-1] == {names[1]}.shape[-2]"))
    if a.shape[:-2] == b.shape[:-2]:
        return a, b
    batch = broadcast_shapes(call, tuple(a.shape[:-2]), tuple(b.shape[:-2]))
    return broadcast_to(a, (*batch, *a.shape[-2:])), broadcast_to(b, (*batch, *b.shape[-2:]))


@of_arrays
@widened
def solve(x1: Any, x2: Any, /) -> Any:
    """X with x1 X = x2, for each matrix of the batch.

    Parameters
    ----------
    x1 : (..., n, n), floating or complex.
    x2 : (n,), one right hand side for all matrices; or (..., n, k), whose columns are k of them.
        Batch dimensions broadcast; the two are brought to a common dtype.

    Returns
    -------
    (..., n) or (..., n, k)

    Raises
    ------
    ShapeError : x1 is not square, or the shapes do not fit.
    DTypeError : integers or booleans.
    LinAlgError : a matrix is singular; the message says which.

    Notes
    -----
    Derivative: every order; the cotangent of x2 is X1^-T G, that of x1 is -(X1^-T G) X^T.  Kernel: LAPACK,
    cuSOLVER on ``cuda``.

    Source: M. Giles, "Collected matrix derivative results for forward and reverse mode", 2008, section 2.3.1.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.linalg.solve(gl.tensor([[2.0, 0.0], [0.0, 4.0]]), gl.tensor([1.0, 1.0]))
    tensor([0.5 , 0.25], dtype=float32)
    """
    if x2.ndim != 1:
        return solve_each(*_pair("solve(x1, x2)", x1, x2, ("x1", "x2")))
    y = solve_each(*_pair("solve(x1, x2)", x1, reshape(x2, (*x2.shape, 1)), ("x1", "x2")))
    return reshape(y, tuple(y.shape[:-1]))


@of_arrays
@widened
def solve_triangular(x1: Any, x2: Any, /, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Any:
    """X with x1 X = x2 (X x1 = x2 if not `left`), by substitution; of x1 only one triangle is read.

    Parameters
    ----------
    x1 : (..., n, n), floating or complex.
    x2 : (..., n, k), or (..., k, n) if not `left`.  Batch dimensions broadcast.
    upper : whether the upper triangle of x1 is read, or the lower.
    left : whether x1 stands on the left.
    unitriangular : whether the diagonal of x1 is taken to be 1 and not read either.

    Returns
    -------
    an array of x2's shape, but for broadcasting.

    Raises
    ------
    ShapeError, DTypeError : as `solve`.
    LinAlgError : there is a 0 on the diagonal.

    Notes
    -----
    Derivative: every order; zero with respect to what is not read.  Kernel: composition over `solve`: LU factors
    of an upper triangle are that triangle, without any exchange, so that this is back substitution.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.linalg.solve_triangular(gl.tensor([[2.0, 9.0], [1.0, 1.0]]), gl.tensor([[4.0], [3.0]]), upper=False)
    tensor([[2.],
            [1.]], dtype=float32)
    """
    call = "solve_triangular(x1, x2)"
    check_matrix(call, x1, "x1", square=True)
    check_matrix(call, x2, "x2")
    if not left:  # X A = B is A^T X^T = B^T
        x1, x2, upper = matrix_transpose(x1), matrix_transpose(x2), not upper
    a, b = _pair(call, x1, x2, ("x1", "x2"))
    if unitriangular:
        a = op.add(triu(a, k=1) if upper else tril(a, k=-1), op.diagonal_matrix(_ones(a), offset=0, shape=a.shape[-2:]))
    else:
        a = triu(a) if upper else tril(a)
    x = solve_each(a, b) if upper else _below(a, b)
    return x if left else matrix_transpose(x)


def _ones(a: Any) -> Any:
    return op.ones_like(op.diagonal(a, offset=0))


def _below(a: Any, b: Any) -> Any:
    """Solve with a lower triangle: read from its other end it is an upper one."""
    return flip(solve_each(flip(a, (-2, -1)), flip(b, -2)), -2)


@of_arrays
@widened
def cholesky_solve(x: Any, l: Any, /, *, upper: bool = False) -> Any:  # noqa: E741  (the factor's name is L)
    """Y with L L^H Y = x, given the Cholesky factor L (U^H U Y = x for the upper factor).

    Parameters
    ----------
    x : (..., n, k)
    l : (..., n, n), the factor; one triangle of it is read.  Batch dimensions broadcast.
    upper : whether `l` is the upper factor U.

    Returns
    -------
    (..., n, k)

    Raises
    ------
    ShapeError, DTypeError : as `solve`.
    LinAlgError : there is a 0 on the diagonal.

    Notes
    -----
    Derivative: every order.  Kernel: composition, two triangular systems.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.linalg.cholesky_solve(gl.tensor([[4.0], [18.0]]), gl.tensor([[2.0, 0.0], [0.0, 3.0]]))
    tensor([[1.],
            [2.]], dtype=float32)
    """
    first, second = (adjoint(l), l) if upper else (l, adjoint(l))
    return solve_triangular(second, solve_triangular(first, x, upper=False), upper=True)


op.register(inv=inv, solve=solve)
