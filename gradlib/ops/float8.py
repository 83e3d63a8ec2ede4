"""The launcher of casts to and from 8-bit floats."""

from __future__ import annotations

from typing import Any

from .. import backend as backends
from ..kernel import Kernel, ctype
from ..spec import STORAGE, DType, is_floating

__all__ = ["cast_kernel"]

_cast = Kernel("float8.cu", "cast_float8", "x y | count")


def cast_kernel(x: Any, dtype: DType) -> Any:
    """Return x in another dtype, if both are floats."""
    for other in (x.dtype, dtype):
        if other not in STORAGE and not is_floating(other):
            return NotImplemented
    y = backends.backend_of(x).empty(x.shape, dtype)
    if x.size:
        blocks = min(-(-x.size // 256), 4096)
        _cast(blocks, 256, x, y, x.size, T=ctype(x.dtype), OUT=ctype(dtype), NARROWS=dtype in STORAGE)
    return y
