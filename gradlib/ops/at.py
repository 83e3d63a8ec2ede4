"""``x.at[index].set(v)`` and its kin: a new tensor with some elements changed, in the place of ``x[index] = v``.

Slices have ops of their own.  Any other index becomes the places it picks in the flattened array; where it picks one
more than once, `add` adds all, `set` keeps the last, and `min` and `max` the extreme, on every device the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import backend as backends
from ..core import Tensor, integers, leaf, op, sample, zeros_as
from ..errors import DTypeError, ShapeError, message, operand
from ..spec import Spec, bool_, broadcast_shapes, promote
from .arithmetic import add, divide, multiply, negative
from .comparisons import equal, where
from .elementwise import cast
from .index import Cut, Pattern, between_brackets, getitem, parse
from .order import maximum
from .shape import broadcast_to, reshape

__all__ = ["at"]

Array = Any


def _nothing(g: Any, v: Any) -> Any:
    return zeros_as(g, shape=v.shape, dtype=g.dtype)


# -- slices


@leaf(
    "slice_set",
    infer=lambda x, v, *, pattern: x,
    vjp=(
        lambda g, ans, x, v, pattern: op.slice_set(g, _nothing(g, v), pattern=pattern),
        lambda g, ans, x, v, pattern: op.slice(g, pattern=pattern),
    ),
    linear=True,
    moves=True,
    samples=lambda: [
        sample((5, 7), (3, 3), pattern=(Cut(1, 4, 1), Cut(0, 7, 3))),
        sample((5, 7), (4,), pattern=(2, Cut(6, None, -2))),
        sample((3, 2), (1, 3, 1), pattern=(None, Cut(0, 3, 1), None, 1)),
        sample((3,), (0,), pattern=(Cut(2, 2, 1),)),
    ],
)
def _slice_set(xp: Any, x: Array, v: Array, *, pattern: Pattern) -> Array:
    """y = x, but y[pattern] = v, for whole numbers, slices and new axes."""
    y = x.copy()
    y[between_brackets(pattern)] = v
    return y


# -- places in a flat array


def _infer_scatter(x: Spec, places: Spec, v: Spec) -> Spec:
    return x


def _scatter_samples(draw: Any) -> Any:
    return lambda: [
        sample(draw(7), integers(0, 7, 4), draw(4)),
        sample(draw(5), integers(0, 3, 9), draw(9)),
        sample(draw(1), integers(0, 1, 1), draw(1)),
        sample(draw(3), integers(0, 3, 0), draw(0)),
    ]


def _runs(xp: Any, places: Array) -> tuple[Array, Array]:
    """Return the order that sorts `places`, and (in that order) where the run of equal ones ends."""
    order = xp.argsort(places, kind="stable")
    ordered = places[order]
    return order, xp.searchsorted(ordered, ordered, side="right") - 1


@leaf(
    "is_last",
    infer=lambda places: Spec(places.shape, bool_),
    samples=lambda: [sample(integers(0, 3, 9)), sample(integers(0, 9, 1)), sample(integers(0, 9, 0))],
)
def _is_last(xp: Any, places: Array) -> Array:
    """y = whether no later place equals this one."""
    order, ends = _runs(xp, places)
    y = xp.empty(places.shape, bool)
    y[order] = ends == xp.arange(places.size)
    return y


def _set_jvp(ts: Any, ans: Any, x: Any, places: Any, v: Any) -> Any:
    like = ts[0] if ts[2] is None else ts[2]
    of_x, of_v = (_nothing(like, y) if t is None else t for t, y in ((ts[0], x), (ts[2], v)))
    return op.scatter_set(of_x, places, of_v)


@leaf(
    "scatter_set",
    infer=_infer_scatter,
    vjp=(
        lambda g, ans, x, places, v: op.scatter_set(g, places, _nothing(g, v)),
        None,
        lambda g, ans, x, places, v: where(_is_last(places), op.take(g, places, axis=0), 0.0),
    ),
    jvp=_set_jvp,
    saves=("places", "", "places"),
    moves=True,
    samples=_scatter_samples(lambda n: (n,)),
)
def _scatter_set(xp: Any, x: Array, places: Array, v: Array) -> Array:
    """y = x, but y[places[i]] = v[i]; the last i where places repeat."""
    y = x.copy()
    if xp is np:
        y[places] = v
    else:  # which of several writers wins is anybody's guess there: all write what the last one would
        order, ends = _runs(xp, places)
        y[places[order]] = v[order][ends]
    return y


def _hits(g: Any, ans: Any, x: Any, places: Any, v: Any) -> tuple[Any, Any, Any]:
    """Return where x and v are extreme, and the cotangent over the number of those that are so together."""
    of_x, of_v = equal(x, ans), equal(v, op.take(ans, places, axis=0))
    count = add(cast(of_x, g.dtype), op.index_add(cast(of_v, g.dtype), places, axis=0, size=x.shape[0]))
    return of_x, of_v, divide(g, maximum(count, 1.0))  # none where the extreme is NaN


def _extreme_of_x(g: Any, ans: Any, x: Any, places: Any, v: Any) -> Any:
    of_x, _, share = _hits(g, ans, x, places, v)
    return where(of_x, share, 0.0)


def _extreme_of_v(g: Any, ans: Any, x: Any, places: Any, v: Any) -> Any:
    _, of_v, share = _hits(g, ans, x, places, v)
    return where(of_v, op.take(share, places, axis=0), 0.0)


def _extreme_jvp(ts: Any, ans: Any, x: Any, places: Any, v: Any) -> Any:
    """The mean of the tangents of those that are extreme together."""
    of_x, of_v, share = _hits(op.ones_like(ans), ans, x, places, v)
    along = zeros_as(ans, shape=ans.shape, dtype=ans.dtype)
    if ts[0] is not None:
        along = add(along, where(of_x, ts[0], 0.0))
    if ts[2] is not None:
        along = add(along, op.index_add(where(of_v, ts[2], 0.0), places, axis=0, size=x.shape[0]))
    return multiply(along, share)


def _extreme_samples() -> list[Any]:
    tied = sample(lambda rng: rng.integers(0, 3, 4) * 1.0, integers(0, 4, 9), lambda rng: rng.integers(0, 3, 9) * 1.0,
                  smooth=False)  # fmt: skip
    return [*_scatter_samples(_uneven)(), tied]


def _uneven(n: int) -> Any:
    """Numbers that are nowhere equal nor close, also between two draws of different lengths."""
    return lambda rng: (rng.permutation(n) + rng.uniform(0.1, 0.2) * (n + 1)) * 0.7


@leaf(
    "scatter_max",
    infer=_infer_scatter,
    vjp=(_extreme_of_x, None, _extreme_of_v),
    jvp=_extreme_jvp,
    saves=("ans x places v", "", "ans x places v"),
    samples=_extreme_samples,
)
def _scatter_max(xp: Any, x: Array, places: Array, v: Array) -> Array:
    """y[p] = the largest of x[p] and all v[i] with places[i] = p."""
    y = x.copy()
    xp.maximum.at(y, places, v)
    return y


@leaf(
    "scatter_min",
    infer=_infer_scatter,
    vjp=(_extreme_of_x, None, _extreme_of_v),
    jvp=_extreme_jvp,
    saves=("ans x places v", "", "ans x places v"),
    samples=_extreme_samples,
)
def _scatter_min(xp: Any, x: Array, places: Array, v: Array) -> Array:
    """y[p] = the smallest of x[p] and all v[i] with places[i] = p."""
    y = x.copy()
    xp.minimum.at(y, places, v)
    return y


# -- x.at[index]


class At:
    """What ``x.at`` is; ``x.at[index]`` takes whatever ``x[index]`` takes."""

    __slots__ = ("_x",)

    def __init__(self, x: Any) -> None:
        self._x = x

    def __getitem__(self, index: Any) -> AtIndex:
        return AtIndex(self._x, index)


class AtIndex:
    """Elements of x, to be changed in a new tensor: values broadcast to the shape of ``x[index]``."""

    __slots__ = ("_index", "_x")

    def __init__(self, x: Any, index: Any) -> None:
        self._x, self._index = x, index

    def get(self) -> Any:
        """Return ``x[index]``."""
        return getitem(self._x, self._index)

    def set(self, values: Any) -> Any:
        """Return x with `values` at index; where it picks a place more than once, the last of them.

        Derivative: of x, except for what is overwritten; of the values that are kept.
        """
        x, (pattern, picks) = self._x, parse(self._x, self._index)
        if not picks:
            return _slice_set(x, self._fitting("set", values, op.slice(x, pattern=pattern).shape), pattern=pattern)
        return self._scattered(_scatter_set, "set", values)

    def add(self, values: Any) -> Any:
        """Return x with `values` added at index, all of them where it picks a place more than once."""
        x, (pattern, picks) = self._x, parse(self._x, self._index)
        if not picks:
            values = self._fitting("add", values, op.slice(x, pattern=pattern).shape)
            return add(x, op.unslice(values, pattern=pattern, shape=x.shape))
        places, values = self._places("add", values)
        return add(x, reshape(op.index_add(values, places, axis=0, size=x.size), x.shape))

    def subtract(self, values: Any) -> Any:
        """Return x with `values` taken away at index; as `add`."""
        return self.add(negative(values) if hasattr(values, "dtype") else -values)

    def max(self, values: Any) -> Any:
        """Return x with the larger of itself and `values` at index.  Derivative: equals share it equally."""
        return self._scattered(_scatter_max, "max", values)

    def min(self, values: Any) -> Any:
        """Return x with the smaller of itself and `values` at index.  Derivative: equals share it equally."""
        return self._scattered(_scatter_min, "min", values)

    def _scattered(self, primitive: Any, name: str, values: Any) -> Any:
        places, values = self._places(name, values)
        return reshape(primitive(reshape(self._x, (-1,)), places, values), self._x.shape)

    def _places(self, name: str, values: Any) -> tuple[Any, Any]:
        """Return the places that the index picks in the flattened x, and a value for each."""
        x = self._x
        array = x.data if isinstance(x, Tensor) else x
        every = backends.backend_of(array).asarray(np.arange(x.size).reshape(x.shape))
        places = getitem(Tensor(every) if isinstance(x, Tensor) else every, self._index)
        return reshape(places, (-1,)), reshape(self._fitting(name, values, places.shape), (-1,))

    def _fitting(self, name: str, values: Any, shape: Any) -> Any:
        """Return the values in x's dtype and the index's shape."""
        x, what = self._x, f"x.at[index].{name}(values)"
        if not hasattr(values, "dtype"):
            values = np.asarray(values)
            values = values.astype(x.dtype) if np.can_cast(values.dtype, x.dtype, "same_kind") else values
        lines = [operand("x", x), operand("x[index]", Spec(shape, x.dtype)), operand("values", values)]
        if values.dtype != x.dtype:
            if promote((values.dtype, x.dtype)) != x.dtype:
                raise DTypeError(message(f"{what}: values are {values.dtype}", lines, f"need values.to({x.dtype})"))
            values = cast(values, x.dtype)
        if tuple(values.shape) != tuple(shape):
            if broadcast_shapes(what, tuple(values.shape), tuple(shape)) != tuple(shape):
                raise ShapeError(
                    message(f"{what}: values have another shape", lines, "need one that broadcasts to x[index]")
                )
            values = broadcast_to(values, shape)
        return values


def at(x: Any) -> At:
    """Return what ``x.at`` is: ``at(x)[index].set(v)`` for a plain array.

    >>> import gradlib as gl
    >>> x = gl.zeros(3)
    >>> x.at[1].set(5.0), x.at[[0, 0]].add(1.0)
    (tensor([0., 5., 0.], dtype=float32), tensor([2., 0., 0.], dtype=float32))
    """
    return At(x)


op.register(at=at, scatter_set=_scatter_set, slice_set=_slice_set)
