"""Norms of vectors and matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...core import between, fused, leaf, op, sample
from ...errors import DTypeError, ShapeError, message, operand
from ...spec import Spec, is_complex, is_differentiable, normalize_axes, real_of
from ..arithmetic import divide, multiply, power
from ..comparisons import equal, not_equal, where
from ..complex_parts import conj
from ..elementwise import cast
from ..operands import of_arrays, widened
from ..order import abs as magnitude
from ..reduce import any as some
from ..reduce import max as largest
from ..reduce import min as smallest
from ..reduce import sum as total
from ..shape import moveaxis, reshape
from ..total import total as add_up
from .host import check_matrix
from .samples import regular
from .solve import inv
from .svd import svdvals

__all__ = ["cond", "matrix_norm", "norm", "vector_norm"]

Axes = tuple[int, ...]
MATRIX_NORMS = ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf)


def _check(call: str, x: Any) -> None:
    if not is_differentiable(x.dtype):
        fix = "need a floating or complex dtype: x.to(gl.float32)"
        raise DTypeError(message(f"{call}: not defined for {x.dtype}", [operand("x", x)], fix))


def _reduced(x: Spec, axis: Axes, keepdims: bool) -> Spec:
    shape = [1 if i in axis else n for i, n in enumerate(x.shape) if keepdims or i not in axis]
    return Spec(tuple(shape), real_of(x.dtype))


# -- the length, of vectors and matrices alike


def _length_vjp(g: Any, ans: Any, x: Any, axis: Axes, keepdims: bool) -> Any:
    """D||x||[h] = Re(x^H h) / ||x||; at 0 the subgradient 0."""
    zero = equal(ans, 0.0)
    scale = where(zero, 0.0, divide(g, where(zero, 1.0, ans)))
    if not keepdims:
        scale = reshape(scale, tuple(1 if i in axis else n for i, n in enumerate(x.shape)))
    return multiply(conj(x), scale)


@leaf(
    "length",
    complex=True,
    infer=lambda x, *, axis, keepdims: _reduced(x, axis, keepdims),
    vjp=(_length_vjp,),
    saves=("x ans",),
    samples=lambda: [
        sample((7,), axis=(0,), keepdims=False),
        sample((2, 5), axis=(1,), keepdims=True),
        sample((2, 3, 4), axis=(0, 2), keepdims=False),
        sample((3, 0), axis=(1,), keepdims=False),
    ],
)
def _length(xp: Any, x: Any, *, axis: Axes, keepdims: bool) -> Any:
    """y = the root of the sum of |x|^2 over `axis`."""
    squares = (x.real**2 + x.imag**2) if is_complex(x.dtype) else x * x
    return xp.sqrt(add_up(xp, squares, axis, keepdims))


# -- of vectors


def _infer_vector(x: Spec, *, axis: Axes, keepdims: bool, ord: float) -> Spec:
    _check("vector_norm(x)", x)
    return _reduced(x, axis, keepdims)


def _vector_samples() -> list[Any]:
    cases: list[tuple[Any, Axes, bool]] = [((7,), (0,), False), ((2, 5), (1,), True), ((2, 3, 4), (0, 2), False)]
    away = between(0.3, 2.0, 5, 3)
    return [
        *[sample(s, axis=a, keepdims=k, ord=2.0) for s, a, k in cases],
        *[sample(away, axis=(0,), keepdims=False, ord=p) for p in (1.0, 3.0, 2.5, 0.5, -1.0, math.inf, -math.inf)],
        sample((5, 3), axis=(0, 1), keepdims=False, ord=0.0, smooth=False),
        sample((3, 0), axis=(1,), keepdims=False, ord=2.0),
    ]


@fused("vector_norm", infer=_infer_vector, complex=True, samples=_vector_samples)
def _vector_norm(x: Any, *, axis: Axes, keepdims: bool, ord: float) -> Any:
    """y = (the sum of |x|^ord over `axis`)^(1 / ord), and its limits."""
    over: dict[str, Any] = {"axis": axis, "keepdims": keepdims}
    if ord == 2.0:
        return _length(x, **over)
    if ord == 0.0:
        return total(cast(not_equal(x, 0.0), real_of(x.dtype)), **over)
    size = magnitude(x)
    if ord == 1.0:
        return total(size, **over)
    if math.isinf(ord):
        return (largest if ord > 0 else smallest)(size, **over)
    zero = equal(size, 0.0)
    powers = power(where(zero, 1.0, size), ord)  # at 0 a power may have an infinite derivative
    if ord < 0:
        return where(some(zero, **over), 0.0, power(total(powers, **over), 1.0 / ord))
    sums = total(where(zero, 0.0, powers), **over)
    none = equal(sums, 0.0)
    return where(none, 0.0, power(where(none, 1.0, sums), 1.0 / ord))


@of_arrays
def vector_norm(x: Any, /, *, axis: int | Sequence[int] | None = None, keepdims: bool = False, ord: float = 2) -> Any:
    """y = (sum |x|^ord)^(1 / ord) over `axis`: the length of vectors.

    Parameters
    ----------
    x : floating or complex, of any shape.
    axis : the axes over which the vectors lie; all for None.
    keepdims : whether these axes stay, with size 1.
    ord : 2; any other number; ``inf`` for the largest |x|, ``-inf`` for the smallest; 0 counts what is not 0.

    Returns
    -------
    an array of x's dtype, or of that of its real part.

    Raises
    ------
    ShapeError : there is no such axis; the extreme of no elements.
    DTypeError : integers or booleans.

    Notes
    -----
    Derivative: every order.  Where there is none a subgradient is taken: 0 for the vector 0, and for elements that are
    0; the largest elements share equally.  For 0 < ord < 1 the derivative at an element that is 0 is infinite, and 0 is
    taken.  ``ord=0`` is constant.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.linalg.vector_norm(gl.tensor([3.0, 4.0]))
    tensor(5., dtype=float32)
    """
    _check("vector_norm(x)", x)
    axes = normalize_axes("vector_norm(x, axis)", axis, x.ndim)
    if ord == 2:
        return _length(x, axis=axes, keepdims=keepdims)
    return _vector_norm(x, axis=axes, keepdims=keepdims, ord=float(ord))


# -- of matrices


def _infer_matrix(x: Spec, *, keepdims: bool, ord: Any) -> Spec:
    _check("matrix_norm(x)", x)
    return _reduced(x, (x.ndim - 2, x.ndim - 1), keepdims)


def _matrix_samples() -> list[Any]:
    return [
        *[sample(regular(3, 3), keepdims=False, ord=p) for p in MATRIX_NORMS],
        sample(regular(2, 4, 3), keepdims=True, ord="nuc"),
        sample(regular(2, 4, 3), keepdims=True, ord=-1),
        sample((2, 5, 2), keepdims=True, ord="fro"),
    ]


@fused("matrix_norm", infer=_infer_matrix, complex=True, samples=_matrix_samples)
def _matrix_norm(x: Any, *, keepdims: bool, ord: Any) -> Any:
    """y = a norm of each matrix."""
    both: dict[str, Any] = {"axis": (-2, -1), "keepdims": keepdims}
    if ord == "fro":
        return _length(x, axis=(x.ndim - 2, x.ndim - 1), keepdims=keepdims)
    if ord in ("nuc", 2, -2):
        s = op.expand_dims(svdvals(x), -1)
        return {"nuc": total, 2: largest, -2: smallest}[ord](s, **both)
    sums = total(magnitude(x), axis=-2 if ord in (1, -1) else -1, keepdims=True)
    return (largest if ord > 0 else smallest)(sums, **both)


@of_arrays
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """y = ||x||, a norm of each matrix of the batch.

    Parameters
    ----------
    x : (..., m, n), floating or complex.
    keepdims : whether the last two axes stay, with size 1.
    ord : ``"fro"``, the root of the sum of squares; ``"nuc"``, the sum of the singular values; 2 and -2, the largest
        and smallest of them; 1 and -1, the largest and smallest sum of a column; ``inf`` and ``-inf``, of a row.

    Returns
    -------
    (...) : of x's dtype, or of that of its real part.

    Raises
    ------
    ShapeError : x has fewer than two axes.
    DTypeError : integers or booleans.
    ValueError : another `ord`.

    Notes
    -----
    Derivative: every order.  Where there is none a subgradient is taken: 0 for the matrix 0 under ``"fro"``; for
    ``"nuc"`` and 2 one that the singular vectors at hand give; equal largest sums or values share equally.
    Kernel: composition; ``"nuc"`` and 2 by `svdvals`.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.linalg.matrix_norm(gl.tensor([[3.0, 0.0], [0.0, -4.0]]), ord=1)
    tensor(4., dtype=float32)
    """
    if x.ndim < 2:
        raise ShapeError(message(f"matrix_norm(x): x has {x.ndim} axes", [operand("x", x)], "need at least 2"))
    if ord not in MATRIX_NORMS:
        raise ValueError(f"matrix_norm(x, ord): ord is {ord!r}\n  need one of {', '.join(map(repr, MATRIX_NORMS))}")
    _check("matrix_norm(x)", x)
    if ord == "fro":
        return _length(x, axis=(x.ndim - 2, x.ndim - 1), keepdims=keepdims)
    return _matrix_norm(x, keepdims=keepdims, ord=ord)


@of_arrays
def norm(x: Any, /, ord: Any = None, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
    """y = ||x|| as in NumPy: `vector_norm` along one axis, `matrix_norm` over two, the length of all of x for no `ord`.

    Parameters
    ----------
    x : floating or complex.
    ord : as in `vector_norm` and `matrix_norm`; None for 2 and ``"fro"``.
    axis : one axis, or two; all of x for None.
    keepdims : whether these axes stay, with size 1.

    Returns
    -------
    an array of x's dtype, or of that of its real part.

    Raises
    ------
    ShapeError : an `ord` without an `axis` for x of other than one or two axes; or more than two axes.
    DTypeError, ValueError : as `vector_norm` and `matrix_norm`.

    Notes
    -----
    Derivative: as `vector_norm` and `matrix_norm`.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.linalg.norm(gl.tensor([[3.0, 0.0], [0.0, 4.0]]))
    tensor(5., dtype=float32)
    """
    axes = normalize_axes("norm(x, axis)", axis, x.ndim)
    if axis is None and ord is None:
        return vector_norm(x, keepdims=keepdims)
    if len(axes) == 1:
        return vector_norm(x, axis=axes, keepdims=keepdims, ord=2 if ord is None else ord)
    if len(axes) != 2:
        what = f"norm(x, ord, axis): {len(axes)} axes"
        raise ShapeError(message(what, [operand("x", x)], "need one axis (vectors) or two (matrices)"))
    first, last = axes if axis is None or isinstance(axis, int) else tuple(a % x.ndim for a in axis)
    y = matrix_norm(moveaxis(x, (first, last), (-2, -1)), keepdims=keepdims, ord="fro" if ord is None else ord)
    return moveaxis(y, (-2, -1), (first, last)) if keepdims else y


@of_arrays
@widened
def cond(x: Any, /, p: Any = None) -> Any:
    """y = ||x|| ||x^-1||, the condition number of each matrix of the batch.

    Parameters
    ----------
    x : (..., m, n), floating or complex; square unless `p` is None, 2 or -2.
    p : which norm, as in `matrix_norm`; None for 2.

    Returns
    -------
    (...) : real.

    Raises
    ------
    ShapeError, DTypeError, ValueError : as `matrix_norm` and `inv`.
    LinAlgError : a matrix is singular, for a norm that is not made of singular values.

    Notes
    -----
    Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.linalg.cond(gl.tensor([[4.0, 0.0], [0.0, 2.0]]))
    tensor(2., dtype=float32)
    """
    check_matrix("cond(x)", x)
    if p in (None, 2, -2):
        s = svdvals(x)
        high, low = largest(s, axis=-1), smallest(s, axis=-1)
        return divide(low, high) if p == -2 else divide(high, low)
    return multiply(matrix_norm(x, ord=p), matrix_norm(inv(x), ord=p))


op.register(vector_norm=vector_norm)
