"""Reductions: sums, means, products, extremes, truth, and the places of extremes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ..core import apart, between, booleans, fused, leaf, op, sample, vjp
from ..errors import ShapeError, message, operand
from ..spec import DType, Spec, bool_, int64, is_differentiable, normalize_axes, normalize_axis, uint64
from .arithmetic import divide, multiply, square, subtract
from .comparisons import equal
from .elementwise import cast
from .functions import sqrt
from .operands import of_arrays
from .order import maximum
from .shape import broadcast_to, reshape
from .total import total

__all__ = [
    "all", "any", "argmax", "argmin", "max", "mean", "min", "prod", "std", "sum", "var",
]  # fmt: skip

Array = Any
Axes = tuple[int, ...]
Axis = int | Sequence[int] | None


def _reduced(shape: Axes, axis: Axes, keepdims: bool) -> Axes:
    if keepdims:
        return tuple(1 if i in axis else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in axis)


def _count(x: Any, axis: Axes) -> int:
    return math.prod(x.shape[a] for a in axis)


def _spread(y: Any, x: Any, axis: Axes) -> Any:
    """Return a reduced array broadcast back over x's shape."""
    kept = _reduced(x.shape, axis, True)
    return broadcast_to(y if y.shape == kept else reshape(y, kept), x.shape)


def total_dtype(dtype: DType) -> DType:
    """Dtype of a sum or product: integers are added in 64 bits."""
    if is_differentiable(dtype):
        return dtype
    return uint64 if dtype.kind == "u" else int64


def _axes(name: str, x: Any, axis: Axis) -> Axes:
    if axis is None:
        return tuple(range(x.ndim))
    return normalize_axes(f"{name}(x, axis)", axis, x.ndim)


def _samples(draw: Callable[..., Any] | None = None, smooth: bool = True) -> Callable[[], list[Any]]:
    """Every kind of axis: all, first, middle, last, several, none, of size 1; `empty` where nothing may be reduced."""

    def samples() -> list[Any]:
        cases = [
            ((3, 7), (0, 1), False),
            ((11, 3), (0,), False),
            ((5, 2, 7), (1,), True),
            ((5, 2, 7), (0, 2), False),
            ((2, 3, 5), (1, 2), False),
            ((), (), False),
            ((1, 4), (0,), True),
            ((0, 3), (1,), False),
        ]
        return [sample(draw(*s) if draw else s, axis=a, keepdims=k, smooth=smooth) for s, a, k in cases]

    return samples


# -- sums


def _infer_total(x: Spec, *, axis: Axes, keepdims: bool) -> Spec:
    return Spec(_reduced(x.shape, axis, keepdims), total_dtype(x.dtype))


@leaf(
    "sum",
    infer=_infer_total,
    complex=True,
    vjp=(lambda g, ans, x, axis, keepdims: _spread(g, x, axis),),
    linear=True,
    samples=lambda: [
        *_samples()(),
        sample((300, 5), axis=(0,), keepdims=False),
        sample((2, 150, 3), axis=(0, 1), keepdims=True),
        sample((0, 3), axis=(0,), keepdims=False),
    ],
)
def _sum(xp: Any, x: Array, *, axis: Axes, keepdims: bool) -> Array:
    """y = the sum of x over `axis`."""
    return total(xp, x, axis, keepdims)


@of_arrays
def sum(x: Any, *, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Any:
    """Return the sum of x over `axis` (all axes for None), added in `dtype` if given.

    Integers and bool are added in 64 bits.  float32 is added in pairs or runs, never term after term.

    >>> import gradlib as gl
    >>> gl.sum(gl.tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    tensor([4., 6.], dtype=float32)
    """
    if dtype is None:
        return _sum(x, axis=_axes("sum", x, axis), keepdims=keepdims)
    return cast(_sum(cast(x, dtype), axis=_axes("sum", x, axis), keepdims=keepdims), dtype)


def _infer_mean(x: Spec, *, axis: Axes, keepdims: bool) -> Spec:
    return Spec(_reduced(x.shape, axis, keepdims), x.dtype)


@leaf(
    "mean",
    infer=_infer_mean,
    complex=True,
    promote="float",
    vjp=(lambda g, ans, x, axis, keepdims: _spread(divide(g, float(_count(x, axis))), x, axis),),
    linear=True,
    samples=lambda: [*_samples()(), sample((300, 5), axis=(0,), keepdims=False)],
)
def _mean(xp: Any, x: Array, *, axis: Axes, keepdims: bool) -> Array:
    """y = the mean of x over `axis`."""
    return total(xp, x, axis, keepdims) / (_count(x, axis) or math.nan)


@of_arrays
def mean(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """Return the mean of x over `axis` (all axes for None); integers become float32, the mean of nothing is NaN."""
    return _mean(x, axis=_axes("mean", x, axis), keepdims=keepdims)


# -- spread


@fused("var", infer=lambda x, *, axis, correction, keepdims: _infer_mean(x, axis=axis, keepdims=keepdims),
       promote="float", samples=lambda: [
           *[sample((5, 2, 7), axis=a, correction=c, keepdims=k)
             for a, c, k in (((0, 1, 2), 0.0, False), ((0,), 1.0, True), ((1, 2), 0.0, False))],
           sample((3, 0), axis=(0,), correction=0.0, keepdims=False),
       ])  # fmt: skip
def _var(x: Any, *, axis: Axes, correction: float, keepdims: bool) -> Any:
    """y = the sum of (x - mean)^2 over (n - correction), along `axis`."""
    deviation = subtract(x, _mean(x, axis=axis, keepdims=True))
    squares = _sum(square(deviation), axis=axis, keepdims=keepdims)
    degrees = _count(x, axis) - correction
    return divide(squares, float(degrees) if degrees > 0 else math.nan)


@of_arrays
def var(x: Any, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """Return the variance of x over `axis`: the sum of (x - mean)^2 over (n - correction), NaN where that is not > 0.

    ``correction=1`` gives the unbiased estimate (PyTorch's default; 0 is the Array API's and NumPy's).
    """
    return _var(x, axis=_axes("var", x, axis), correction=float(correction), keepdims=keepdims)


@of_arrays
def std(x: Any, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """Return the standard deviation of x over `axis`, the square root of `var`."""
    return sqrt(var(x, axis=axis, correction=correction, keepdims=keepdims))


# -- products


def _product_in_ops(x: Any, axis: Axes, keepdims: bool) -> Any:
    """The product as a tree of multiplications: its derivative is right also where factors are 0."""
    kept = [i for i in range(len(x.shape)) if i not in axis]
    y = op.permute_dims(x, (*kept, *axis))
    y = reshape(y, (*[x.shape[i] for i in kept], _count(x, axis)))
    while (n := y.shape[-1]) > 1:
        half = n // 2
        paired = multiply(op.getitem(y, (..., slice(0, half))), op.getitem(y, (..., slice(half, 2 * half))))
        y = paired if n == 2 * half else op.concat([paired, op.getitem(y, (..., slice(2 * half, n)))], axis=-1)
    return reshape(y, _reduced(x.shape, axis, keepdims))


def _prod_vjp(g: Any, ans: Any, x: Any, axis: Axes, keepdims: bool) -> Any:
    if _count(x, axis) == 0 or x.size == 0:
        return op.zeros_like(x)
    return vjp(lambda x: _product_in_ops(x, axis, keepdims), [x], [True])[1]([g])[0]


@leaf("prod", infer=_infer_total, complex=True, vjp=(_prod_vjp,), saves=("x",), samples=lambda: [
    *_samples(lambda *shape: between(0.6, 1.6, *shape))(),
    sample(lambda rng: rng.integers(-1, 2, (7, 4)) * 1.5, axis=(0,), keepdims=False),
    sample((0, 3), axis=(0,), keepdims=False),
])  # fmt: skip
def _prod(xp: Any, x: Array, *, axis: Axes, keepdims: bool) -> Array:
    """y = the product of x over `axis`."""
    return x.prod(axis, keepdims=keepdims)


@of_arrays
def prod(x: Any, *, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Any:
    """Return the product of x over `axis` (all axes for None); integers and bool are multiplied in 64 bits.

    The derivative is right also where factors are 0.
    """
    if dtype is None:
        return _prod(x, axis=_axes("prod", x, axis), keepdims=keepdims)
    return cast(_prod(cast(x, dtype), axis=_axes("prod", x, axis), keepdims=keepdims), dtype)


# -- extremes


def _infer_extreme(name: str) -> Callable[..., Spec]:
    def infer(x: Spec, *, axis: Axes, keepdims: bool) -> Spec:
        result = Spec(_reduced(x.shape, axis, keepdims), x.dtype)
        if _count(x, axis) == 0 and result.size:
            raise ShapeError(message(f"{name}(x, axis): no elements along axis {axis}", [operand("x", x)]))
        return result

    return infer


def _extreme_vjp(g: Any, ans: Any, x: Any, axis: Axes, keepdims: bool) -> Any:
    """Equal extremes share the cotangent equally."""
    hit = cast(equal(x, _spread(ans, x, axis)), g.dtype)
    hits = maximum(_sum(hit, axis=axis, keepdims=keepdims), 1.0)  # none where the extreme is NaN
    return multiply(hit, _spread(divide(g, hits), x, axis))


def _tied(*shape: int) -> Any:
    return lambda rng: rng.integers(0, 3, shape) * 1.0


def _extreme_samples() -> list[Any]:
    return [*_samples(apart)(), sample(_tied(4, 9), axis=(1,), keepdims=False, smooth=False)]


@leaf("max", infer=_infer_extreme("max"), vjp=(_extreme_vjp,), saves=("x ans",), samples=_extreme_samples)
def _max(xp: Any, x: Array, *, axis: Axes, keepdims: bool) -> Array:
    """y = the largest element of x over `axis`."""
    return x.max(axis, keepdims=keepdims)


@leaf("min", infer=_infer_extreme("min"), vjp=(_extreme_vjp,), saves=("x ans",), samples=_extreme_samples)
def _min(xp: Any, x: Array, *, axis: Axes, keepdims: bool) -> Array:
    """y = the smallest element of x over `axis`."""
    return x.min(axis, keepdims=keepdims)


@of_arrays
def max(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """Return the largest element of x over `axis` (all axes for None); NaN if there is one.

    Derivative: elements that are equally large share the cotangent equally.
    """
    return _max(x, axis=_axes("max", x, axis), keepdims=keepdims)


@of_arrays
def min(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """Return the smallest element of x over `axis` (all axes for None); NaN if there is one.

    Derivative: elements that are equally small share the cotangent equally.
    """
    return _min(x, axis=_axes("min", x, axis), keepdims=keepdims)


def _infer_place(name: str) -> Callable[..., Spec]:
    infer = _infer_extreme(name)
    return lambda x, *, axis, keepdims: Spec(infer(x, axis=(axis,), keepdims=keepdims).shape, int64)


def _place_samples() -> list[Any]:
    return [
        sample(apart(3, 7), axis=1, keepdims=False),
        sample(apart(5, 2, 3), axis=0, keepdims=True),
        sample(_tied(4, 9), axis=0, keepdims=False),
        sample(apart(1), axis=0, keepdims=False),
        sample((0, 3), axis=1, keepdims=False),
    ]


@leaf("argmax", infer=_infer_place("argmax"), samples=_place_samples)
def _argmax(xp: Any, x: Array, *, axis: int, keepdims: bool) -> Array:
    """y = the place of the largest element along `axis`."""
    return x.argmax(axis, keepdims=keepdims) if keepdims else x.argmax(axis)


@leaf("argmin", infer=_infer_place("argmin"), samples=_place_samples)
def _argmin(xp: Any, x: Array, *, axis: int, keepdims: bool) -> Array:
    """y = the place of the smallest element along `axis`."""
    return x.argmin(axis, keepdims=keepdims) if keepdims else x.argmin(axis)


def _place(primitive: Any, name: str, x: Any, axis: int | None, keepdims: bool) -> Any:
    if axis is not None:
        return primitive(x, axis=normalize_axis(f"{name}(x, axis)", axis, x.ndim), keepdims=keepdims)
    place = primitive(reshape(x, (-1,)), axis=0, keepdims=False)
    return reshape(place, (1,) * x.ndim) if keepdims else place


def argmax(x: Any, *, axis: int | None = None, keepdims: bool = False) -> Any:
    """Return the place of the largest element along `axis` (in the flattened x for None); the first of several."""
    return _place(_argmax, "argmax", x, axis, keepdims)


def argmin(x: Any, *, axis: int | None = None, keepdims: bool = False) -> Any:
    """Return the place of the smallest element along `axis` (in the flattened x for None); the first of several."""
    return _place(_argmin, "argmin", x, axis, keepdims)


# -- truth


def _infer_truth(x: Spec, *, axis: Axes, keepdims: bool) -> Spec:
    return Spec(_reduced(x.shape, axis, keepdims), bool_)


def _truth_samples() -> list[Any]:
    cases = [((3, 7), (0, 1), False), ((5, 2), (0,), True), ((2, 3, 5), (1,), False), ((0, 3), (0,), False)]
    return [sample(draw(*s), axis=a, keepdims=k) for draw in (booleans, _tied) for s, a, k in cases]


@leaf("any", complex=True, infer=_infer_truth, samples=_truth_samples)
def _any(xp: Any, x: Array, *, axis: Axes, keepdims: bool) -> Array:
    """y = whether an element of x over `axis` is not zero."""
    return xp.any(x, axis, keepdims=keepdims)


@leaf("all", complex=True, infer=_infer_truth, samples=_truth_samples)
def _all(xp: Any, x: Array, *, axis: Axes, keepdims: bool) -> Array:
    """y = whether no element of x over `axis` is zero."""
    return xp.all(x, axis, keepdims=keepdims)


@of_arrays
def any(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """Return whether some element of x over `axis` (all axes for None) is not zero; False for none."""
    return _any(x, axis=_axes("any", x, axis), keepdims=keepdims)


@of_arrays
def all(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """Return whether every element of x over `axis` (all axes for None) is not zero; True for none."""
    return _all(x, axis=_axes("all", x, axis), keepdims=keepdims)


op.register(
    all=all, any=any, argmax=argmax, argmin=argmin, max=max, mean=mean, min=min, prod=prod, std=std,
    sum=sum, var=var,
)  # fmt: skip
