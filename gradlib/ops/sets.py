"""The distinct elements of an array, in ascending order.

How many there are depends on the values, so these are no primitives: they look at the array, and pick from it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .. import backend as backends
from ..core import Tensor, op
from ..spec import REDUCED, float32
from .index import take
from .operands import of_arrays
from .shape import reshape

__all__ = ["unique_all", "unique_counts", "unique_inverse", "unique_values"]


class UniqueAll(NamedTuple):
    """What `unique_all` returns."""

    values: Any
    indices: Any
    inverse_indices: Any
    counts: Any


class UniqueCounts(NamedTuple):
    """What `unique_counts` returns."""

    values: Any
    counts: Any


class UniqueInverse(NamedTuple):
    """What `unique_inverse` returns."""

    values: Any
    inverse_indices: Any


@of_arrays
def unique_all(x: Any) -> UniqueAll:
    """Return the distinct elements, the first place of each, where among them each element of x is, and their numbers.

    Places are those in the flattened x; ``inverse_indices`` has x's shape.  Every NaN is distinct.
    Derivative: that of each value goes to its first place.

    >>> import gradlib as gl
    >>> found = gl.unique_all(gl.tensor([3.0, 1.0, 3.0]))
    >>> found.values, found.indices
    (tensor([1., 3.], dtype=float32), tensor([1, 0], dtype=int64))
    >>> found.inverse_indices, found.counts
    (tensor([1, 0, 1], dtype=int64), tensor([1, 2], dtype=int64))
    """
    array = x.data if isinstance(x, Tensor) else x
    backend = backends.backend_of(array)
    wide = array.astype(float32) if array.dtype in REDUCED else array
    _, first, inverse, counts = backend.xp.unique(
        wide.reshape(-1), return_index=True, return_inverse=True, return_counts=True, equal_nan=False
    )
    places = [backend.coerce(i) for i in (first, inverse.reshape(array.shape), counts)]
    indices, inverse, counts = map(Tensor, places) if isinstance(x, Tensor) else places
    return UniqueAll(take(reshape(x, (-1,)), indices, axis=0), indices, inverse, counts)


def unique_counts(x: Any) -> UniqueCounts:
    """Return the distinct elements of x, and how often each is there; see `unique_all`."""
    found = unique_all(x)
    return UniqueCounts(found.values, found.counts)


def unique_inverse(x: Any) -> UniqueInverse:
    """Return the distinct elements of x, and where among them each element of x is; see `unique_all`."""
    found = unique_all(x)
    return UniqueInverse(found.values, found.inverse_indices)


def unique_values(x: Any) -> Any:
    """Return the distinct elements of x in ascending order; see `unique_all`.

    >>> import gradlib as gl
    >>> gl.unique_values(gl.tensor([3, 1, 3]))
    tensor([1, 3], dtype=int64)
    """
    return unique_all(x).values


op.register(
    unique_all=unique_all, unique_counts=unique_counts, unique_inverse=unique_inverse, unique_values=unique_values,
)  # fmt: skip
