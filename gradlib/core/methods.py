"""The Tensor's operators and array methods: each hands on to the op of the same name."""

from __future__ import annotations

from typing import Any

from .elementwise_methods import ElementwiseMethods
from .hints import Hints
from .operators import op


class ArrayMethods(ElementwiseMethods, Hints):
    """Operators and methods of `Tensor`; every array function is also a method with the same keywords."""

    __slots__ = ()

    def __add__(self, other: Any) -> Any:
        return op.add(self, other)

    def __radd__(self, other: Any) -> Any:
        return op.add(other, self)

    def __sub__(self, other: Any) -> Any:
        return op.subtract(self, other)

    def __rsub__(self, other: Any) -> Any:
        return op.subtract(other, self)

    def __mul__(self, other: Any) -> Any:
        return op.multiply(self, other)

    def __rmul__(self, other: Any) -> Any:
        return op.multiply(other, self)

    def __truediv__(self, other: Any) -> Any:
        return op.divide(self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return op.divide(other, self)

    def __floordiv__(self, other: Any) -> Any:
        return op.floor_divide(self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return op.floor_divide(other, self)

    def __mod__(self, other: Any) -> Any:
        return op.remainder(self, other)

    def __rmod__(self, other: Any) -> Any:
        return op.remainder(other, self)

    def __pow__(self, other: Any) -> Any:
        return op.pow(self, other)

    def __rpow__(self, other: Any) -> Any:
        return op.pow(other, self)

    def __matmul__(self, other: Any) -> Any:
        return op.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return op.matmul(other, self)

    def __neg__(self) -> Any:
        return op.negative(self)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return op.abs(self)

    def __invert__(self) -> Any:
        return op.bitwise_invert(self)

    def __and__(self, other: Any) -> Any:
        return op.bitwise_and(self, other)

    def __rand__(self, other: Any) -> Any:
        return op.bitwise_and(other, self)

    def __or__(self, other: Any) -> Any:
        return op.bitwise_or(self, other)

    def __ror__(self, other: Any) -> Any:
        return op.bitwise_or(other, self)

    def __xor__(self, other: Any) -> Any:
        return op.bitwise_xor(self, other)

    def __rxor__(self, other: Any) -> Any:
        return op.bitwise_xor(other, self)

    def __lshift__(self, other: Any) -> Any:
        return op.bitwise_left_shift(self, other)

    def __rlshift__(self, other: Any) -> Any:
        return op.bitwise_left_shift(other, self)

    def __rshift__(self, other: Any) -> Any:
        return op.bitwise_right_shift(self, other)

    def __rrshift__(self, other: Any) -> Any:
        return op.bitwise_right_shift(other, self)

    def __eq__(self, other: object) -> Any:
        return op.equal(self, other)

    def __ne__(self, other: object) -> Any:
        return op.not_equal(self, other)

    def __lt__(self, other: Any) -> Any:
        return op.less(self, other)

    def __le__(self, other: Any) -> Any:
        return op.less_equal(self, other)

    def __gt__(self, other: Any) -> Any:
        return op.greater(self, other)

    def __ge__(self, other: Any) -> Any:
        return op.greater_equal(self, other)

    __hash__ = object.__hash__

    def __getitem__(self, index: Any) -> Any:
        return op.getitem(self, index)

    def matmul(self, other: Any) -> Any:
        """Return the matrix product with `other`."""
        return op.matmul(self, other)

    # -- complex numbers

    @property
    def real(self) -> Any:
        """The real part, as a view; itself if it is real."""
        return op.real(self)

    @property
    def imag(self) -> Any:
        """The imaginary part, as a view; zeros if it is real."""
        return op.imag(self)

    def conj(self) -> Any:
        """Return the complex conjugate; itself if it is real."""
        return op.conj(self)

    def angle(self) -> Any:
        """Return the angle in the complex plane."""
        return op.angle(self)

    # -- shape

    @property
    def T(self) -> Any:
        """The axes in reverse order: the transpose of a matrix."""
        return op.permute_dims(self, None)

    @property
    def mT(self) -> Any:
        """The last two axes exchanged."""
        return op.matrix_transpose(self)

    def reshape(self, *shape: Any, copy: bool | None = None) -> Any:
        """Return the same elements in another shape, ``x.reshape(2, -1)`` or ``x.reshape((2, -1))``."""
        return op.reshape(self, shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape, copy=copy)

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Any:
        """Return it with the axes from `start_dim` to `end_dim` joined into one."""
        return op.flatten(self, start_dim, end_dim)

    def permute_dims(self, axes: Any = None) -> Any:
        """Return it with axis ``axes[i]`` as axis i; the axes reversed for None."""
        return op.permute_dims(self, axes)

    def matrix_transpose(self) -> Any:
        """Return it with the last two axes exchanged."""
        return op.matrix_transpose(self)

    def moveaxis(self, source: Any, destination: Any) -> Any:
        """Return it with the axes `source` at the places `destination`."""
        return op.moveaxis(self, source, destination)

    def swapaxes(self, axis1: int, axis2: int) -> Any:
        """Return it with two axes exchanged."""
        return op.swapaxes(self, axis1, axis2)

    def expand_dims(self, axis: Any = 0) -> Any:
        """Return it with new axes of size 1."""
        return op.expand_dims(self, axis)

    def squeeze(self, axis: Any = None) -> Any:
        """Return it without axes of size 1."""
        return op.squeeze(self, axis)

    def broadcast_to(self, shape: Any) -> Any:
        """Return it repeated to `shape`, without copying."""
        return op.broadcast_to(self, shape)

    def flip(self, axis: Any = None) -> Any:
        """Return it with the elements along `axis` in reverse order."""
        return op.flip(self, axis)

    def roll(self, shift: Any, axis: Any = None) -> Any:
        """Return it with elements moved along `axis`, wrapping round."""
        return op.roll(self, shift, axis)

    def tile(self, repetitions: Any) -> Any:
        """Return it repeated so many times along each axis."""
        return op.tile(self, repetitions)

    def repeat(self, repeats: Any, axis: int | None = None) -> Any:
        """Return it with each element repeated so many times in a row."""
        return op.repeat(self, repeats, axis)

    def pad(self, pad_width: Any, value: float = 0.0) -> Any:
        """Return it with `value` added before and after along each axis."""
        return op.pad(self, pad_width, value)

    def split(self, indices_or_sections: Any, axis: int = 0) -> Any:
        """Return it cut along `axis`, as a list."""
        return op.split(self, indices_or_sections, axis)

    def unstack(self, axis: int = 0) -> Any:
        """Return its slices along `axis`, as a tuple."""
        return op.unstack(self, axis)

    # -- picking

    @property
    def at(self) -> Any:
        """``x.at[index].set(v)``, ``.add(v)``, ``.min(v)``, ``.max(v)``: a new tensor with those elements changed."""
        return op.at(self)

    def take(self, indices: Any, *, axis: int | None = None) -> Any:
        """Return the elements at `indices` along `axis`."""
        return op.take(self, indices, axis=axis)

    def take_along_axis(self, indices: Any, *, axis: int = -1) -> Any:
        """Return, for each line along `axis`, its elements at the indices of that line."""
        return op.take_along_axis(self, indices, axis=axis)

    def nonzero(self) -> Any:
        """Return the indices of the elements that are not zero, an array per axis."""
        return op.nonzero(self)

    def sort(self, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
        """Return it sorted along `axis`."""
        return op.sort(self, axis=axis, descending=descending, stable=stable)

    def argsort(self, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
        """Return the indices that sort it along `axis`."""
        return op.argsort(self, axis=axis, descending=descending, stable=stable)

    def searchsorted(self, x2: Any, *, side: str = "left", sorter: Any = None) -> Any:
        """Return the places in it, sorted, where the elements of `x2` belong."""
        return op.searchsorted(self, x2, side=side, sorter=sorter)

    def isin(self, x2: Any, *, invert: bool = False) -> Any:
        """Return whether each element is among those of `x2`."""
        return op.isin(self, x2, invert=invert)

    def unique_all(self) -> Any:
        """Return its distinct elements, their first places, where each element is among them, and their numbers."""
        return op.unique_all(self)

    def unique_counts(self) -> Any:
        """Return its distinct elements and their numbers."""
        return op.unique_counts(self)

    def unique_inverse(self) -> Any:
        """Return its distinct elements, and where each element is among them."""
        return op.unique_inverse(self)

    def unique_values(self) -> Any:
        """Return its distinct elements in ascending order."""
        return op.unique_values(self)

    def tril(self, *, k: int = 0) -> Any:
        """Return it with zeros above diagonal k."""
        return op.tril(self, k=k)

    def triu(self, *, k: int = 0) -> Any:
        """Return it with zeros below diagonal k."""
        return op.triu(self, k=k)

    # -- reductions

    def sum(self, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
        """Return the sum over `axis`."""
        return op.sum(self, axis=axis, dtype=dtype, keepdims=keepdims)

    def mean(self, *, axis: Any = None, keepdims: bool = False) -> Any:
        """Return the mean over `axis`."""
        return op.mean(self, axis=axis, keepdims=keepdims)

    def var(self, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Any:
        """Return the variance over `axis`; ``correction=1`` for the unbiased one."""
        return op.var(self, axis=axis, correction=correction, keepdims=keepdims)

    def std(self, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Any:
        """Return the standard deviation over `axis`; ``correction=1`` as in `var`."""
        return op.std(self, axis=axis, correction=correction, keepdims=keepdims)

    def logsumexp(self, *, axis: Any = None, keepdims: bool = False) -> Any:
        """Return log(sum(exp(x))) over `axis`."""
        return op.logsumexp(self, axis=axis, keepdims=keepdims)

    def softmax(self, *, axis: int = -1) -> Any:
        """Return exp(x) over its sum along `axis`."""
        return op.softmax(self, axis=axis)

    def log_softmax(self, *, axis: int = -1) -> Any:
        """Return the logarithm of `softmax`."""
        return op.log_softmax(self, axis=axis)

    def prod(self, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
        """Return the product over `axis`."""
        return op.prod(self, axis=axis, dtype=dtype, keepdims=keepdims)

    def cumsum(self, *, axis: int | None = None) -> Any:
        """Return the sums of all elements up to each, along `axis`."""
        return op.cumsum(self, axis=axis)

    def cumprod(self, *, axis: int | None = None) -> Any:
        """Return the products of all elements up to each, along `axis`."""
        return op.cumprod(self, axis=axis)

    def cumulative_sum(self, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
        """Return the sums of all elements up to each, along `axis`; after a first 0 with `include_initial`."""
        return op.cumulative_sum(self, axis=axis, dtype=dtype, include_initial=include_initial)

    def cumulative_prod(self, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
        """Return the products of all elements up to each, along `axis`; after a first 1 with `include_initial`."""
        return op.cumulative_prod(self, axis=axis, dtype=dtype, include_initial=include_initial)

    def diff(self, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Any:
        """Return the n-th differences of neighbours along `axis`."""
        return op.diff(self, axis=axis, n=n, prepend=prepend, append=append)

    def count_nonzero(self, *, axis: Any = None, keepdims: bool = False) -> Any:
        """Return how many elements over `axis` are not zero."""
        return op.count_nonzero(self, axis=axis, keepdims=keepdims)

    def max(self, *, axis: Any = None, keepdims: bool = False) -> Any:
        """Return the largest element over `axis`."""
        return op.max(self, axis=axis, keepdims=keepdims)

    def min(self, *, axis: Any = None, keepdims: bool = False) -> Any:
        """Return the smallest element over `axis`."""
        return op.min(self, axis=axis, keepdims=keepdims)

    def argmax(self, *, axis: int | None = None, keepdims: bool = False) -> Any:
        """Return the place of the largest element along `axis`."""
        return op.argmax(self, axis=axis, keepdims=keepdims)

    def argmin(self, *, axis: int | None = None, keepdims: bool = False) -> Any:
        """Return the place of the smallest element along `axis`."""
        return op.argmin(self, axis=axis, keepdims=keepdims)

    def any(self, *, axis: Any = None, keepdims: bool = False) -> Any:
        """Return whether some element over `axis` is not zero."""
        return op.any(self, axis=axis, keepdims=keepdims)

    def all(self, *, axis: Any = None, keepdims: bool = False) -> Any:
        """Return whether every element over `axis` is not zero."""
        return op.all(self, axis=axis, keepdims=keepdims)
