"""The `cuda` device: CuPy's arrays and streams, our own kernels as cubins.  Importing this imports no CuPy."""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DeviceError, DTypeError, KernelError
from ..spec import STORAGE, bfloat16
from . import nvrtc, watch
from .cuda_function import CudaFunction, version
from .protocol import Array, Limits, Unit
from .tensor_map import SWIZZLES, Im2col, TensorMap, Tiling, im2col, tiling

__all__ = ["CudaBackend", "available", "backend", "lacks", "raising"]

_INSTALL = "pip install 'gradlib[cuda13]'"
_NO_DEVICE = 100  # cudaErrorNoDevice


@cache
def backend() -> CudaBackend:
    """Return the device.

    Raises
    ------
    DeviceError
        Saying which of CuPy, the driver and the GPU is missing.
    """
    return CudaBackend(_cupy())


def available() -> tuple[bool, str]:
    """Return whether there is a GPU to use, and the reason if not."""
    try:
        backend()
    except DeviceError as error:
        return False, str(error)
    return True, ""


def _cupy() -> Any:
    """Import CuPy and make sure that it finds a driver and a GPU."""
    if importlib.util.find_spec("cupy") is None:
        raise _missing("CuPy is not installed", f"need {_INSTALL} (an NVIDIA driver of CUDA 12: gradlib[cuda12])")
    try:
        cupy = importlib.import_module("cupy")
    except Exception as error:  # a broken installation: CuPy says so in many ways
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise _missing(f"CuPy is installed, but cannot be imported: {reason}", f"need {_INSTALL}") from error
    runtime = cupy.cuda.runtime
    driver = runtime.driverGetVersion()  # of CUDA, as 1000 * major + 10 * minor; 0 without a driver
    if driver == 0:
        raise _missing("there is no NVIDIA driver", "need an NVIDIA GPU and its driver; CuPy is installed")
    try:
        count = runtime.getDeviceCount()
    except RuntimeError as error:
        if getattr(error, "status", None) != _NO_DEVICE:
            what = f"the NVIDIA driver serves CUDA {version(driver)}, CuPy needs {version(runtime.runtimeGetVersion())}"
            raise _missing(f"{what} ({error})", "need a newer driver, or the extra gradlib[cuda12]") from error
        count = 0
    if count == 0:
        raise _missing("there is no NVIDIA GPU", "the driver and CuPy are installed; see also CUDA_VISIBLE_DEVICES")
    return cupy


def _missing(what: str, fix: str) -> DeviceError:
    return DeviceError(f"device cuda cannot be used: {what}\n  {fix}")


# CuPy's own modules over the libraries of CUDA that the small install is without.
_LIBRARIES = {
    "cuSOLVER": ("cupy_backends.cuda.libs.cusolver", "cupy_backends.cuda.libs.cublas"),
    "cuFFT": ("cupy.cuda.cufft",),
}


@cache
def lacks(library: str) -> str:
    """Return why CuPy cannot use ``"cuSOLVER"`` (with cuBLAS) or ``"cuFFT"``; empty if it can."""
    for module in _LIBRARIES[library]:
        try:
            importlib.import_module(module)
        except ImportError as error:
            return (str(error).strip() or type(error).__name__).splitlines()[0]
    return ""


def raising() -> Any:
    """Return the context in which CuPy looks whether cuSOLVER succeeded: by itself it hands on whatever came out."""
    return importlib.import_module("cupyx").errstate(linalg="raise")


class CudaBackend:
    """CuPy and the current device's NVRTC target.

    Everything happens on CuPy's current device and current stream.  Several GPUs of one architecture
    work (a kernel is loaded on each where it is launched); a mixture of architectures does not.
    """

    name = "cuda"
    runs_kernels = True
    suffix = ".cubin"
    pointer_text = "{}.data.ptr"

    def __init__(self, cupy: Any) -> None:
        self.xp = cupy
        self.array_type: type = cupy.ndarray
        device = cupy.cuda.Device()
        attributes = device.attributes
        self.compiler = nvrtc.Compiler(nvrtc.architecture(*_capability(device.compute_capability)))
        self.builder = self.compiler.name  # what another process needs to compile for this device
        self._device = cupy.cuda.runtime.getDevice
        self._constants: dict[int, dict[Any, Array | None]] = defaultdict(dict)
        self._maps: dict[Any, tuple[bytes, Tiling | Im2col]] = {}
        name = cupy.cuda.runtime.getDeviceProperties(device.id)["name"]
        self.limits = Limits(
            name=name.decode() if isinstance(name, bytes) else str(name),
            threads=attributes["MaxThreadsPerBlock"],
            block=(attributes["MaxBlockDimX"], attributes["MaxBlockDimY"], attributes["MaxBlockDimZ"]),
            grid=(attributes["MaxGridDimX"], attributes["MaxGridDimY"], attributes["MaxGridDimZ"]),
            shared=attributes["MaxSharedMemoryPerBlockOptin"],
            architecture=self.compiler.arch,
            multiprocessors=attributes["MultiProcessorCount"],
            clock=1e3 * attributes.get("ClockRate", 0),
            bandwidth=2e3 * attributes.get("MemoryClockRate", 0) * attributes.get("GlobalMemoryBusWidth", 0) / 8,
        )

    # ---- arrays -----------------------------------------------------------------------------------------------------

    def asarray(self, value: Any, dtype: Any = None) -> Array:
        if isinstance(value, self.array_type):
            return self.xp.asarray(value, dtype)
        host = np.asarray(value, dtype)
        if host.dtype.kind not in "biufcV":
            raise DTypeError(f"an array of dtype {host.dtype} cannot be moved to cuda")
        flat = np.ascontiguousarray(host).reshape(-1)  # CuPy fills 0-d arrays by a kernel of its own
        return _from_bits(self.xp.asarray(_bits(flat)), host.dtype).reshape(host.shape)

    def to_host(self, array: Array) -> Any:
        return _from_bits(_bits(array).get(), array.dtype)

    def coerce(self, value: Any) -> Array:
        return value if isinstance(value, self.array_type) else self.asarray(value)

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        array = self.xp.empty(shape, dtype)
        watch.made(array)
        return array

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Array:
        watch.spoil()
        return self.xp.zeros(shape, dtype)

    def pointer(self, array: Array) -> int:
        return array.data.ptr  # type: ignore[no-any-return]

    def memory(self) -> tuple[int, int]:
        """Return (bytes in use, by anybody and by what CuPy's pool keeps; bytes in total) of the current GPU."""
        free, total = self.xp.cuda.runtime.memGetInfo()
        return total - free, total

    # ---- time -------------------------------------------------------------------------------------------------------

    def synchronize(self) -> None:
        self.xp.cuda.Device().synchronize()

    def event(self) -> Any:
        event = self.xp.cuda.Event()
        event.record()
        return event

    def elapsed(self, start: Any, stop: Any) -> float:
        stop.synchronize()
        return float(self.xp.cuda.get_elapsed_time(start, stop)) / 1e3

    # ---- kernels ----------------------------------------------------------------------------------------------------

    def toolchain(self) -> str:
        return self.compiler.toolchain()

    def build(self, unit: Unit, target: Path) -> str:
        return self.compiler.build(unit, target)

    def tensor_map(
        self, array: Array, box: tuple[int, ...], swizzle: int = 0, steps: tuple[int, ...] | None = None
    ) -> TensorMap:
        """Return the map by which a kernel copies boxes of `array`; see `protocol.KernelBackend`."""
        address = self.pointer(array)
        return self._map(array, (address, box, swizzle, steps), lambda: tiling(array, address, box, swizzle, steps))

    def tensor_map_im2col(
        self,
        array: Array,
        lower: tuple[int, ...],
        upper: tuple[int, ...],
        channels: int,
        pixels: int,
        swizzle: int = 0,
        steps: tuple[int, ...] | None = None,
    ) -> TensorMap:
        """Return the map by which a kernel gathers rows of an im2col matrix; see `protocol.KernelBackend`."""
        address = self.pointer(array)
        return self._map(
            array,
            (address, lower, upper, channels, pixels, swizzle, steps),
            lambda: im2col(array, address, lower, upper, channels, pixels, swizzle, steps),
        )

    def _map(self, array: Array, asked: tuple[Any, ...], make: Callable[[], Tiling | Im2col]) -> TensorMap:
        """Encode a map, or remember it: the driver takes 15 us, and CuPy's pool hands the same memory out again."""
        key = (*asked, array.shape, array.strides, array.dtype.itemsize)
        found = self._maps.get(key)
        if found is None:
            if len(self._maps) >= 4096:
                self._maps.clear()
            made = make()
            found = self._maps[key] = self.encode(made), made
        content, made = found
        return TensorMap.of(content, self.name, array, made)

    def constants(self) -> dict[Any, Array | None]:
        """Return the arrays of single numbers that are kept on the current device, never to be written."""
        return self._constants[self._device()]

    def encode(self, made: Tiling | Im2col) -> bytes:
        """Return the 128 bytes of a tensor map."""
        return _encode(made)

    def load(self, path: Path, entry: str, offsets: tuple[int, ...]) -> CudaFunction:
        return CudaFunction(self.xp, path, entry, offsets, self.limits.shared)


def _encode(made: Tiling | Im2col) -> bytes:
    """Let the driver write a tensor map.  Elements are copied as they are, so their type is that of their size."""
    driver = importlib.import_module("cuda.bindings.driver")
    types = {1: "UINT8", 2: "UINT16", 4: "UINT32", 8: "UINT64"}
    swizzles = ("NONE", "32B", "64B", "128B")

    def choice(kind: str, name: str) -> Any:
        return getattr(getattr(driver, kind), f"CU_TENSOR_MAP_{name}")

    strides = made.strides or (made.sizes[0] * made.itemsize,)  # for one dimension too it must not be empty
    layout = (
        choice("CUtensorMapDataType", f"DATA_TYPE_{types[made.itemsize]}"),
        len(made.sizes),
        made.address,
        [driver.cuuint64_t(n) for n in made.sizes],
        [driver.cuuint64_t(n) for n in strides],
    )
    rest = (
        [driver.cuuint32_t(n) for n in made.steps],
        choice("CUtensorMapInterleave", "INTERLEAVE_NONE"),
        choice("CUtensorMapSwizzle", f"SWIZZLE_{swizzles[SWIZZLES.index(made.swizzle)]}"),
        choice("CUtensorMapL2promotion", "L2_PROMOTION_L2_128B"),
        choice("CUtensorMapFloatOOBfill", "FLOAT_OOB_FILL_NONE"),
    )
    if isinstance(made, Im2col):
        # W first, as all else.  The manual of the driver writes {D, H, W}, CUTLASS passes W, H, D.
        corners = list(made.lower), list(made.upper)
        status, encoded = driver.cuTensorMapEncodeIm2col(*layout, *corners, made.channels, made.pixels, *rest)
    else:  # the driver's box spans the elements that are left out, too
        box = [driver.cuuint32_t(n * step) for n, step in zip(made.box, made.steps, strict=True)]
        status, encoded = driver.cuTensorMapEncodeTiled(*layout, box, *rest)
    if status != driver.CUresult.CUDA_SUCCESS:
        raise KernelError(f"the driver refuses the tensor map of {made}: {status.name}")
    return ctypes.string_at(encoded.getPtr(), 128)


def _capability(text: str) -> tuple[int, int]:
    """Split what CuPy writes without a dot: "90", "103"."""
    return int(text[:-1]), int(text[-1])


_FOREIGN = frozenset((bfloat16, *STORAGE))


def _bits(array: Any) -> Any:
    """View bfloat16 and 8-bit floats, of which CuPy knows little, as plain integers; other dtypes stay."""
    return array.view(np.uint16 if array.dtype.itemsize == 2 else np.uint8) if _is_foreign(array.dtype) else array


def _from_bits(array: Any, dtype: Any) -> Any:
    return array.view(dtype) if _is_foreign(dtype) else array


def _is_foreign(dtype: Any) -> bool:
    return bool(dtype in _FOREIGN)
