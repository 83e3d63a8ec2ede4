"""The elementwise functions as methods of the Tensor: each hands on to the op of the same name."""

from __future__ import annotations

from typing import Any

from .operators import op


class ElementwiseMethods:
    """Elementwise functions with the same names and keywords as methods."""

    __slots__ = ()

    def clip(self, min: Any = None, max: Any = None) -> Any:
        """Return it held between min and max."""
        return op.clip(self, min, max)

    def cast(self, dtype: Any) -> Any:
        """Return it in another dtype."""
        return op.cast(self, dtype)

    def astype(self, dtype: Any, *, copy: bool = True, device: str | None = None) -> Any:
        """Return it in another dtype, as a copy unless ``copy=False`` lets it be itself."""
        return op.astype(self, dtype, copy=copy, device=device)

    def copy(self) -> Any:
        """Return it in memory of its own."""
        return op.copy(self)

    # -- of one tensor

    def abs(self) -> Any:
        """Return the absolute value."""
        return op.abs(self)

    def positive(self) -> Any:
        """Return it as it is."""
        return op.positive(self)

    def negative(self) -> Any:
        """Return -x."""
        return op.negative(self)

    def sign(self) -> Any:
        """Return -1, 0 or 1."""
        return op.sign(self)

    def square(self) -> Any:
        """Return x * x."""
        return op.square(self)

    def reciprocal(self) -> Any:
        """Return 1 / x."""
        return op.reciprocal(self)

    def exp(self) -> Any:
        """Return e^x."""
        return op.exp(self)

    def expm1(self) -> Any:
        """Return e^x - 1."""
        return op.expm1(self)

    def log(self) -> Any:
        """Return the natural logarithm."""
        return op.log(self)

    def log1p(self) -> Any:
        """Return ln(1 + x)."""
        return op.log1p(self)

    def log2(self) -> Any:
        """Return the logarithm to base 2."""
        return op.log2(self)

    def log10(self) -> Any:
        """Return the logarithm to base 10."""
        return op.log10(self)

    def sqrt(self) -> Any:
        """Return the square root."""
        return op.sqrt(self)

    def rsqrt(self) -> Any:
        """Return 1 / sqrt(x)."""
        return op.rsqrt(self)

    def sin(self) -> Any:
        """Return the sine."""
        return op.sin(self)

    def cos(self) -> Any:
        """Return the cosine."""
        return op.cos(self)

    def tan(self) -> Any:
        """Return the tangent."""
        return op.tan(self)

    def asin(self) -> Any:
        """Return the angle whose sine it is."""
        return op.asin(self)

    def acos(self) -> Any:
        """Return the angle whose cosine it is."""
        return op.acos(self)

    def atan(self) -> Any:
        """Return the angle whose tangent it is."""
        return op.atan(self)

    def sinh(self) -> Any:
        """Return the hyperbolic sine."""
        return op.sinh(self)

    def cosh(self) -> Any:
        """Return the hyperbolic cosine."""
        return op.cosh(self)

    def tanh(self) -> Any:
        """Return the hyperbolic tangent."""
        return op.tanh(self)

    def asinh(self) -> Any:
        """Return the number whose hyperbolic sine it is."""
        return op.asinh(self)

    def acosh(self) -> Any:
        """Return the number whose hyperbolic cosine it is."""
        return op.acosh(self)

    def atanh(self) -> Any:
        """Return the number whose hyperbolic tangent it is."""
        return op.atanh(self)

    def erf(self) -> Any:
        """Return the error function."""
        return op.erf(self)

    def erfc(self) -> Any:
        """Return 1 - erf(x)."""
        return op.erfc(self)

    def floor(self) -> Any:
        """Return the largest whole number below."""
        return op.floor(self)

    def ceil(self) -> Any:
        """Return the smallest whole number above."""
        return op.ceil(self)

    def trunc(self) -> Any:
        """Return it without the fraction."""
        return op.trunc(self)

    def round(self) -> Any:
        """Return the nearest whole number."""
        return op.round(self)

    def isnan(self) -> Any:
        """Return whether it is NaN."""
        return op.isnan(self)

    def isinf(self) -> Any:
        """Return whether it is infinite."""
        return op.isinf(self)

    def isfinite(self) -> Any:
        """Return whether it is neither infinite nor NaN."""
        return op.isfinite(self)

    def signbit(self) -> Any:
        """Return whether its sign is minus."""
        return op.signbit(self)

    def logical_not(self) -> Any:
        """Return whether it is zero."""
        return op.logical_not(self)

    def bitwise_invert(self) -> Any:
        """Return ~x."""
        return op.bitwise_invert(self)

    def relu(self) -> Any:
        """Return max(x, 0)."""
        return op.relu(self)

    def sigmoid(self) -> Any:
        """Return 1 / (1 + e^-x)."""
        return op.sigmoid(self)

    def silu(self) -> Any:
        """Return x sigmoid(x)."""
        return op.silu(self)

    # -- of two

    def add(self, other: Any) -> Any:
        """Return x + other."""
        return op.add(self, other)

    def subtract(self, other: Any) -> Any:
        """Return x - other."""
        return op.subtract(self, other)

    def multiply(self, other: Any) -> Any:
        """Return x * other."""
        return op.multiply(self, other)

    def divide(self, other: Any) -> Any:
        """Return x / other."""
        return op.divide(self, other)

    def floor_divide(self, other: Any) -> Any:
        """Return floor(x / other)."""
        return op.floor_divide(self, other)

    def remainder(self, other: Any) -> Any:
        """Return x - other floor(x / other)."""
        return op.remainder(self, other)

    def pow(self, other: Any) -> Any:
        """Return x^other."""
        return op.pow(self, other)

    def maximum(self, other: Any) -> Any:
        """Return the larger of both."""
        return op.maximum(self, other)

    def minimum(self, other: Any) -> Any:
        """Return the smaller of both."""
        return op.minimum(self, other)

    def atan2(self, other: Any) -> Any:
        """Return the angle of the point (other, x)."""
        return op.atan2(self, other)

    def copysign(self, other: Any) -> Any:
        """Return abs(x) with the sign of other."""
        return op.copysign(self, other)

    def hypot(self, other: Any) -> Any:
        """Return sqrt(x^2 + other^2)."""
        return op.hypot(self, other)

    def logaddexp(self, other: Any) -> Any:
        """Return log(e^x + e^other)."""
        return op.logaddexp(self, other)

    def nextafter(self, other: Any) -> Any:
        """Return the next number towards other."""
        return op.nextafter(self, other)

    def equal(self, other: Any) -> Any:
        """Return whether x == other."""
        return op.equal(self, other)

    def not_equal(self, other: Any) -> Any:
        """Return whether x != other."""
        return op.not_equal(self, other)

    def less(self, other: Any) -> Any:
        """Return whether x < other."""
        return op.less(self, other)

    def less_equal(self, other: Any) -> Any:
        """Return whether x <= other."""
        return op.less_equal(self, other)

    def greater(self, other: Any) -> Any:
        """Return whether x > other."""
        return op.greater(self, other)

    def greater_equal(self, other: Any) -> Any:
        """Return whether x >= other."""
        return op.greater_equal(self, other)

    def logical_and(self, other: Any) -> Any:
        """Return whether neither is zero."""
        return op.logical_and(self, other)

    def logical_or(self, other: Any) -> Any:
        """Return whether not both are zero."""
        return op.logical_or(self, other)

    def logical_xor(self, other: Any) -> Any:
        """Return whether one alone is zero."""
        return op.logical_xor(self, other)

    def bitwise_and(self, other: Any) -> Any:
        """Return x & other."""
        return op.bitwise_and(self, other)

    def bitwise_or(self, other: Any) -> Any:
        """Return x | other."""
        return op.bitwise_or(self, other)

    def bitwise_xor(self, other: Any) -> Any:
        """Return x ^ other."""
        return op.bitwise_xor(self, other)

    def bitwise_left_shift(self, other: Any) -> Any:
        """Return x 2^other."""
        return op.bitwise_left_shift(self, other)

    def bitwise_right_shift(self, other: Any) -> Any:
        """Return floor(x / 2^other)."""
        return op.bitwise_right_shift(self, other)
