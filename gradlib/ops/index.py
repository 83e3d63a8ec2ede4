"""Picking elements: slices, index arrays, masks; and the transposes, which add elements back into place.

Everything between brackets becomes at most one slicing, one permutation of axes and one `take` along one axis.
"""

from __future__ import annotations

import math
import operator
from typing import Any, NamedTuple

import numpy as np

from .. import backend as backends
from ..core import Tensor, integers, leaf, op, sample
from ..errors import DTypeError, ShapeError, message, operand
from ..spec import INTEGER, Spec, bool_, default_float, int64, normalize_axis
from .arithmetic import add, multiply
from .comparisons import less, where
from .elementwise import cast
from .operands import of_arrays
from .shape import broadcast_arrays, permute_dims, reshape

__all__ = ["getitem", "nonzero", "take"]

Array = Any
Shape = tuple[int, ...]


# -- slices


class Cut(NamedTuple):
    """A slice within the bounds of its axis, as a hashable value."""

    start: int
    stop: int | None
    step: int


Pattern = tuple[Any, ...]  # of Cut, int and None: what stands between the brackets, one entry an axis


def between_brackets(pattern: Pattern) -> tuple[Any, ...]:
    return tuple(slice(*p) if type(p) is Cut else p for p in pattern)


def _infer_slice(x: Spec, *, pattern: Pattern) -> Spec:
    sizes = iter(x.shape)
    shape = []
    for p in pattern:
        if p is None:
            shape.append(1)
        elif type(p) is Cut:
            shape.append(len(range(*slice(*p).indices(next(sizes)))))
        else:
            next(sizes)
    return Spec(tuple(shape), x.dtype)


def _slice_samples() -> list[Any]:
    return [
        sample((5, 7), pattern=(Cut(1, 4, 1), Cut(0, 7, 3))),
        sample((5, 7), pattern=(2, Cut(6, None, -2))),
        sample((3, 2), pattern=(None, Cut(0, 3, 1), None, 1)),
        sample((1,), pattern=(0,)),
        sample((3,), pattern=(Cut(2, 2, 1),)),
    ]


@leaf(
    "slice",
    infer=_infer_slice,
    vjp=(lambda g, ans, x, pattern: op.unslice(g, pattern=pattern, shape=x.shape),),
    linear=True,
    view=True,
    moves=True,
    samples=_slice_samples,
)
def _slice(xp: Any, x: Array, *, pattern: Pattern) -> Array:
    """y = x[pattern], for whole numbers, slices and new axes."""
    return x[between_brackets(pattern)]


@leaf(
    "unslice",
    infer=lambda g, *, pattern, shape: Spec(shape, g.dtype),
    vjp=(lambda h, ans, g, pattern, shape: _slice(h, pattern=pattern),),
    linear=True,
    moves=True,
    samples=lambda: [
        sample(_infer_slice(Spec(s.args[0], default_float), **s.params).shape, shape=s.args[0], **s.params)
        for s in _slice_samples()
    ],
)
def _unslice(xp: Any, g: Array, *, pattern: Pattern, shape: Shape) -> Array:
    """y = zeros of `shape`, with y[pattern] = g."""
    y = xp.zeros(shape, g.dtype)
    y[between_brackets(pattern)] = g
    return y


# -- take


def _infer_take(x: Spec, indices: Spec, *, axis: int) -> Spec:
    call = "take(x, indices, axis)"
    if indices.dtype not in INTEGER:
        raise DTypeError(
            message(f"{call}: indices are {indices.dtype}", [operand("indices", indices)], "need an integer dtype")
        )
    return Spec((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), x.dtype)


@leaf(
    "take",
    infer=_infer_take,
    vjp=(lambda g, ans, x, indices, axis: op.index_add(g, indices, axis=axis, size=x.shape[axis]), None),
    jvp=lambda ts, ans, x, indices, axis: op.take(ts[0], indices, axis=axis),
    saves=("indices", ""),
    moves=True,
    samples=lambda: [
        sample((5, 3), integers(-5, 5, 7), axis=0),
        sample((2, 7, 3), integers(0, 7, 2, 4, dtype="int32"), axis=1),
        sample((4,), integers(0, 4), axis=0),
        sample((3, 2), integers(0, 3, 0), axis=0),
    ],
)
def _take(xp: Any, x: Array, indices: Array, *, axis: int) -> Array:
    """y[..., i, ...] = x[..., indices[i], ...]."""
    return xp.take(x, indices, axis)


@leaf(
    "index_add",
    complex=True,
    infer=lambda g, indices, *, axis, size: Spec(
        (*g.shape[:axis], size, *g.shape[axis + indices.ndim :]), g.dtype
    ),
    vjp=(lambda h, ans, g, indices, axis, size: _take(h, indices, axis=axis), None),
    jvp=lambda ts, ans, g, indices, axis, size: op.index_add(ts[0], indices, axis=axis, size=size),
    saves=("indices", ""),
    samples=lambda: [
        sample((7, 3), integers(-5, 5, 7), axis=0, size=5),
        sample((2, 2, 4, 3), integers(0, 7, 2, 4, dtype="int32"), axis=1, size=7),
        sample((2,), integers(0, 4), axis=0, size=4),
        sample((60,), integers(0, 4, 60), axis=0, size=4),
        sample((4, 0), integers(0, 3, 4), axis=0, size=3),
    ],
)  # fmt: skip
def _index_add(xp: Any, g: Array, indices: Array, *, axis: int, size: int) -> Array:
    """y[..., indices[i], ...] += g[..., i, ...], from zeros, in an order of its own: the transpose of `take`."""
    before, after = g.shape[:axis], g.shape[axis + indices.ndim :]
    y = xp.zeros((*before, size, *after), g.dtype)
    count = indices.size
    if g.size == 0:
        return y
    places = indices.reshape(-1) % size
    rows = xp.moveaxis(g.reshape(math.prod(before), count, math.prod(after)), 1, 0)
    target = xp.moveaxis(y.reshape(math.prod(before), size, math.prod(after)), 1, 0)
    if xp is not np or rows[0].size == 1:
        xp.add.at(target, places, rows)
        return y
    order = places.argsort(kind="stable")
    places = places[order]
    starts = np.flatnonzero(np.concatenate(([True], places[1:] != places[:-1])))
    target[places[starts]] = np.add.reduceat(rows[order], starts, axis=0)
    return y


def take(x: Any, indices: Any, *, axis: int | None = None) -> Any:
    """Return the elements of x at `indices` along `axis` (of the flattened x for None); negative ones from the end.

    The derivative adds the cotangents back into place, in order, so it is the same bits every time.
    """
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    axis = normalize_axis("take(x, indices, axis)", axis, x.ndim)
    return _take(x, as_indices(indices), axis=axis)


def as_indices(indices: Any) -> Any:
    """Return `indices` as an array or Tensor (a list of nothing counts as integers)."""
    if hasattr(indices, "dtype"):
        return indices
    array = np.asarray(indices)
    return array.astype(int64) if array.size == 0 else array


# -- brackets


@of_arrays
def getitem(x: Any, index: Any) -> Any:
    """Return x[index], for whole numbers, slices, ``...``, None, index arrays and masks, as NumPy does.

    What index arrays pick is a copy; its derivative adds up where an element is picked more than once.

    >>> import gradlib as gl
    >>> x = gl.reshape(gl.arange(6.0), (2, 3))
    >>> x[1, ::-1]
    tensor([5., 4., 3.], dtype=float32)
    >>> x[x > 2.5]
    tensor([3., 4., 5.], dtype=float32)
    """
    pattern, picks = parse(x, index)
    if not picks:
        return _slice(x, pattern=pattern)
    if any(p is None or p != Cut(0, n, 1) for p, n in _per_axis(x, pattern)):
        x = _slice(x, pattern=pattern)
    return _pick(x, picks)


def _per_axis(x: Any, pattern: Pattern) -> list[tuple[Any, int]]:
    sizes = iter(x.shape)
    return [(p, -1 if p is None else next(sizes)) for p in pattern]


def parse(x: Any, index: Any) -> tuple[Pattern, dict[int, Any]]:
    """Return the slicing part of an index, and the index arrays by the axis they pick from after that."""
    items = [_item(i) for i in (index if type(index) is tuple else (index,))]
    used = sum(_axes_used(i) for i in items)
    ellipses = [k for k, i in enumerate(items) if i is Ellipsis]
    if used > x.ndim or len(ellipses) > 1:
        what = "two or more ellipses" if len(ellipses) > 1 else f"{used} indices for {x.ndim} axes"
        raise IndexError(message(f"x[index]: {what}", [operand("x", x)], "need one index per axis at most"))
    at = ellipses[0] if ellipses else len(items)
    items[at : at + len(ellipses)] = [slice(None)] * (x.ndim - used)
    arrays = any(_is_array(i) for i in items)
    pattern: list[Any] = []
    picks: dict[int, Any] = {}
    axis = 0  # of x
    place = 0  # of what the slicing leaves
    for item in items:
        if item is None:
            pattern.append(None)
        elif isinstance(item, slice):
            pattern.append(_cut(item, x.shape[axis]))
        elif _is_array(item) and item.dtype == bool_ and item.ndim == 0:  # picks all or nothing of a new axis
            pattern.append(None)
            (picks[place],) = nonzero(reshape(item, (1,)))
        elif _is_array(item):
            for array in _masked(x, item, axis) if item.dtype == bool_ else (item,):
                pattern.append(Cut(0, x.shape[axis], 1))
                picks[place] = array
                axis, place = axis + 1, place + 1
            continue
        else:
            number = _number(x, item, axis)
            if not arrays:
                pattern.append(number)
                axis += 1
                continue
            pattern.append(Cut(0, x.shape[axis], 1))  # beside index arrays a number counts as one of them
            picks[place] = np.asarray(number)
        axis, place = axis + _axes_used(item), place + 1
    return tuple(pattern), picks


def _item(item: Any) -> Any:
    if isinstance(item, (bool, np.bool_, float)):
        raise DTypeError(f"x[index]: {item!r} is no index\n  need whole numbers, slices, None, ..., or arrays")
    if isinstance(item, (list, tuple)):
        item = as_indices(item)
    if hasattr(item, "dtype") and item.dtype != bool_ and item.dtype not in INTEGER:
        what = f"x[index]: an index is {item.dtype}"
        raise DTypeError(message(what, [operand("index", item)], "need integers or bool"))
    return int(item) if isinstance(item, np.integer) else item


def _is_array(item: Any) -> bool:
    return hasattr(item, "dtype")


def _axes_used(item: Any) -> int:
    if item is None or item is Ellipsis:
        return 0
    return item.ndim if _is_array(item) and item.dtype == bool_ else 1


def _cut(item: slice, size: int) -> Cut:
    start, stop, step = item.indices(size)
    return Cut(start, None if stop < 0 else stop, step)  # a stop of -1 would mean the last element


def _number(x: Any, item: Any, axis: int) -> int:
    try:
        number = operator.index(item)
    except TypeError:
        raise DTypeError(
            f"x[index]: an index of type {type(item).__name__}\n  need whole numbers, slices, None, ..., or arrays"
        ) from None
    size = x.shape[axis]
    if not -size <= number < size:
        raise IndexError(message(f"x[index]: index {number} on axis {axis} of size {size}", [operand("x", x)]))
    return int(number % size)


def _masked(x: Any, mask: Any, axis: int) -> tuple[Any, ...]:
    """Return the indices of what a mask selects."""
    covered = tuple(x.shape[axis : axis + mask.ndim])
    if any(m not in (n, 0) for m, n in zip(mask.shape, covered, strict=True)):  # the standard lets 0 fit any size
        lines = [operand("x", x), operand("mask", mask)]
        raise IndexError(message(f"x[mask]: mask has shape {mask.shape}, those axes {covered}", lines))
    return nonzero(mask)


def _pick(x: Any, picks: dict[int, Any]) -> Any:
    """Take along the axes of `picks`, which may be several: they are joined, as are their indices."""
    axes = tuple(picks)
    front = axes[0] if axes[-1] - axes[0] == len(axes) - 1 else 0
    rest = [a for a in range(x.ndim) if a not in picks]
    order = (*rest[:front], *axes, *rest[front:])
    sizes = [x.shape[a] for a in axes]
    if order != tuple(range(x.ndim)):
        x = permute_dims(x, order)
    if len(axes) == 1:
        return _take(x, picks[axes[0]], axis=front)
    place: Any = None
    for indices, size in zip(broadcast_arrays(*picks.values()), sizes, strict=True):
        check_bounds(indices, size)
        indices = cast(indices, int64)
        indices = where(less(indices, 0), add(indices, size), indices)
        place = indices if place is None else add(multiply(place, size), indices)
    x = reshape(x, (*x.shape[:front], math.prod(sizes), *x.shape[front + len(axes) :]))
    return _take(x, place, axis=front)


def check_bounds(indices: Any, size: int) -> None:
    """On the CPU, refuse an index outside the axis (on a GPU that would mean waiting for it)."""
    array = indices.data if isinstance(indices, Tensor) else indices
    array = getattr(array, "physical", array)  # of all examples, under vmap
    if type(array) is np.ndarray and array.size and not (-size <= array.min() and array.max() < size):
        raise IndexError(f"x[index]: indices from {array.min()} to {array.max()} on an axis of size {size}")


@of_arrays
def nonzero(x: Any) -> tuple[Any, ...]:
    """Return, for each axis, the indices of the elements that are not zero, in row-major order."""
    array = x.data if isinstance(x, Tensor) else x
    if array.ndim == 0:
        raise ShapeError(message("nonzero(x): x has no axes", [operand("x", x)], "need x.reshape(1)"))
    found = array.nonzero()
    backend = backends.backend_of(array)
    indices = [backend.coerce(i) for i in found]
    return tuple(Tensor(i) for i in indices) if isinstance(x, Tensor) else tuple(indices)


op.register(getitem=getitem, index_add=_index_add, nonzero=nonzero, slice=_slice, take=take, unslice=_unslice)
