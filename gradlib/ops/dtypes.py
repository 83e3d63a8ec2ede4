"""What holds of dtypes: their limits, kinds, common ones, and what may become what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from .. import backend as backends
from ..core import Tensor, op
from ..errors import DTypeError
from ..spec import (
    COMPLEX,
    DTYPES,
    FLOATING,
    INTEGER,
    DType,
    as_dtype,
    bool_,
    complex_of,
    default_complex,
    default_float,
    int64,
    is_differentiable,
    promote,
    real_of,
)  # fmt: skip

__all__ = ["astype", "can_cast", "finfo", "iinfo", "isdtype", "result_type"]


@dataclass(frozen=True)
class FloatInfo:
    """What `finfo` returns."""

    bits: int  # of the dtype, or of one part of a complex one
    eps: float  # from 1.0 to the next number
    max: float
    min: float
    smallest_normal: float
    dtype: DType


@dataclass(frozen=True)
class IntegerInfo:
    """What `iinfo` returns."""

    bits: int
    max: int
    min: int
    dtype: DType


def _dtype_of(type: Any) -> DType:
    return type.dtype if isinstance(type, Tensor) or backends.is_array(type) else as_dtype(type)


def finfo(type: Any) -> FloatInfo:
    """Return the limits of a floating dtype (of the parts of a complex one), given as such or by an array.

    >>> import gradlib as gl
    >>> gl.finfo(gl.bfloat16).eps
    0.0078125
    """
    dtype = real_of(_dtype_of(type))
    if dtype not in FLOATING:
        raise DTypeError(f"finfo(type): {dtype} is not floating\n  need a floating or complex dtype, or gl.iinfo")
    info = ml_dtypes.finfo(dtype)
    eps, most, least, normal = (float(n) for n in (info.eps, info.max, info.min, info.smallest_normal))
    return FloatInfo(8 * dtype.itemsize, eps, most, least, normal, dtype)


def iinfo(type: Any) -> IntegerInfo:
    """Return the limits of an integer dtype, given as such or by an array.

    >>> import gradlib as gl
    >>> gl.iinfo(gl.int8).max
    127
    """
    dtype = _dtype_of(type)
    if dtype not in INTEGER:
        raise DTypeError(f"iinfo(type): {dtype} is no integer dtype\n  need one, or gl.finfo")
    info = np.iinfo(dtype)
    return IntegerInfo(info.bits, int(info.max), int(info.min), dtype)


_KINDS: dict[str, frozenset[DType]] = {
    "bool": frozenset((bool_,)),
    "signed integer": frozenset(d for d in INTEGER if d.kind == "i"),
    "unsigned integer": frozenset(d for d in INTEGER if d.kind == "u"),
    "integral": frozenset(INTEGER),
    "real floating": frozenset(FLOATING),
    "complex floating": frozenset(COMPLEX),
    "numeric": frozenset(DTYPES.values()) - {bool_},
}


def kind_of(what: str, kind: Any) -> frozenset[DType]:
    """Return the dtypes of a kind: its name, or a tuple of names."""
    if isinstance(kind, tuple):
        return frozenset().union(*(kind_of(what, k) for k in kind))
    if kind not in _KINDS:
        raise ValueError(f"{what}: there is no kind {kind!r}\n  need one of {', '.join(_KINDS)}, or a tuple of them")
    return _KINDS[kind]


def isdtype(dtype: Any, kind: Any) -> bool:
    """Return whether a dtype is another, or of a kind (``"integral"``, ``"real floating"``, ...), or of one of a tuple.

    >>> import gradlib as gl
    >>> gl.isdtype(gl.bfloat16, ("integral", "real floating"))
    True
    """
    dtype = as_dtype(dtype)
    if isinstance(kind, tuple):
        return any(isdtype(dtype, k) for k in kind)
    if isinstance(kind, str) and (kind in _KINDS or kind not in DTYPES):
        return dtype in kind_of("isdtype(dtype, kind)", kind)
    return bool(dtype == as_dtype(kind))


def can_cast(from_: Any, to: Any) -> bool:
    """Return whether promotion leads from one dtype (or array) to the other.

    >>> import gradlib as gl
    >>> gl.can_cast(gl.float32, gl.complex64), gl.can_cast(gl.int32, gl.int16), gl.can_cast(gl.int32, gl.float64)
    (True, False, True)
    """
    source, target = _dtype_of(from_), as_dtype(to)
    try:
        return promote((source, target)) == target
    except DTypeError:  # uint64 with a signed integer
        return False


def result_type(*arrays_and_dtypes: Any) -> DType:
    """Return the dtype that an op on these would give: arrays, dtypes, and Python's numbers, which are weak.

    >>> import gradlib as gl
    >>> gl.result_type(gl.tensor([1, 2]), gl.float16, 1.0)
    dtype('float16')
    """
    numbers = [x for x in arrays_and_dtypes if isinstance(x, (bool, int, float, complex))]
    dtypes = [_dtype_of(x) for x in arrays_and_dtypes if not isinstance(x, (bool, int, float, complex))]
    if not arrays_and_dtypes:
        raise DTypeError("result_type(*arrays_and_dtypes): nothing is given\n  need one array or dtype at least")
    dtype = promote(dtypes) if dtypes else bool_
    for x in numbers:
        if isinstance(x, complex):
            dtype = complex_of(dtype) if is_differentiable(dtype) else default_complex
        elif isinstance(x, float) and not is_differentiable(dtype):
            dtype = default_float
        elif dtype == bool_ and not isinstance(x, bool):
            dtype = int64
    return dtype


def astype(x: Any, dtype: Any, *, copy: bool = True, device: str | None = None) -> Any:
    """Return x in another dtype, on `device` if given; a copy, or x itself where nothing changes and `copy` is False.

    Complex numbers become real ones by `real`, `imag` or `abs`, not by this.
    """
    result = op.cast(x, dtype=dtype)
    if device is not None:
        result = op.to_device(result, device=device)
    return op.copy(x) if copy and result is x else result


op.register(astype=astype)
