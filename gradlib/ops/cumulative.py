"""Running sums and products along an axis, and differences, which undo the first."""

from __future__ import annotations

from typing import Any

from ..core import between, leaf, op, sample, vjp
from ..errors import ShapeError, message, operand
from ..spec import Spec, normalize_axis
from .arithmetic import multiply, subtract
from .elementwise import cast
from .join import concat, flip, pad
from .operands import of_arrays
from .reduce import total_dtype
from .shape import reshape

__all__ = ["cumprod", "cumsum", "cumulative_prod", "cumulative_sum", "diff"]

Array = Any


def _infer(x: Spec, *, axis: int) -> Spec:
    return Spec(x.shape, total_dtype(x.dtype))


def _samples(draw: Any = None) -> Any:
    cases: list[tuple[tuple[int, ...], int]] = [((3, 5), 0), ((2, 7), 1), ((1,), 0), ((0, 2), 0), ((2, 3, 4), 1)]
    return lambda: [sample(draw(*s) if draw else s, axis=a) for s, a in cases]


@leaf(
    "cumsum",
    infer=_infer,
    vjp=(lambda g, ans, x, axis: flip(op.cumsum(flip(g, axis), axis=axis), axis),),
    linear=True,
    complex=True,
    samples=_samples(),
)
def _cumsum(xp: Any, x: Array, *, axis: int) -> Array:
    """y[i] = x[0] + ... + x[i] along `axis`."""
    return x.cumsum(axis)


def _cumprod_in_ops(x: Any, axis: int) -> Any:
    """Products of 1, 2, 4, ... neighbours, each from the one before: so that the derivative is right for zeros."""
    before, n, ahead = (slice(None),) * axis, x.shape[axis], 1
    while ahead < n:
        shifted = multiply(op.getitem(x, (*before, slice(ahead, n))), op.getitem(x, (*before, slice(0, n - ahead))))
        x = concat([op.getitem(x, (*before, slice(0, ahead))), shifted], axis=axis)
        ahead *= 2
    return x


def _cumprod_vjp(g: Any, ans: Any, x: Any, axis: int) -> Any:
    return vjp(lambda x: _cumprod_in_ops(x, axis), [x], [True])[1]([g])[0]


@leaf(
    "cumprod",
    infer=_infer,
    vjp=(_cumprod_vjp,),
    saves=("x",),
    complex=True,
    samples=lambda: [
        *_samples(lambda *shape: between(0.6, 1.6, *shape))(),
        sample(lambda rng: rng.integers(-1, 2, (7, 4)) * 1.5, axis=0),
    ],
)
def _cumprod(xp: Any, x: Array, *, axis: int) -> Array:
    """y[i] = x[0] ... x[i] along `axis`."""
    return x.cumprod(axis)


def _along(primitive: Any, call: str, x: Any, axis: int, dtype: Any) -> Any:
    if dtype is not None:
        x = cast(x, dtype)
    y = primitive(x, axis=normalize_axis(call, axis, x.ndim))
    return y if dtype is None else cast(y, dtype)


@of_arrays
def cumsum(x: Any, *, axis: int | None = None) -> Any:
    """Return the sums of all elements up to each, along `axis`; of the flattened x for None."""
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    return _along(_cumsum, "cumsum(x, axis)", x, axis, None)


@of_arrays
def cumprod(x: Any, *, axis: int | None = None) -> Any:
    """Return the products of all elements up to each, along `axis`; of the flattened x for None.

    The derivative is right also where factors are 0.
    """
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    return _along(_cumprod, "cumprod(x, axis)", x, axis, None)


def _cumulative(primitive: Any, name: str, x: Any, axis: int | None, dtype: Any, initial: int | None) -> Any:
    call = f"{name}(x, axis)"
    if axis is None:
        if x.ndim != 1:
            raise ShapeError(message(f"{call}: x has {x.ndim} axes", [operand("x", x)], "need axis= to say which"))
        axis = 0
    y = _along(primitive, call, x, axis, dtype)
    if initial is None:
        return y
    axis = normalize_axis(call, axis, x.ndim)
    first = tuple((1, 0) if i == axis else (0, 0) for i in range(x.ndim))
    return pad(y, first, initial)


@of_arrays
def cumulative_sum(x: Any, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
    """Return the sums of all elements up to each, along `axis`, which may be left out for one axis alone.

    Added in `dtype` if given, integers and bool else in 64 bits; with ``include_initial`` after a first sum of nothing.

    >>> import gradlib as gl
    >>> gl.cumulative_sum(gl.tensor([1.0, 2.0, 3.0]), include_initial=True)
    tensor([0., 1., 3., 6.], dtype=float32)
    """
    return _cumulative(_cumsum, "cumulative_sum", x, axis, dtype, 0 if include_initial else None)


@of_arrays
def cumulative_prod(x: Any, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
    """Return the products of all elements up to each, along `axis`, which may be left out for one axis alone.

    Multiplied in `dtype` if given, integers and bool else in 64 bits; with ``include_initial`` after a first 1.  The
    derivative is right also where factors are 0.
    """
    return _cumulative(_cumprod, "cumulative_prod", x, axis, dtype, 1 if include_initial else None)


@of_arrays
def diff(x: Any, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Any:
    """Return the n-th differences ``x[i + 1] - x[i]`` along `axis`, of x between `prepend` and `append` where given.

    >>> import gradlib as gl
    >>> gl.diff(gl.tensor([1.0, 4.0, 9.0]))
    tensor([3., 5.], dtype=float32)
    """
    call = "diff(x, axis, n)"
    axis = normalize_axis(call, axis, x.ndim)
    if n < 0:
        raise ShapeError(message(f"{call}: n is {n}", [operand("x", x)], "need n >= 0"))
    if n == 0:
        return x
    if prepend is not None or append is not None:
        x = concat([part for part in (prepend, x, append) if part is not None], axis=axis)
    before = (slice(None),) * axis
    for _ in range(n):
        x = subtract(op.getitem(x, (*before, slice(1, None))), op.getitem(x, (*before, slice(None, -1))))
    return x


op.register(
    cumprod=cumprod, cumsum=cumsum, cumulative_prod=cumulative_prod, cumulative_sum=cumulative_sum, diff=diff,
)  # fmt: skip
