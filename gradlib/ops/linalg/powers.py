"""Products of many matrices: powers, and chains in the order that takes the least work."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...core import op
from ...errors import DTypeError, ShapeError, message, operand
from ..matmul import matmul
from ..operands import of_arrays, widened
from .solve import inv

__all__ = ["matrix_power", "multi_dot"]


@of_arrays
@widened
def matrix_power(x: Any, n: int, /) -> Any:
    """Y = X^n = X X ... X, of each matrix of the batch; the inverse's power for a negative n.

    Parameters
    ----------
    x : (..., m, m), of any dtype; floating or complex for a negative n.
    n : int.

    Returns
    -------
    (..., m, m)

    Raises
    ------
    ShapeError : the matrices are not square.
    LinAlgError : n is negative and a matrix is singular.

    Notes
    -----
    Derivative: every order.  Kernel: composition, about log2(n) products.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.linalg.matrix_power(gl.tensor([[1.0, 1.0], [0.0, 1.0]]), 5)
    tensor([[1., 5.],
            [0., 1.]], dtype=float32)
    """
    n = operator.index(n)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        what = f"matrix_power(x, n): x has shape {tuple(x.shape)}"
        raise ShapeError(message(what, [operand("x", x, "..., m, m")], "need square matrices"))
    if n == 0:
        return op.add(op.zeros_like(x), np.eye(x.shape[-1], dtype=x.dtype))
    if n < 0:
        x, n = inv(x), -n
    y = None
    while True:
        if n & 1:
            y = x if y is None else matmul(y, x)
        n >>= 1
        if not n:
            return y
        x = matmul(x, x)


def multi_dot(arrays: Sequence[Any], /) -> Any:
    """y = arrays[0] @ arrays[1] @ ..., multiplied in the order that takes the fewest operations.

    Parameters
    ----------
    arrays : two or more matrices; the first and the last may be vectors.

    Returns
    -------
    a matrix, a vector, or a number.

    Raises
    ------
    ShapeError : fewer than two arrays, an array that is no matrix, or sizes that do not fit.

    Notes
    -----
    Derivative: every order.  Kernel: composition.

    Examples
    --------
    >>> import gradlib as gl
    >>> gl.linalg.multi_dot([gl.ones((10, 100)), gl.ones((100, 5)), gl.ones((5, 50))]).shape
    (10, 50)
    """
    arrays = list(arrays)
    if len(arrays) < 2:
        raise ShapeError(f"multi_dot(arrays): there are {len(arrays)} arrays\n  need at least 2")
    last = len(arrays) - 1
    for i, x in enumerate(arrays):
        if not hasattr(x, "ndim"):
            what = f"multi_dot(arrays): arrays[{i}] is of type {type(x).__name__}"
            raise DTypeError(f"{what}\n  need a Tensor or an array: gl.tensor(...)")
        if x.ndim != 2 and not (x.ndim == 1 and i in (0, last)):
            what = f"multi_dot(arrays): arrays[{i}] has {x.ndim} axes"
            raise ShapeError(message(what, [operand(f"arrays[{i}]", x)], "need matrices (vectors at the ends)"))
    sizes = [
        1 if arrays[0].ndim == 1 else arrays[0].shape[0],
        *[x.shape[-2] if x.ndim > 1 else x.shape[0] for x in arrays[1:]],
    ]
    sizes.append(1 if arrays[last].ndim == 1 else arrays[last].shape[1])
    return _chain(arrays, _splits(sizes), 0, last)


def _splits(sizes: Sequence[int]) -> dict[tuple[int, int], int]:
    """Return, for each run of factors, behind which one it is cut for the fewest multiplications."""
    n = len(sizes) - 1
    cost = {(i, i): 0 for i in range(n)}
    cut: dict[tuple[int, int], int] = {}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            choices = {k: cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1] for k in range(i, j)}
            cut[i, j] = min(choices, key=choices.__getitem__)
            cost[i, j] = choices[cut[i, j]]
    return cut


def _chain(arrays: Sequence[Any], cut: dict[tuple[int, int], int], i: int, j: int) -> Any:
    if i == j:
        return arrays[i]
    k = cut[i, j]
    return matmul(_chain(arrays, cut, i, k), _chain(arrays, cut, k + 1, j))
