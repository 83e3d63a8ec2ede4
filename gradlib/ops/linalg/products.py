"""Products of vectors and matrices, all made of `matmul` and elementwise products."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

from ...core import fused, op, sample
from ...errors import DTypeError, ShapeError, message, operand
from ...spec import Spec, bool_, broadcast_shapes, normalize_axis
from ..arithmetic import multiply, subtract
from ..complex_parts import conj
from ..diagonal import diagonal
from ..join import roll
from ..matmul import matmul
from ..operands import of_arrays
from ..reduce import sum as total
from ..shape import moveaxis, reshape
from .parts import column, row

__all__ = ["cross", "kron", "outer", "tensordot", "trace", "vecdot"]

Axes = int | tuple[Sequence[int], Sequence[int]]


def _lines(x1: Any, x2: Any) -> list[str]:
    return [operand("x1", x1), operand("x2", x2)]


@of_arrays
def tensordot(x1: Any, x2: Any, /, *, axes: Axes = 2) -> Any:
    """y[i..., j...] = sum over k... of x1[i..., k...] x2[k..., j...]: a product over several axes at once.

    Parameters
    ----------
    x1, x2 : of any dtype; the two are brought to a common one.
    axes : how many of x1's last and x2's first axes are summed over; or the axes of each, in pairs.

    Returns
    -------
    an array with the axes of x1 that are left, then those of x2.

    Raises
    ------
    ShapeError : the sizes of a pair differ, or there is no such axis.

    Notes
    -----
    Derivative: every order.  Kernel: composition, one `matmul`.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.tensordot(gl.ones((2, 3, 4)), gl.ones((3, 4, 5))).shape
    (2, 5)
    """
    call = "tensordot(x1, x2, axes)"
    if isinstance(axes, (tuple, list)):
        first, second = ([a] if isinstance(a, int) else list(a) for a in axes)
        a1 = [normalize_axis(call, a, x1.ndim) for a in first]
        a2 = [normalize_axis(call, a, x2.ndim) for a in second]
    else:
        n = operator.index(axes)
        if not 0 <= n <= min(x1.ndim, x2.ndim):
            raise ShapeError(message(f"{call}: axes is {n}", _lines(x1, x2), "need as many axes in each"))
        a1, a2 = list(range(x1.ndim - n, x1.ndim)), list(range(n))
    sizes1, sizes2 = [x1.shape[a] for a in a1], [x2.shape[a] for a in a2]
    if sizes1 != sizes2 or len(set(a1)) != len(a1) or len(set(a2)) != len(a2):
        what = f"{call}: sizes along the axes are {tuple(sizes1)} and {tuple(sizes2)}"
        raise ShapeError(message(what, _lines(x1, x2), "need equal sizes in pairs, each axis once"))
    k = math.prod(sizes1)
    left = moveaxis(x1, a1, list(range(x1.ndim - len(a1), x1.ndim)))
    right = moveaxis(x2, a2, list(range(len(a2))))
    kept1, kept2 = tuple(left.shape[: x1.ndim - len(a1)]), tuple(right.shape[len(a2) :])
    y = matmul(reshape(left, (math.prod(kept1), k)), reshape(right, (k, math.prod(kept2))))
    return reshape(y, (*kept1, *kept2))


@of_arrays
def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """y = sum over `axis` of conj(x1) x2, the inner product of vectors.

    Parameters
    ----------
    x1, x2 : of any dtype; the two are brought to a common one.  Other axes broadcast.
    axis : where the vectors lie, counted from the end in both.

    Returns
    -------
    an array of the broadcast shape without `axis`.

    Raises
    ------
    ShapeError : the vectors' lengths differ, or the other axes do not broadcast.

    Notes
    -----
    Derivative: every order.  Kernel: composition, one `matmul`.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.vecdot(gl.tensor([[1.0, 2.0], [3.0, 4.0]]), gl.tensor([10.0, 1.0]))
    tensor([12., 34.], dtype=float32)
    """
    x1, x2 = _last("vecdot(x1, x2, axis)", x1, x2, axis)
    y = matmul(row(conj(x1)), column(x2))
    return reshape(y, tuple(y.shape[:-2]))


def _last(call: str, x1: Any, x2: Any, axis: int) -> tuple[Any, Any]:
    """Return both with the vectors along the last axis."""
    a1, a2 = normalize_axis(call, axis, x1.ndim), normalize_axis(call, axis, x2.ndim)
    if x1.shape[a1] != x2.shape[a2]:
        what = f"{call}: vectors of x1 have {x1.shape[a1]} elements, of x2 {x2.shape[a2]}"
        raise ShapeError(message(what, _lines(x1, x2), "need equal lengths"))
    x1, x2 = moveaxis(x1, a1, -1), moveaxis(x2, a2, -1)
    broadcast_shapes(call, tuple(x1.shape[:-1]), tuple(x2.shape[:-1]))
    return x1, x2


@of_arrays
def outer(x1: Any, x2: Any, /) -> Any:
    """y[i, j] = x1[i] x2[j].

    Parameters
    ----------
    x1 : (m,)
    x2 : (n,)
        Of any dtype; the two are brought to a common one.

    Returns
    -------
    (m, n)

    Raises
    ------
    ShapeError : another number of axes than one.

    Notes
    -----
    Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.linalg.outer(gl.tensor([1.0, 2.0]), gl.tensor([1.0, 10.0]))
    tensor([[ 1., 10.],
            [ 2., 20.]], dtype=float32)
    """
    if x1.ndim != 1 or x2.ndim != 1:
        what = f"outer(x1, x2): x1 has {x1.ndim} axes, x2 has {x2.ndim}"
        raise ShapeError(message(what, _lines(x1, x2), "need vectors; x1[..., :, None] * x2[..., None, :] takes any"))
    return multiply(column(x1), row(x2))


def _infer_cross(x1: Spec, x2: Spec) -> Spec:
    return Spec(broadcast_shapes("cross(x1, x2)", x1.shape, x2.shape), x1.dtype)


@fused(
    "cross",
    infer=_infer_cross,
    promote="same",
    complex=True,
    samples=lambda: [sample((3,), (3,)), sample((2, 3), (3,)), sample((4, 1, 3), (2, 3)), sample((0, 3), (0, 3))],
)
def _cross(x1: Any, x2: Any) -> Any:
    """y_i = x1_j x2_k - x1_k x2_j for (i, j, k) cyclic, along the last axis."""
    forward, backward = (multiply(roll(x1, -i, -1), roll(x2, i, -1)) for i in (1, -1))
    return subtract(forward, backward)


@of_arrays
def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """y = x1 x x2, the vector product of vectors of 3 elements along `axis`.

    Parameters
    ----------
    x1, x2 : numbers; the two are brought to a common dtype.  Other axes broadcast.
    axis : where the vectors lie in each.

    Returns
    -------
    an array of the broadcast shape.

    Raises
    ------
    ShapeError : the vectors have not 3 elements, or the other axes do not broadcast.
    DTypeError : booleans.

    Notes
    -----
    Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.linalg.cross(gl.tensor([1.0, 0.0, 0.0]), gl.tensor([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.], dtype=float32)
    """
    call = "cross(x1, x2, axis)"
    if bool_ in (x1.dtype, x2.dtype):
        raise DTypeError(message(f"{call}: not defined for bool", _lines(x1, x2), "need numbers: x1.to(gl.int64)"))
    x1, x2 = _last(call, x1, x2, axis)
    if x1.shape[-1] != 3:
        what = f"{call}: vectors have {x1.shape[-1]} elements"
        raise ShapeError(message(what, _lines(x1, x2), f"need 3 along axis {axis}"))
    return moveaxis(_cross(x1, x2), -1, axis)


@of_arrays
def kron(x1: Any, x2: Any, /) -> Any:
    """y = x1 (x) x2, the Kronecker product: every element of x1 times all of x2, in its place.

    Parameters
    ----------
    x1, x2 : of any dtype; the two are brought to a common one.  Missing axes are added in front, with size 1.

    Returns
    -------
    an array whose size along each axis is the product of theirs (also along leading axes, as in NumPy).

    Notes
    -----
    Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.linalg.kron(gl.tensor([1.0, 10.0]), gl.tensor([1.0, 2.0]))
    tensor([ 1.,  2., 10., 20.], dtype=float32)
    """
    n = max(x1.ndim, x2.ndim)
    shape1, shape2 = (1,) * (n - x1.ndim) + tuple(x1.shape), (1,) * (n - x2.ndim) + tuple(x2.shape)
    x1 = reshape(x1, tuple(k for size in shape1 for k in (size, 1)))
    x2 = reshape(x2, tuple(k for size in shape2 for k in (1, size)))
    return reshape(multiply(x1, x2), tuple(a * b for a, b in zip(shape1, shape2, strict=True)))


@of_arrays
def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """y = sum over i of x[..., i, i + offset].

    Parameters
    ----------
    x : (..., m, n), of any dtype; integers and bool are added in 64 bits.
    offset : which diagonal, above the main one for a positive number.
    dtype : in which the elements are added.

    Returns
    -------
    (...)

    Raises
    ------
    ShapeError : x has fewer than two axes.

    Notes
    -----
    Derivative: every order (linear).  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.linalg.trace(gl.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(5., dtype=float32)
    """
    if x.ndim < 2:
        raise ShapeError(message(f"trace(x): x has {x.ndim} axes", [operand("x", x)], "need at least 2"))
    return total(diagonal(x, offset=offset), axis=-1, dtype=dtype)


op.register(tensordot=tensordot, vecdot=vecdot)
