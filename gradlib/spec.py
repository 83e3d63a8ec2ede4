"""Shapes and dtypes without data: `Spec`, broadcasting, promotion."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeAlias

import ml_dtypes
import numpy as np

from .errors import AxisError, DTypeError, ShapeError, message

DType: TypeAlias = "np.dtype[Any]"

float64 = np.dtype("float64")
float32 = np.dtype("float32")
float16 = np.dtype("float16")
bfloat16 = np.dtype(ml_dtypes.bfloat16)
int8, int16, int32, int64 = (np.dtype(f"int{n}") for n in (8, 16, 32, 64))
uint8, uint16, uint32, uint64 = (np.dtype(f"uint{n}") for n in (8, 16, 32, 64))
bool_ = np.dtype("bool")
complex64, complex128 = np.dtype("complex64"), np.dtype("complex128")

FLOATING = (float16, bfloat16, float32, float64)
COMPLEX = (complex64, complex128)
DIFFERENTIABLE = frozenset((*FLOATING, *COMPLEX))
# 8-bit floats, in which values are kept and moved, cast to and from, and multiplied by `scaled_mm`; nothing else.
float8_e4m3fn, float8_e5m2 = np.dtype(ml_dtypes.float8_e4m3fn), np.dtype(ml_dtypes.float8_e5m2)
STORAGE = frozenset((float8_e4m3fn, float8_e5m2))
INTEGER = (int8, int16, int32, int64, uint8, uint16, uint32, uint64)
DTYPES = {d.name: d for d in (*FLOATING, *COMPLEX, *INTEGER, bool_)}
_NAMED: dict[str, DType] = {**DTYPES, float8_e4m3fn.name: float8_e4m3fn, float8_e5m2.name: float8_e5m2}

# Computed in float32 and rounded once, at the op the user called.
REDUCED = frozenset((float16, bfloat16))
# Dtypes NumPy computes in as they are; `apply` takes its shortest path for them.
WIDE = frozenset((float32, float64))

default_float = float32
default_complex = complex64


class Spec(NamedTuple):
    """The shape and dtype of an array that need not exist."""

    shape: tuple[int, ...]
    dtype: DType

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)


def spec_of(array: Any) -> Spec:
    """Return the Spec of anything with a shape and a dtype."""
    return Spec(tuple(array.shape), array.dtype)


def as_dtype(dtype: Any) -> DType:
    """Return the gradlib dtype for an object or a name; `DTypeError` for one that gradlib has not."""
    name = dtype if isinstance(dtype, str) else np.dtype(dtype).name
    try:
        return _NAMED[name]
    except KeyError:
        raise DTypeError(f"dtype {name!r} is not supported\n  need one of {', '.join(_NAMED)}") from None


def is_floating(dtype: DType) -> bool:
    """Whether this is a real floating dtype (bfloat16's `kind` is 'V', so kinds do not tell)."""
    return dtype in FLOATING


def is_complex(dtype: DType) -> bool:
    return dtype.kind == "c"


def is_differentiable(dtype: DType) -> bool:
    """Whether a derivative with respect to this dtype exists: it is floating or complex."""
    return dtype in DIFFERENTIABLE


def real_of(dtype: DType) -> DType:
    """Return the dtype of the real part: float32 for complex64; a real dtype itself."""
    return (float32 if dtype == complex64 else float64) if dtype.kind == "c" else dtype


def complex_of(dtype: DType) -> DType:
    """Return the complex dtype whose parts hold this dtype: complex128 for float64, complex64 for any other."""
    return dtype if dtype.kind == "c" else complex128 if dtype == float64 else complex64


def promote(dtypes: Iterable[DType]) -> DType:
    """Return the common dtype: Array API rules, and an integer yields to any floating or complex dtype.

    float16 with bfloat16 gives float32; uint64 with a signed integer, and an 8-bit float with anything, have none.
    """
    distinct = set(dtypes)
    if len(distinct) == 1:
        return distinct.pop()
    if not STORAGE.isdisjoint(distinct):
        raise _no_common(distinct)
    floating = [d for d in distinct if is_differentiable(d)]
    if any(is_complex(d) for d in floating):
        return max((complex_of(d) for d in floating), key=lambda d: d.itemsize)
    if floating:
        if set(floating) == {float16, bfloat16}:
            return float32
        return max(floating, key=lambda d: d.itemsize)
    result = np.result_type(*distinct)
    if result not in INTEGER and result != bool_:
        raise _no_common(distinct)
    return result


def _no_common(dtypes: Iterable[DType]) -> DTypeError:
    names = ", ".join(sorted(d.name for d in dtypes))
    return DTypeError(f"no common dtype for {names}\n  need an explicit cast: x.to(dtype)")


def check_one_dtype(what: str, lines: Iterable[str], *specs: Spec | None) -> None:
    """Refuse operands of different dtypes: a layer that quietly computed in the wider one would surprise."""
    dtypes = list(dict.fromkeys(s.dtype for s in specs if s is not None))
    if len(dtypes) > 1:
        raise DTypeError(
            message(f"{what}: dtypes differ, {' and '.join(map(str, dtypes))}", lines, f"need one: x.to({dtypes[-1]})")
        )


def broadcast_shapes(op: str, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the common shape by NumPy's rules; `ShapeError` that names the axis otherwise."""
    ndim = max(map(len, shapes), default=0)
    result = [1] * ndim
    for shape in shapes:
        for axis, size in enumerate(shape, start=ndim - len(shape)):
            if size == 1 or size == result[axis]:
                continue
            if result[axis] != 1:
                raise ShapeError(
                    f"{op}: shapes {' and '.join(map(str, shapes))} do not broadcast: "
                    f"axis {axis - ndim} has sizes {result[axis]} and {size}\n"
                    f"  need equal sizes, or 1, on every axis counted from the last"
                )
            result[axis] = size
    return tuple(result)


def normalize_axis(op: str, axis: int, ndim: int) -> int:
    """Return `axis` counted from the front; `AxisError` if there is no such axis."""
    if not -ndim <= axis < ndim:
        raise AxisError(f"{op}: axis {axis} is out of range for {ndim} dimensions\n  need {-ndim} <= axis < {ndim}")
    return axis % ndim


def normalize_axes(op: str, axis: int | Iterable[int] | None, ndim: int) -> tuple[int, ...]:
    """Return every axis for None, otherwise the named ones, from the front, in order, each once."""
    if axis is None:
        return tuple(range(ndim))
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    result = tuple(sorted(normalize_axis(op, a, ndim) for a in axes))
    if len(set(result)) != len(result):
        raise ShapeError(f"{op}: axis {axes} names an axis twice")
    return result
