"""Python's numbers among the operands of an op, as arrays of a device with kernels."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import backend as backends
from ..errors import DTypeError
from ..spec import REDUCED, WIDE, is_differentiable
from .primitive import Primitive

__all__ = ["scalar", "with_constants"]

_CONSTANTS = 4096  # of a device that are kept


def with_constants(prim: Primitive, arrays: list[Any]) -> list[Any]:
    """Put arrays in the place of Python's numbers among floats of one dtype and device; others are settled later.

    They are made once: whoever multiplies by 2.0 will do so again, and to move a number to a GPU takes longer than a
    launch.
    """
    like: Any = None
    for like in arrays:
        if type(like) is not float and type(like) is not int:
            break
    kind = type(like)
    backend = backends.of_type(kind)
    if backend is None or not backend.runs_kernels:
        return arrays
    dtype = like.dtype
    if dtype not in WIDE and dtype not in REDUCED:
        return arrays
    constants = backend.constants()
    found: list[Any] = []
    for a in arrays:
        if a is like or (type(a) is kind and a.dtype is dtype):
            found.append(a)
        elif type(a) is float or type(a) is int:
            key = dtype, a or repr(a)  # 0.0 and -0.0 are equal, and not the same
            constant = constants.get(key)
            if constant is None:
                constant = backend.asarray(scalar(prim, a, dtype))
                _keep_constant(backend, constants, key, constant)
            found.append(constant)
        else:
            return arrays
    return found


def _keep_constant(backend: Any, constants: dict[Any, Any], key: Any, array: Any) -> None:
    """Keep the array of a number that comes for the second time: some are new in every step."""
    if len(constants) >= _CONSTANTS:
        backend.synchronize()  # others may be read from at this moment
        constants.clear()
    if key not in constants:
        constants[key] = None
        return
    backend.synchronize()  # it was moved in this stream, and will be read in any
    constants[key] = array


def scalar(prim: Primitive, value: Any, dtype: Any) -> Any:
    """Return a number as an array of no axes, of this dtype."""
    try:
        return np.asarray(value).astype(dtype) if is_differentiable(dtype) else np.asarray(value, dtype)
    except OverflowError as error:
        raise DTypeError(f"{prim.name}: the number {value} does not fit {dtype}") from error
