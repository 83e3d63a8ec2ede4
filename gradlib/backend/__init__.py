"""Devices: where arrays live and what computes on them.

`get(name)` returns a backend by name and `backend_of(array)` the one an array lives on.  `sim` and
`cuda` are imported when first asked for, so that NumPy alone costs nothing.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from ..errors import DeviceError, KernelError
from . import cpu as _cpu
from .checking import Checks, checked
from .protocol import Array, Backend, Dim3, Function, KernelBackend, Limits, Unit

__all__ = [
    "DEVICES",
    "Array",
    "Backend",
    "Checks",
    "Dim3",
    "Function",
    "KernelBackend",
    "Limits",
    "Unit",
    "add",
    "available",
    "backend_of",
    "checked",
    "get",
    "is_array",
    "of_type",
]

DEVICES = ("cpu", "sim", "cuda")

_by_name: dict[str, Any] = {"cpu": _cpu.backend}
_by_type: dict[type, Any] = {np.ndarray: _cpu.backend}
of_type = _by_type.get  # the backend of arrays of just this type, None if there is none: quicker than `backend_of`


def get(name: str) -> Any:
    """Return the backend called `name`; `DeviceError` if there is none or it cannot be used here."""
    found = _by_name.get(name)
    if found is not None:
        return found
    if name not in DEVICES:
        raise DeviceError(f"device {name!r} is unknown\n  need one of {', '.join(DEVICES)}")
    module = importlib.import_module(f".{name}", __name__)
    found = module.backend() if callable(module.backend) else module.backend
    _by_name[name] = _by_type[found.array_type] = found
    return found


def add(found: Any) -> None:
    """Make known a backend that is none of `DEVICES`: a stand-in of one, whose arrays are of a type of their own."""
    _by_type[found.array_type] = found


def backend_of(array: Any) -> Any:
    """Return the backend that `array` lives on."""
    found = _by_type.get(type(array))
    if found is not None:
        return found
    if type(array).__module__.partition(".")[0] == "cupy":  # an array CuPy made before gradlib was asked for cuda
        return get("cuda")
    for kind, candidate in _by_type.items():
        if kind is not np.ndarray and isinstance(array, kind):
            return candidate
    if isinstance(array, np.ndarray):
        return _cpu.backend
    if hasattr(type(array), "physical"):  # an array that wraps another: it lives where that one does
        return backend_of(array.physical)
    raise DeviceError(
        f"{type(array).__name__} is not an array of any device\n  need a NumPy or CuPy array, or a Tensor"
    )


def is_array(value: Any) -> bool:
    """Whether `value` is an array of a device (not a scalar, list or Tensor)."""
    return (
        isinstance(value, np.ndarray)
        or type(value).__module__.partition(".")[0] == "cupy"
        or hasattr(type(value), "physical")
    )


def available(name: str) -> tuple[bool, str]:
    """Return whether the device can be used here, and the reason if not."""
    try:
        found = get(name)
        if name == "sim":
            found.toolchain()  # its arrays need nothing, its kernels a C++ compiler
    except (DeviceError, KernelError) as error:
        return False, str(error)
    return True, ""
