"""Picking along an axis by an index for each element, sorting, one-hot codes, triangles."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import backend as backends
from ..core import Tensor, apart, integers, leaf, op, sample
from ..errors import DTypeError, ShapeError, message, operand
from ..spec import INTEGER, Spec, as_dtype, default_float, int64, normalize_axis
from .comparisons import equal
from .elementwise import cast
from .index import as_indices
from .operands import of_arrays
from .shape import reshape

__all__ = ["argsort", "one_hot", "sort", "take_along_axis", "tril", "triu"]

Array = Any


# -- along an axis


def _infer_along(x: Spec, indices: Spec, *, axis: int) -> Spec:
    call = "take_along_axis(x, indices, axis)"
    lines = [operand("x", x), operand("indices", indices)]
    if indices.dtype not in INTEGER:
        raise DTypeError(message(f"{call}: indices are {indices.dtype}", lines, "need an integer dtype"))
    if x.ndim != indices.ndim or any(
        a != b for k, (a, b) in enumerate(zip(x.shape, indices.shape, strict=True)) if k != axis
    ):
        raise ShapeError(message(f"{call}: shapes differ", lines, f"need equal sizes but on axis {axis}"))
    return Spec(indices.shape, x.dtype)


def lines(xp: Any, indices: Array, axis: int) -> tuple[Any, ...]:
    """Return the index that picks, for each element of `indices`, that place on its own line along `axis`."""
    shape = indices.shape
    return tuple(
        indices if k == axis else xp.arange(n).reshape([n if j == k else 1 for j in range(len(shape))])
        for k, n in enumerate(shape)
    )


@leaf(
    "take_along_axis",
    infer=_infer_along,
    vjp=(lambda g, ans, x, indices, axis: op.put_along_axis(g, indices, axis=axis, size=x.shape[axis]), None),
    jvp=lambda ts, ans, x, indices, axis: op.take_along_axis(ts[0], indices, axis=axis),
    saves=("indices", ""),
    moves=True,
    samples=lambda: [
        sample((3, 5), integers(0, 5, 3, 1), axis=1),
        sample((4, 3), integers(-4, 4, 7, 3), axis=0),
        sample((1,), integers(0, 1, 1), axis=0),
        sample((0, 3), integers(0, 3, 0, 2), axis=1),
    ],
)
def _take_along(xp: Any, x: Array, indices: Array, *, axis: int) -> Array:
    """y[i, j] = x[i, indices[i, j]], for axis 1 of two."""
    return x[lines(xp, indices, axis)]


@leaf(
    "put_along_axis",
    complex=True,
    infer=lambda g, indices, *, axis, size: Spec((*g.shape[:axis], size, *g.shape[axis + 1 :]), g.dtype),
    vjp=(lambda h, ans, g, indices, axis, size: _take_along(h, indices, axis=axis), None),
    jvp=lambda ts, ans, g, indices, axis, size: op.put_along_axis(ts[0], indices, axis=axis, size=size),
    saves=("indices", ""),
    samples=lambda: [
        sample((3, 1), integers(0, 5, 3, 1), axis=1, size=5),
        sample((7, 3), integers(-4, 4, 7, 3), axis=0, size=4),
        sample((0, 2), integers(0, 3, 0, 2), axis=1, size=3),
    ],
)
def _put_along(xp: Any, g: Array, indices: Array, *, axis: int, size: int) -> Array:
    """y[i, indices[i, j]] += g[i, j], from zeros: the transpose of `take_along_axis`."""
    y = xp.zeros((*g.shape[:axis], size, *g.shape[axis + 1 :]), g.dtype)
    if g.shape[axis] == 1:  # nothing meets
        y[lines(xp, indices, axis)] = g
    else:
        xp.add.at(y, lines(xp, indices, axis), g)
    return y


@of_arrays
def take_along_axis(x: Any, indices: Any, *, axis: int = -1) -> Any:
    """Return, for each line of x along `axis`, its elements at the indices of the same line of `indices`."""
    axis = normalize_axis("take_along_axis(x, indices, axis)", axis, x.ndim)
    return _take_along(x, as_indices(indices), axis=axis)


# -- order


@leaf(
    "argsort",
    infer=lambda x, *, axis, descending: Spec(x.shape, int64),
    samples=lambda: [
        sample(apart(3, 7), axis=1, descending=False),
        sample(lambda rng: rng.integers(0, 3, (9, 2)) * 1.0, axis=0, descending=True),
        sample((0,), axis=0, descending=False),
    ],
)
def _argsort(xp: Any, x: Array, *, axis: int, descending: bool) -> Array:
    """y = the indices that sort x along `axis`; equal elements keep their order."""
    if not descending:
        return xp.argsort(x, axis, kind="stable")
    last = x.shape[axis] - 1
    return xp.ascontiguousarray(xp.flip(last - xp.argsort(xp.flip(x, axis), axis, kind="stable"), axis))


@of_arrays
def argsort(x: Any, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """Return the indices that sort x along `axis`; equal elements keep their order, NaN counts as largest.

    (Also with ``stable=False``: no faster order is offered.)
    """
    return _argsort(x, axis=normalize_axis("argsort(x, axis)", axis, x.ndim), descending=descending)


@of_arrays
def sort(x: Any, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """Return x sorted along `axis`, NaN as largest; the derivative goes back to where each element came from.

    Equal elements keep their order, also with ``stable=False``, and so have each the derivative of their own place.
    """
    return take_along_axis(x, argsort(x, axis=axis, descending=descending), axis=axis)


# -- made of indices


@of_arrays
def one_hot(x: Any, num_classes: int, *, dtype: Any = None) -> Any:
    """Return 1 where the new last axis equals x, else 0, in float32 or `dtype`; a class out of range gives zeros."""
    array = x.data if isinstance(x, Tensor) else x
    if array.dtype not in INTEGER:
        raise DTypeError(message("one_hot(x, num_classes): x is no class index", [operand("x", x)], "need integers"))
    classes = backends.backend_of(array).asarray(np.arange(num_classes, dtype=array.dtype))
    hit = equal(reshape(x, (*x.shape, 1)), classes)
    return cast(hit, default_float if dtype is None else as_dtype(dtype))


def _infer_triangle(name: str) -> Any:
    def infer(x: Spec, *, k: int) -> Spec:
        if x.ndim < 2:
            raise ShapeError(message(f"{name}(x): x has {x.ndim} axes", [operand("x", x)], "need at least 2"))
        return x

    return infer


def _need_matrix(x: Array) -> None:
    if x.ndim < 2:  # NumPy would make a matrix of it
        raise ValueError("x is no matrix")


def _triangle_samples() -> list[Any]:
    return [sample((3, 5), k=0), sample((2, 4, 3), k=1), sample((1, 1), k=-1), sample((0, 2), k=0)]


@leaf("tril", infer=_infer_triangle("tril"), vjp=(lambda g, ans, x, k: op.tril(g, k=k),), linear=True, moves=True,
      samples=_triangle_samples)  # fmt: skip
def tril(xp: Any, x: Array, *, k: int = 0) -> Array:
    """y = x on and below diagonal k of the last two axes, zero above."""
    _need_matrix(x)
    return xp.tril(x, k)


@leaf("triu", infer=_infer_triangle("triu"), vjp=(lambda g, ans, x, k: op.triu(g, k=k),), linear=True, moves=True,
      samples=_triangle_samples)  # fmt: skip
def triu(xp: Any, x: Array, *, k: int = 0) -> Array:
    """y = x on and above diagonal k of the last two axes, zero below."""
    _need_matrix(x)
    return xp.triu(x, k)


op.register(
    argsort=argsort, one_hot=one_hot, put_along_axis=_put_along, sort=sort, take_along_axis=take_along_axis, tril=tril,
    triu=triu,
)  # fmt: skip
