"""Ops that join, cut, repeat, reorder and pad arrays."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from .. import backend as backends
from ..core import Tensor, leaf, op, sample
from ..errors import DTypeError, ShapeError, message, operand
from ..spec import Spec, normalize_axes, normalize_axis, promote
from .operands import of_arrays
from .shape import as_shape, broadcast_to, reshape

__all__ = [
    "concat", "concatenate", "flip", "pad", "repeat", "roll", "split", "stack", "tile", "unstack",
]  # fmt: skip

Array = Any
Shape = tuple[int, ...]


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


@of_arrays
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


@of_arrays
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


@of_arrays
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


@of_arrays
def tile(x: Any, repetitions: int | Sequence[int]) -> Any:
    """Return x repeated so many times along each axis (axes are added in front where there are more numbers)."""
    times = as_shape("tile(x, repetitions)", repetitions)
    n = max(x.ndim, len(times))
    times, shape = (1,) * (n - len(times)) + times, (1,) * (n - x.ndim) + tuple(x.shape)
    apart = reshape(x, tuple(k for size in shape for k in (1, size)))
    wide = broadcast_to(apart, tuple(k for t, size in zip(times, shape, strict=True) for k in (t, size)))
    return reshape(wide, tuple(t * size for t, size in zip(times, shape, strict=True)))


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Return x with each element (along `axis`, or of the flattened x for None) repeated so many times in a row.

    ``repeats`` is one number, or an array of one for each element along `axis`.
    """
    call = "repeat(x, repeats, axis)"
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    axis = normalize_axis(call, axis, x.ndim)
    if hasattr(repeats, "dtype") and repeats.ndim == 1 and repeats.shape[0] != 1:
        return op.take(x, _repeated(call, x.shape[axis], repeats), axis=axis)
    (times,) = as_shape(call, repeats)
    before, size, after = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    wide = broadcast_to(reshape(x, (*before, size, 1, *after)), (*before, size, times, *after))
    return reshape(wide, (*before, size * times, *after))


def _repeated(call: str, size: int, repeats: Any) -> Any:
    """Return each place as often as `repeats` says."""
    if repeats.shape[0] != size:
        what = f"{call}: repeats has {repeats.shape[0]} numbers for {size} elements"
        raise ShapeError(message(what, [operand("repeats", repeats)], "need one each"))
    array = repeats.data if isinstance(repeats, Tensor) else repeats
    backend = backends.backend_of(array)
    return backend.asarray(np.repeat(np.arange(size), backend.to_host(array)))


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


@of_arrays
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
    concat=concat, concatenate=concat, flip=flip, pad=pad, repeat=repeat, roll=roll, split=split, stack=stack,
    tile=tile, unstack=unstack,
)  # fmt: skip
