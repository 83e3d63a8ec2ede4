"""Meeting other array libraries: DLPack both ways without a copy, and the namespace of the Array API standard."""

from __future__ import annotations

import ctypes
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import backend as backends
from ..errors import DeviceError, VmapError, message, operand
from ..spec import as_dtype, bfloat16
from .operators import op

if TYPE_CHECKING:
    from .tensor import Tensor

_CPU, _CUDA, _PINNED, _MANAGED = 1, 2, 3, 13  # of DLPack's DLDeviceType
_UINT, _BFLOAT = 1, 4  # of its DLDataTypeCode

API_VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12")


class Interchange:
    """What other libraries ask a Tensor."""

    __slots__ = ()

    data: Any

    @property
    def device(self) -> str:
        """Name of the device: ``"cpu"``, ``"sim"`` or ``"cuda"``."""
        return backends.backend_of(self.data).name  # type: ignore[no-any-return]

    def __array_namespace__(self, /, *, api_version: str | None = None) -> Any:
        """Return the module gradlib, which follows the Array API standard."""
        if api_version is not None and api_version not in API_VERSIONS:
            what = f"__array_namespace__(api_version={api_version!r}): not followed"
            raise ValueError(f"{what}\n  need one of {', '.join(API_VERSIONS)}")
        return sys.modules[__name__.partition(".")[0]]

    def to_device(self, device: str, /, *, stream: Any = None) -> Any:
        """Return this tensor on another device, itself if it is there; as `to`."""
        if stream is not None:
            raise ValueError("to_device(device, stream): gradlib works on CuPy's current stream\n  need stream=None")
        return op.to_device(self, device=device)

    def __dlpack_device__(self) -> tuple[int, int]:
        """Return DLPack's numbers for the kind of memory, and which of them: (1, 0) for the CPU, also of `sim`."""
        kind, index = self.data.__dlpack_device__()
        return int(kind), int(index)

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """Return a capsule over this tensor's memory, for ``from_dlpack`` of another library.

        Who takes it must not write there: tensors are immutable, and the tape may still read.  NumPy's memory is marked
        read-only where the consumer's version of DLPack can say so (`max_version` from 1.0 on).
        """
        array = self.data
        if hasattr(type(array), "physical"):
            raise VmapError("__dlpack__(): a value differs from example to example\n  need it outside of vmap")
        here = self.__dlpack_device__()
        if dl_device is not None and tuple(dl_device) != here:
            if copy is False or dl_device[0] != _CPU:
                raise BufferError(f"__dlpack__(dl_device={dl_device}, copy={copy}): this tensor is on {self.device}")
            array, stream, copy = backends.backend_of(array).to_host(array), None, None
        if isinstance(array, np.ndarray):
            array = _plain(array, max_version)
        foreign = array.dtype == bfloat16
        if foreign:
            array = array.view(np.uint16)
        capsule = array.__dlpack__(stream=stream, max_version=max_version, copy=copy)
        if foreign:
            _retype(capsule, _BFLOAT)
        return capsule


def _plain(array: np.ndarray[Any, Any], max_version: tuple[int, int] | None) -> np.ndarray[Any, Any]:
    """Return the memory as NumPy can hand it over: read-only, or (before DLPack 1.0 knew of that) writable."""
    view = array.view(np.ndarray)
    if max_version is None or max_version[0] < 1:
        return view if view.flags.writeable else view.copy()
    view.flags.writeable = False
    return view


# A capsule holds a DLManagedTensor, or from DLPack 1.0 on a DLManagedTensorVersioned.  In both the element type is
# {uint8 code, uint8 bits, uint16 lanes}, behind data (8 bytes), device (8) and ndim (4) of the DLTensor inside.
_TYPE_AT = {b"dltensor": 20, b"dltensor_versioned": 32 + 20}


def _code_of(capsule: Any) -> Any:
    """Return the element type's code inside a capsule, to be read or written."""
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    name = api.PyCapsule_GetName(capsule)
    return ctypes.c_uint8.from_address(api.PyCapsule_GetPointer(capsule, name) + _TYPE_AT[name])


def _retype(capsule: Any, code: int) -> None:
    """Say bfloat16 where NumPy or CuPy, which do not know it, hand over 16-bit integers, or the other way round."""
    _code_of(capsule).value = code


class _Passing:
    """A capsule on its way to NumPy or CuPy, once bfloat16 in it has become 16-bit integers."""

    def __init__(self, source: Any) -> None:
        self.device = source.__dlpack_device__()
        self.source = source
        self.foreign = False

    def __dlpack_device__(self) -> Any:
        return self.device

    def __dlpack__(self, **options: Any) -> Any:
        try:
            capsule = self.source.__dlpack__(**options)
        except TypeError:  # a library of before DLPack 1.0
            capsule = self.source.__dlpack__(**{k: v for k, v in options.items() if k == "stream" and v is not None})
        if _code_of(capsule).value == _BFLOAT:
            _retype(capsule, _UINT)
            self.foreign = True
        return capsule


def from_dlpack(x: Any, /, *, device: str | None = None, copy: bool | None = None) -> Tensor:
    """Return a Tensor over the memory of another library's array (`x` has ``__dlpack__``), without copying.

    It is a constant: what made `x` there is not on the tape here.  With `device` it is moved, with ``copy=True`` it has
    memory of its own, and with ``copy=False`` what would need a copy is a ValueError.

    >>> import numpy as np
    >>> import gradlib as gl
    >>> a = np.ones(3)
    >>> x = gl.from_dlpack(a)
    >>> np.shares_memory(x.numpy(), a)
    True
    """
    from .tensor import Tensor

    if isinstance(x, Tensor):
        result = x.detach()
    elif not hasattr(x, "__dlpack__") or not hasattr(x, "__dlpack_device__"):
        raise TypeError(f"from_dlpack(x): {type(x).__name__} has no __dlpack__\n  need an array, or gl.asarray(x)")
    else:
        result = Tensor(_imported(x))
    moved = result if device is None or device == result.device else op.to_device(result, device=device)
    if moved is not result:
        if copy is False:
            what = f"from_dlpack(x, device={device!r}, copy=False): x is on {result.device}"
            raise ValueError(message(what, [operand("x", result)], "need copy=None"))
        return moved
    return Tensor(result.data.copy()) if copy else result


def _imported(x: Any) -> Any:
    passing = _Passing(x)
    kind = int(passing.device[0])
    if kind not in (_CPU, _PINNED, _CUDA, _MANAGED):
        raise DeviceError(f"from_dlpack(x): x is in memory of kind {kind}\n  need the CPU's (1) or CUDA's (2)")
    xp = np if kind in (_CPU, _PINNED) else backends.get("cuda").xp
    array = xp.from_dlpack(passing)
    if passing.foreign:
        array = array.view(bfloat16)
    as_dtype(array.dtype)  # a dtype that gradlib has not
    return array
