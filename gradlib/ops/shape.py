"""Ops that move elements without changing them: reshape, transpose, broadcast, join, split, pad."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from ..core import leaf, op, sample
from ..errors import DTypeError, ShapeError, message, operand
from ..spec import Spec, broadcast_shapes, normalize_axes, normalize_axis, promote

__all__ = [
    "broadcast_arrays", "broadcast_to", "concat", "concatenate", "expand_dims", "flatten", "flip", "matrix_transpose",
    "moveaxis", "pad", "permute_dims", "repeat", "reshape", "roll", "split", "squeeze", "stack", "sum_to", "swapaxes",
    "tile", "unstack",
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


def reshape(x: Any, shape: Any) -> Any:
    """Return the same elements, in row-major order, in another shape; one size may be -1.

    >>> import gradlib as gl
    >>> gl.reshape(gl.arange(6), (2, -1)).shape
    (2, 3)
    """
    if type(shape) is not tuple or not all(type(n) is int for n in shape):
        shape = as_shape("reshape(x, shape)", shape)
    return _reshape(x, shape=shape)


def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """Return x with the axes from `start_dim` to `end_dim`, both included, joined into one."""
    if x.ndim == 0:
        return reshape(x, (1,))
    start = normalize_axis("flatten(x, start_dim)", start_dim, x.ndim)
    end = normalize_axis("flatten(x, end_dim)", end_dim, x.ndim)
    if start > end:
        raise ShapeError(f"flatten(x, start_dim, end_dim): start_dim {start_dim} lies behind end_dim {end_dim}")
    return reshape(x, (*x.shape[:start], math.prod(x.shape[start : end + 1]), *x.shape[end + 1 :]))


def expand_dims(x: Any, axis: int | Sequence[int] = 0) -> Any:
    """Return x with new axes of size 1, at the places `axis` has in the result."""
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    new = set(normalize_axes("expand_dims(x, axis)", axes, x.ndim + len(axes)))
    sizes = iter(x.shape)
    return _reshape(x, shape=tuple(1 if i in new else next(sizes) for i in range(x.ndim + len(axes))))


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


def matrix_transpose(x: Any) -> Any:
    """Return x with its last two axes exchanged."""
    n = x.ndim
    if n < 2:
        raise ShapeError(message(f"matrix_transpose(x): x has {n} axes", [operand("x", x)], "need at least 2"))
    return _permute(x, axes=(*range(n - 2), n - 1, n - 2))


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


def broadcast_to(x: Any, shape: Any) -> Any:
    """Return x repeated to `shape`, by NumPy's rules, without copying."""
    shape = as_shape("broadcast_to(x, shape)", shape)
    return x if x.shape == shape else _broadcast_to(x, shape=shape)


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


# -- joining


def _infer_concat(*arrays: Spec, axis: int) -> Spec:
    first = arrays[0]
    for i, x in enumerate(arrays):
        if x.ndim != first.ndim or any(
            a != b for k, (a, b) in enumerate(zip(x.shape, first.shape, strict=True)) if k != axis
        ):
            lines = [operand("arrays[0]", first), operand(f"arrays[{i}]", x)]
            fix = f"need equal sizes but on axis {axis}"
            raise ShapeError(message("concat(arrays, axis): shapes differ", lines, fix))
    return Spec(
        (*first.shape[:axis], sum(x.shape[axis] for x in arrays), *first.shape[axis + 1 :]),
        promote(x.dtype for x in arrays),
    )


def _concat_vjp(i: int, g: Any, ans: Any, *arrays: Any, axis: int) -> Any:
    start = sum(x.shape[axis] for x in arrays[:i])
    return op.getitem(g, (slice(None),) * axis + (slice(start, start + arrays[i].shape[axis]),))


@leaf(
    "concat",
    infer=_infer_concat,
    vjp=_concat_vjp,
    promote="same",
    linear=True,
    moves=True,
    samples=lambda: [
        sample((2, 3), (4, 3), (1, 3), axis=0),
        sample((2, 3), (2, 5), axis=1),
        sample((7,), axis=0),
        sample((0, 3), (2, 3), axis=0),
    ],
)
def _concat(xp: Any, *arrays: Array, axis: int) -> Array:
    """y = the arrays one after the other along an axis they have."""
    return xp.concatenate(arrays, axis)


def _several(call: str, arrays: Any) -> list[Any]:
    several: list[Any] = list(arrays)
    if not several:
        raise ShapeError(f"{call}: arrays is empty\n  need at least one")
    for i, x in enumerate(several):
        if not hasattr(x, "dtype"):
            raise DTypeError(f"{call}: arrays[{i}] is of type {type(x).__name__}\n  need Tensors or arrays")
    return several


def concat(arrays: Iterable[Any], axis: int | None = 0) -> Any:
    """Return the arrays joined along `axis`; flattened first for None.  Dtypes are promoted to their common one."""
    call = "concat(arrays, axis)"
    several = _several(call, arrays)
    if axis is None:
        several, axis = [reshape(x, (-1,)) for x in several], 0
    return _concat(*several, axis=normalize_axis(call, axis, several[0].ndim))


concatenate = concat


def _infer_stack(*arrays: Spec, axis: int) -> Spec:
    first = arrays[0]
    for i, x in enumerate(arrays):
        if x.shape != first.shape:
            lines = [operand("arrays[0]", first), operand(f"arrays[{i}]", x)]
            raise ShapeError(message("stack(arrays, axis): shapes differ", lines, "need equal shapes"))
    return Spec(
        (*first.shape[:axis], len(arrays), *first.shape[axis:]),
        promote(x.dtype for x in arrays),
    )


@leaf(
    "stack",
    infer=_infer_stack,
    vjp=lambda i, g, ans, *arrays, axis: op.getitem(g, (slice(None),) * axis + (i,)),
    promote="same",
    linear=True,
    moves=True,
    samples=lambda: [
        sample((2, 3), (2, 3), axis=0),
        sample((3,), (3,), (3,), axis=1),
        sample((), (), axis=0),
        sample((0, 2), (0, 2), axis=1),
    ],
)
def _stack(xp: Any, *arrays: Array, axis: int) -> Array:
    """y = the arrays side by side along a new axis."""
    return xp.stack(arrays, axis)


def stack(arrays: Iterable[Any], axis: int = 0) -> Any:
    """Return arrays of equal shapes joined along a new axis, which is `axis` of the result."""
    several = _several("stack(arrays, axis)", arrays)
    return _stack(*several, axis=normalize_axis("stack(arrays, axis)", axis, several[0].ndim + 1))


def split(x: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Any]:
    """Return x cut along `axis`: into so many equal pieces, or before each of the indices (as NumPy's)."""
    call = "split(x, indices_or_sections, axis)"
    axis = normalize_axis(call, axis, x.ndim)
    size = x.shape[axis]
    if isinstance(indices_or_sections, int):
        pieces = indices_or_sections
        if pieces < 1 or size % pieces:
            what = f"{call}: axis {axis} has size {size}, which is no multiple of {pieces}"
            raise ShapeError(message(what, [operand("x", x)], "need equal pieces, or the indices to cut before"))
        cuts = [size // pieces * k for k in range(pieces + 1)]
    else:
        cuts = [0, *indices_or_sections, size]
    before = (slice(None),) * axis
    return [op.getitem(x, (*before, slice(a, b))) for a, b in pairwise(cuts)]


def unstack(x: Any, axis: int = 0) -> tuple[Any, ...]:
    """Return the slices of x along `axis`, without that axis."""
    axis = normalize_axis("unstack(x, axis)", axis, x.ndim)
    return tuple(op.getitem(x, (slice(None),) * axis + (i,)) for i in range(x.shape[axis]))


# -- order and repetition


def _infer_same(x: Spec, **params: Any) -> Spec:
    return x


@leaf(
    "flip",
    infer=_infer_same,
    vjp=(lambda g, ans, x, axis: op.flip(g, axis),),
    linear=True,
    view=True,
    moves=True,
    samples=lambda: [
        sample((2, 3, 5), axis=(0, 2)),
        sample((7,), axis=(0,)),
        sample((), axis=()),
        sample((0,), axis=(0,)),
    ],
)
def _flip(xp: Any, x: Array, *, axis: Shape) -> Array:
    """y = x with the named axes in reverse order."""
    return xp.flip(x, axis)


def flip(x: Any, axis: int | Sequence[int] | None = None) -> Any:
    """Return x with the elements along `axis` in reverse order; along every axis for None."""
    return _flip(x, axis=normalize_axes("flip(x, axis)", axis, x.ndim))


@leaf(
    "roll",
    infer=_infer_same,
    vjp=(lambda g, ans, x, shift, axis: op.roll(g, tuple(-s for s in shift), axis),),
    linear=True,
    moves=True,
    samples=lambda: [
        sample((3, 5), shift=(2, -1), axis=(0, 1)),
        sample((7,), shift=(9,), axis=(0,)),
        sample((2, 0), shift=(1,), axis=(1,)),
    ],
)
def _roll(xp: Any, x: Array, *, shift: Shape, axis: Shape) -> Array:
    """y = x moved along each axis, what leaves at the end entering at the front."""
    return xp.roll(x, shift, axis)


def roll(x: Any, shift: int | Sequence[int], axis: int | Sequence[int] | None = None) -> Any:
    """Return x with elements moved by `shift` along `axis`, wrapping round; of the flattened x for None."""
    if axis is None:
        return reshape(roll(reshape(x, (-1,)), shift, 0), x.shape)
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    shifts = (shift,) * len(axes) if isinstance(shift, int) else tuple(shift)
    if len(shifts) != len(axes):
        raise ShapeError(f"roll(x, shift, axis): {len(shifts)} shifts for {len(axes)} axes\n  need as many")
    return _roll(x, shift=shifts, axis=tuple(normalize_axis("roll(x, shift, axis)", a, x.ndim) for a in axes))


def tile(x: Any, repetitions: int | Sequence[int]) -> Any:
    """Return x repeated so many times along each axis (axes are added in front where there are more numbers)."""
    times = as_shape("tile(x, repetitions)", repetitions)
    n = max(x.ndim, len(times))
    times, shape = (1,) * (n - len(times)) + times, (1,) * (n - x.ndim) + tuple(x.shape)
    apart = reshape(x, tuple(k for size in shape for k in (1, size)))
    wide = broadcast_to(apart, tuple(k for t, size in zip(times, shape, strict=True) for k in (t, size)))
    return reshape(wide, tuple(t * size for t, size in zip(times, shape, strict=True)))


def repeat(x: Any, repeats: int, axis: int | None = None) -> Any:
    """Return x with each element (along `axis`, or of the flattened x for None) repeated so many times in a row."""
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    axis = normalize_axis("repeat(x, repeats, axis)", axis, x.ndim)
    (times,) = as_shape("repeat(x, repeats, axis)", repeats)
    before, size, after = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    wide = broadcast_to(reshape(x, (*before, size, 1, *after)), (*before, size, times, *after))
    return reshape(wide, (*before, size * times, *after))


# -- padding

Widths = tuple[tuple[int, int], ...]


def _infer_pad(x: Spec, *, pad_width: Widths, value: float) -> Spec:
    return Spec(tuple(n + a + b for n, (a, b) in zip(x.shape, pad_width, strict=True)), x.dtype)


def _pad_vjp(g: Any, ans: Any, x: Any, pad_width: Widths, value: float) -> Any:
    return op.getitem(g, tuple(slice(a, a + n) for n, (a, _) in zip(x.shape, pad_width, strict=True)))


@leaf(
    "pad",
    infer=_infer_pad,
    vjp=(_pad_vjp,),
    jvp=lambda ts, ans, x, pad_width, value: op.pad(ts[0], pad_width) if pad_width else ts[0],
    moves=True,
    samples=lambda: [
        sample((2, 3), pad_width=((1, 0), (2, 3)), value=0.0),
        sample((5,), pad_width=((0, 2),), value=1.5),
        sample((), pad_width=(), value=0.0),
        sample((0, 2), pad_width=((1, 1), (0, 0)), value=0.5),
    ],
)
def _pad(xp: Any, x: Array, *, pad_width: Widths, value: float) -> Array:
    """y = x in the middle of an array of `value`."""
    y = xp.full(tuple(n + a + b for n, (a, b) in zip(x.shape, pad_width, strict=True)), value, x.dtype)
    y[tuple(slice(a, a + n) for n, (a, _) in zip(x.shape, pad_width, strict=True))] = x
    return y


def pad(x: Any, pad_width: Any, value: float = 0.0) -> Any:
    """Return x with `value` added before and after it: ``pad_width`` has a pair (before, after) per axis.

    One pair serves every axis, one number both sides of every axis.

    >>> import gradlib as gl
    >>> gl.pad(gl.tensor([1.0, 2.0]), (1, 2))
    tensor([0., 1., 2., 0., 0.], dtype=float32)
    """
    call = "pad(x, pad_width)"
    if isinstance(pad_width, int):
        widths: Widths = ((pad_width, pad_width),) * x.ndim
    elif len(pad_width) == 2 and all(isinstance(p, int) for p in pad_width):
        widths = ((pad_width[0], pad_width[1]),) * x.ndim
    else:
        widths = tuple((operator.index(a), operator.index(b)) for a, b in pad_width)
    if len(widths) != x.ndim or any(a < 0 or b < 0 for a, b in widths):
        what = f"{call}: pad_width is {pad_width}"
        raise ShapeError(message(what, [operand("x", x)], "need a pair (before, after) >= 0 for each axis"))
    return _pad(x, pad_width=widths, value=value)


op.register(
    broadcast_arrays=broadcast_arrays, broadcast_to=broadcast_to, concat=concat, concatenate=concat,
    expand_dims=expand_dims, flatten=flatten, flip=flip, matrix_transpose=matrix_transpose, moveaxis=moveaxis, pad=pad,
    permute_dims=permute_dims, repeat=repeat, reshape=reshape, roll=roll, split=split, squeeze=squeeze, stack=stack,
    sum_to=sum_to, swapaxes=swapaxes, tile=tile, unstack=unstack,
)  # fmt: skip
