"""One table of tolerances, by dtype, and the comparison that uses it.  Never widened at a call site."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from .. import backend as backends
from ..core import Tensor
from ..spec import (
    DType,
    bfloat16,
    complex64,
    complex128,
    float16,
    float32,
    float64,
    is_complex,
    is_differentiable,
    real_of,
)

# Largest error allowed, relative to |expected| plus the root mean square of all expected values
# (a sum that cancels is as wrong as its terms, not as its value).
TOLERANCE: dict[DType, float] = {
    float64: 1e-11,  # eps 1.1e-16; sums of some thousand terms, exp and pow of values near 10, a few ops in a row
    float32: 2e-5,  # eps 6.0e-8; the same, and CUDA's exp, tanh, erf are good to a few ulp
    float16: 2e-3,  # eps 4.9e-4; inputs are exact, one rounding at the end of a value and one more within a gradient
    bfloat16: 1.6e-2,  # eps 3.9e-3; as float16
    complex128: 1e-11,  # as its parts; the error is that of the number as a whole, of its modulus
    complex64: 2e-5,
}

FINITE_DIFFERENCE = 2e-6  # central differences in float64: step 1e-5, truncation 1e-10 times the third derivative


def to_numpy(value: Any) -> np.ndarray[Any, Any]:
    """Return a Tensor or an array of any device as a NumPy array."""
    array = value.data if isinstance(value, Tensor) else value
    if not backends.is_array(array):
        return np.asarray(array)
    return np.asarray(backends.backend_of(array).to_host(array))


def widest(array: Any) -> np.ndarray[Any, Any]:
    """Return an array in float64, or complex128."""
    return array.astype(np.complex128 if is_complex(array.dtype) else np.float64)  # type: ignore[no-any-return]


def worst(actual: Any, expected: Any) -> tuple[float, tuple[int, ...]]:
    """Return the largest relative error, as the table above means it, and where it is; inf where one is not finite."""
    a, e = widest(to_numpy(actual)), widest(to_numpy(expected))
    if a.size == 0:
        return 0.0, ()
    kind = to_numpy(actual).dtype
    floating = is_differentiable(kind)
    smallest = float(ml_dtypes.finfo(real_of(kind)).smallest_subnormal) if floating else 0.0  # the grid near 0
    finite = np.isfinite(e)
    scale = float(np.sqrt(np.mean(np.abs(e[finite]) ** 2))) if finite.any() else 0.0
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.abs(a - e) / (np.abs(e) + scale)
        error = np.where((a == e) | (np.abs(a - e) <= smallest), 0.0, error)
    error = np.where(np.isnan(a) & np.isnan(e), 0.0, error)
    error = np.where(np.isnan(error) | (~finite & (error != 0.0)), np.inf, error)
    index = np.unravel_index(int(np.argmax(error)), error.shape)
    return float(error[index]), tuple(int(i) for i in index)


def assert_close(actual: Any, expected: Any, *, dtype: Any = None, what: str = "result") -> None:
    """Assert that two arrays or Tensors agree to the tolerance of `dtype` (of `actual`'s dtype if not given).

    Shapes must be equal; integers and booleans must agree exactly.  The error names the worst entry.
    """
    a, e = to_numpy(actual), to_numpy(expected)
    if a.shape != e.shape:
        raise AssertionError(f"{what}: shape {a.shape}, expected {e.shape}")
    limit = TOLERANCE.get(np.dtype(dtype) if dtype is not None else a.dtype, 0.0)
    error, index = worst(a, e)
    if error > limit:
        raise AssertionError(
            f"{what}: relative error {error:.3g} at index {index}: {a[index]!r}, expected {e[index]!r} "
            f"({a.dtype}, tolerance {limit:g})"
        )
