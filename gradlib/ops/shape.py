"""Ops that arrange the elements of an array anew: reshape, permute, broadcast; and `sum_to`, which undoes the last."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any

from ..core import Tensor, leaf, op, sample
from ..errors import ShapeError, message, operand
from ..spec import Spec, broadcast_shapes, normalize_axes, normalize_axis
from .operands import of_arrays

__all__ = [
    "broadcast_arrays", "broadcast_to", "expand_dims", "flatten", "matrix_transpose", "moveaxis", "permute_dims",
    "reshape", "squeeze", "sum_to", "swapaxes",
]  # fmt: skip

Array = Any
Shape = tuple[int, ...]


def as_shape(call: str, shape: Any) -> Shape:
    """Return a shape given as an int or a sequence of ints (Python's, NumPy's or 0-d tensors) as a tuple of ints."""
    try:
        return tuple(map(operator.index, shape)) if isinstance(shape, Iterable) else (operator.index(shape),)
    except TypeError:
        raise ShapeError(f"{call}: shape is {shape!r}\n  need an int or a tuple of ints") from None


# -- reshape and its relatives


def _infer_reshape(x: Spec, *, shape: Shape) -> Spec:
    call = "reshape(x, shape)"
    unknown = [i for i, n in enumerate(shape) if n == -1]
    known = math.prod(n for n in shape if n != -1)
    if len(unknown) > 1 or any(n < -1 for n in shape):
        raise ShapeError(message(f"{call}: shape is {shape}", [operand("x", x)], "need sizes >= 0, at most one of -1"))
    if unknown and known and x.size % known == 0:
        shape = tuple(x.size // known if n == -1 else n for n in shape)
    elif unknown or known != x.size:
        what = f"{call}: x has {x.size} elements, shape {shape} {'a multiple of' if unknown else 'has'} {known}"
        raise ShapeError(message(what, [operand("x", x)], "need equal numbers of elements"))
    return Spec(shape, x.dtype)


@leaf(
    "reshape",
    infer=_infer_reshape,
    vjp=(lambda g, ans, x, shape: op.reshape(g, x.shape),),
    linear=True,
    view=True,
    moves=True,
    samples=lambda: [
        sample((2, 6), shape=(3, 4)),
        sample((2, 3, 5), shape=(5, -1)),
        sample((7,), shape=(7, 1, 1)),
        sample((), shape=(1,)),
        sample((0, 3), shape=(3, 0, 2)),
    ],
)
def _reshape(xp: Any, x: Array, *, shape: Shape) -> Array:
    """y = the elements of x, in row-major order, in another shape."""
    return x.reshape(shape)


def reshape(x: Any, shape: Any, *, copy: bool | None = None) -> Any:
    """Return the same elements, in row-major order, in another shape; one size may be -1.

    In memory of its own with ``copy=True``; with ``copy=False`` a shape that needs a copy is a ValueError.

    >>> import gradlib as gl
    >>> gl.reshape(gl.arange(6), (2, -1)).shape
    (2, 3)
    """
    if type(shape) is not tuple or not all(type(n) is int for n in shape):
        shape = as_shape("reshape(x, shape)", shape)
    y = _reshape(x, shape=shape)
    if copy is None:
        return y
    if copy:
        return op.copy(y)
    if y.size and _address(y) != _address(x):
        raise ValueError(message(f"reshape(x, {shape}, copy=False): needs a copy", [operand("x", x)], "need copy=None"))
    return y


def _address(x: Any) -> int:
    """Where the first element lies."""
    array = x.data if isinstance(x, Tensor) else x
    array = array.physical if hasattr(type(array), "physical") else array
    interface = getattr(array, "__cuda_array_interface__", None) or array.__array_interface__
    return int(interface["data"][0])


@of_arrays
def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """Return x with the axes from `start_dim` to `end_dim`, both included, joined into one."""
    if x.ndim == 0:
        return reshape(x, (1,))
    start = normalize_axis("flatten(x, start_dim)", start_dim, x.ndim)
    end = normalize_axis("flatten(x, end_dim)", end_dim, x.ndim)
    if start > end:
        raise ShapeError(f"flatten(x, start_dim, end_dim): start_dim {start_dim} lies behind end_dim {end_dim}")
    return reshape(x, (*x.shape[:start], math.prod(x.shape[start : end + 1]), *x.shape[end + 1 :]))


@of_arrays
def expand_dims(x: Any, axis: int | Sequence[int] = 0) -> Any:
    """Return x with new axes of size 1, at the places `axis` has in the result."""
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    new = set(normalize_axes("expand_dims(x, axis)", axes, x.ndim + len(axes)))
    sizes = iter(x.shape)
    return _reshape(x, shape=tuple(1 if i in new else next(sizes) for i in range(x.ndim + len(axes))))


@of_arrays
def squeeze(x: Any, axis: int | Sequence[int] | None = None) -> Any:
    """Return x without the named axes, which must have size 1; without every such axis for None."""
    if axis is None:
        return _reshape(x, shape=tuple(n for n in x.shape if n != 1))
    axes = normalize_axes("squeeze(x, axis)", axis, x.ndim)
    for a in axes:
        if x.shape[a] != 1:
            raise ShapeError(message(f"squeeze(x, axis): axis {a} has size {x.shape[a]}, not 1", [operand("x", x)]))
    return _reshape(x, shape=tuple(n for i, n in enumerate(x.shape) if i not in axes))


# -- permutations


def _infer_permute(x: Spec, *, axes: Shape) -> Spec:
    return Spec(tuple(x.shape[a] for a in axes), x.dtype)


def _inverse(axes: Shape) -> Shape:
    result = [0] * len(axes)
    for place, axis in enumerate(axes):
        result[axis] = place
    return tuple(result)


@leaf(
    "permute_dims",
    infer=_infer_permute,
    vjp=(lambda g, ans, x, axes: op.permute_dims(g, _inverse(axes)),),
    linear=True,
    view=True,
    moves=True,
    samples=lambda: [
        sample((2, 3, 5), axes=(1, 2, 0)),
        sample((3, 7), axes=(1, 0)),
        sample((), axes=()),
        sample((4, 0), axes=(1, 0)),
    ],
)
def _permute(xp: Any, x: Array, *, axes: Shape) -> Array:
    """y = x with axis ``axes[i]`` of x as axis i."""
    return x.transpose(axes)


@of_arrays
def permute_dims(x: Any, axes: Sequence[int] | None = None) -> Any:
    """Return x with axis ``axes[i]`` of x as axis i of the result; the axes reversed for None."""
    if axes is None:
        return _permute(x, axes=tuple(range(x.ndim))[::-1])
    places = tuple(normalize_axis("permute_dims(x, axes)", a, x.ndim) for a in axes)
    if sorted(places) != list(range(x.ndim)):
        raise ShapeError(
            message(
                f"permute_dims(x, axes): axes are {tuple(axes)}", [operand("x", x)], "need each axis of x exactly once"
            )
        )
    return _permute(x, axes=places)


@of_arrays
def matrix_transpose(x: Any) -> Any:
    """Return x with its last two axes exchanged."""
    n = x.ndim
    if n < 2:
        raise ShapeError(message(f"matrix_transpose(x): x has {n} axes", [operand("x", x)], "need at least 2"))
    return _permute(x, axes=(*range(n - 2), n - 1, n - 2))


@of_arrays
def moveaxis(x: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Any:
    """Return x with the axes `source` at the places `destination`, the others in their order."""
    call = "moveaxis(x, source, destination)"
    old = [normalize_axis(call, a, x.ndim) for a in ([source] if isinstance(source, int) else source)]
    new = [normalize_axis(call, a, x.ndim) for a in ([destination] if isinstance(destination, int) else destination)]
    if len(old) != len(new) or len(set(old)) != len(old) or len(set(new)) != len(new):
        raise ShapeError(f"{call}: source is {source}, destination {destination}\n  need as many, each axis once")
    axes = [a for a in range(x.ndim) if a not in old]
    for place, axis in sorted(zip(new, old, strict=True)):
        axes.insert(place, axis)
    return _permute(x, axes=tuple(axes))


@of_arrays
def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """Return x with two axes exchanged."""
    axes = list(range(x.ndim))
    a = normalize_axis("swapaxes(x, axis1)", axis1, x.ndim)
    b = normalize_axis("swapaxes(x, axis2)", axis2, x.ndim)
    axes[a], axes[b] = b, a
    return _permute(x, axes=tuple(axes))


# -- broadcasting


def _infer_broadcast(x: Spec, *, shape: Shape) -> Spec:
    n = len(shape) - len(x.shape)
    if n < 0 or any(a not in (1, b) for a, b in zip(x.shape, shape[n:], strict=True)):
        what = f"broadcast_to(x, shape): shape {x.shape} does not broadcast to {shape}"
        raise ShapeError(message(what, [operand("x", x)], "need size 1 or the new size on every axis, from the last"))
    return Spec(shape, x.dtype)


@leaf(
    "broadcast_to",
    infer=_infer_broadcast,
    vjp=(lambda g, ans, x, shape: sum_to(g, shape=x.shape),),
    linear=True,
    view=True,
    moves=True,
    samples=lambda: [
        sample((3, 1), shape=(2, 3, 5)),
        sample((), shape=(4,)),
        sample((5,), shape=(5,)),
        sample((1, 3), shape=(0, 3)),
    ],
)
def _broadcast_to(xp: Any, x: Array, *, shape: Shape) -> Array:
    """y = x repeated along axes where it has size 1, or none."""
    return xp.broadcast_to(x, shape)


@of_arrays
def broadcast_to(x: Any, shape: Any) -> Any:
    """Return x repeated to `shape`, by NumPy's rules, without copying."""
    shape = as_shape("broadcast_to(x, shape)", shape)
    return x if x.shape == shape else _broadcast_to(x, shape=shape)


@of_arrays
def broadcast_arrays(*arrays: Any) -> list[Any]:
    """Return the arrays, each repeated to their common shape."""
    shape = broadcast_shapes("broadcast_arrays(*arrays)", *[x.shape for x in arrays])
    return [broadcast_to(x, shape) for x in arrays]


def sum_to(x: Any, shape: Any) -> Any:
    """Return x summed over what `broadcast_to` would repeat: the transpose of ``broadcast_to(y, x.shape)``."""
    if x.shape == shape:
        return x
    n = x.ndim - len(shape)
    ones = tuple(i for i, size in enumerate(shape, start=n) if size == 1 and x.shape[i] != 1)
    total = op.sum(x, axis=(*range(n), *ones)) if n or ones else x
    return total if total.shape == tuple(shape) else reshape(total, tuple(shape))


op.register(
    broadcast_arrays=broadcast_arrays, broadcast_to=broadcast_to, expand_dims=expand_dims, flatten=flatten,
    matrix_transpose=matrix_transpose, moveaxis=moveaxis, permute_dims=permute_dims, reshape=reshape, squeeze=squeeze,
    sum_to=sum_to, swapaxes=swapaxes,
)  # fmt: skip
