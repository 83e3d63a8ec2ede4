"""New tensors: filled, counted, spaced, like another."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import backend as backends
from ..core import Tensor, current_backend, op, zeros_as
from ..errors import ShapeError
from ..spec import as_dtype, default_complex, default_float, int64
from .operands import of_arrays
from .shape import as_shape, broadcast_to, reshape

__all__ = [
    "arange", "empty", "empty_like", "eye", "full", "full_like", "linspace", "meshgrid", "ones", "ones_like", "zeros",
    "zeros_like",
]  # fmt: skip


def _place(values: Any, device: str | None, requires_grad: bool) -> Tensor:
    return Tensor(current_backend(device).asarray(values), requires_grad)


def full(
    shape: Any, fill_value: Any, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False
) -> Tensor:
    """Return a tensor of `fill_value`, in `dtype` or (for a number of Python) bool, int64, float32 or complex64.

    >>> import gradlib as gl
    >>> gl.full((2,), 0.5)
    tensor([0.5, 0.5], dtype=float32)
    """
    if dtype is None:
        kinds = {bool: np.dtype(bool), int: int64, complex: default_complex}
        dtype = fill_value.dtype if hasattr(fill_value, "dtype") else kinds.get(type(fill_value), default_float)
    value = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
    backend = current_backend(device)
    array = backend.empty(as_shape("full(shape, fill_value)", shape), as_dtype(dtype))
    array[...] = value
    return Tensor(array, requires_grad)


def zeros(shape: Any, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor of zeros, float32 unless `dtype` says otherwise."""
    dtype = default_float if dtype is None else as_dtype(dtype)
    return Tensor(current_backend(device).zeros(as_shape("zeros(shape)", shape), dtype), requires_grad)


def ones(shape: Any, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor of ones, float32 unless `dtype` says otherwise."""
    dtype = default_float if dtype is None else dtype
    return full(as_shape("ones(shape)", shape), 1, dtype=dtype, device=device, requires_grad=requires_grad)


def empty(shape: Any, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor whose values are whatever was in its memory, float32 unless `dtype` says otherwise."""
    dtype = default_float if dtype is None else as_dtype(dtype)
    return Tensor(current_backend(device).empty(as_shape("empty(shape)", shape), dtype), requires_grad)


def _like(x: Any, dtype: Any, device: str | None) -> Any:
    """Return an array of undefined values, of x's shape and (unless others are given) dtype and device."""
    shape, dtype = x.shape, x.dtype if dtype is None else as_dtype(dtype)
    array = x.data if isinstance(x, Tensor) else x
    backend = backends.backend_of(array) if device is None else backends.get(device)
    result = backend.empty(shape, dtype)
    return Tensor(result) if isinstance(x, Tensor) else result


@of_arrays
def full_like(x: Any, fill_value: Any, *, dtype: Any = None, device: str | None = None) -> Any:
    """Return `fill_value` in x's shape, dtype and device (unless others are given); a Tensor if x is one."""
    result = _like(x, dtype, device)
    value = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
    (result.data if isinstance(result, Tensor) else result)[...] = value
    return result


@of_arrays
def zeros_like(x: Any, *, dtype: Any = None, device: str | None = None) -> Any:
    """Return zeros of x's shape, dtype and device (unless others are given); a Tensor if x is one."""
    if device is not None:
        return full_like(x, 0, dtype=dtype, device=device)
    return zeros_as(x, shape=x.shape, dtype=x.dtype if dtype is None else as_dtype(dtype))


@of_arrays
def ones_like(x: Any, *, dtype: Any = None, device: str | None = None) -> Any:
    """Return ones of x's shape, dtype and device (unless others are given); a Tensor if x is one."""
    return full_like(x, 1, dtype=dtype, device=device)


@of_arrays
def empty_like(x: Any, *, dtype: Any = None, device: str | None = None) -> Any:
    """Return undefined values in x's shape, dtype and device (unless others are given); a Tensor if x is one."""
    return _like(x, dtype, device)


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1,
    *,
    dtype: Any = None,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return start, start + step, ... below stop (0, 1, ... below start, if that is alone).

    int64 if all arguments are ints, else float32, unless `dtype` says otherwise.

    >>> import gradlib as gl
    >>> gl.arange(3)
    tensor([0, 1, 2], dtype=int64)
    """
    if stop is None:
        start, stop = 0, start
    if dtype is None:
        whole = all(isinstance(v, (int, np.integer)) for v in (start, stop, step))
        dtype = int64 if whole else default_float
    values = np.arange(start, stop, step).astype(as_dtype(dtype))
    return _place(values, device, requires_grad)


def linspace(
    start: float,
    stop: float,
    num: int,
    *,
    endpoint: bool = True,
    dtype: Any = None,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return `num` equally spaced numbers from start to stop (excluded if not `endpoint`), in float32 or `dtype`."""
    if num < 0:
        raise ShapeError(f"linspace(start, stop, num): num is {num}\n  need num >= 0")
    values = np.linspace(start, stop, num, endpoint=endpoint)
    return _place(values.astype(default_float if dtype is None else as_dtype(dtype)), device, requires_grad)


def eye(
    n_rows: int,
    n_cols: int | None = None,
    *,
    k: int = 0,
    dtype: Any = None,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return a matrix with ones on diagonal k and zeros elsewhere, in float32 or `dtype`."""
    values = np.eye(n_rows, n_cols, k).astype(default_float if dtype is None else as_dtype(dtype))
    return _place(values, device, requires_grad)


@of_arrays
def meshgrid(*arrays: Any, indexing: str = "xy") -> list[Any]:
    """Return one coordinate array for each 1-d array, all over their grid; "xy" swaps the first two axes."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f'meshgrid(*arrays, indexing): indexing is {indexing!r}\n  need "xy" or "ij"')
    places = list(range(len(arrays)))
    if indexing == "xy" and len(arrays) > 1:
        places[:2] = [1, 0]
    shape = [0] * len(arrays)
    for place, x in zip(places, arrays, strict=True):
        if x.ndim > 1:
            raise ShapeError(f"meshgrid(*arrays): an array has {x.ndim} axes\n  need 1")
        shape[place] = x.size
    return [
        broadcast_to(reshape(x, tuple(x.size if i == place else 1 for i in range(len(shape)))), tuple(shape))
        for place, x in zip(places, arrays, strict=True)
    ]


op.register(
    arange=arange, empty=empty, empty_like=empty_like, eye=eye, full=full, full_like=full_like, linspace=linspace,
    meshgrid=meshgrid, ones=ones, ones_like=ones_like, zeros=zeros, zeros_like=zeros_like,
)  # fmt: skip
