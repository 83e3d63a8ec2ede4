"""The Tensor's operators and array methods: each hands on to the op of the same name."""

from __future__ import annotations

from typing import Any

from .operators import op


class ArrayMethods:
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

    # -- shape

    @property
    def T(self) -> Any:
        """The matrix transpose of a 2-d tensor."""
        return op.matrix_transpose(self) if getattr(self, "ndim") == 2 else op.permute_dims(self, None)  # noqa: B009

    @property
    def mT(self) -> Any:
        """The last two axes exchanged."""
        return op.matrix_transpose(self)

    def reshape(self, *shape: Any) -> Any:
        """Return the same elements in another shape; one size may be -1."""
        return op.reshape(self, shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape)
