"""What a device must offer: arrays, memory, and (where it runs CUDA kernels) a toolchain and a launch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from .tensor_map import Im2col, TensorMap, Tiling

Array = Any  # numpy.ndarray, sim.SimArray or cupy.ndarray: whichever the backend's `xp` makes
Dim3 = tuple[int, int, int]


@dataclass(frozen=True)
class Unit:
    """One CUDA translation unit, ready to build: self-contained but for `includes`."""

    name: str  # how messages call it: "dense.cu", "generated/add.cu"
    text: str
    macros: tuple[tuple[str, str], ...] = ()  # passed as -DNAME=VALUE
    includes: tuple[Path, ...] = ()  # folders of quoted includes
    entries: tuple[str, ...] = ()  # the extern "C" __global__ functions in it


@dataclass(frozen=True, eq=False)  # one for each device, compared and hashed as an object: launches do that
class Limits:
    """What one launch may ask for, and what the device has; the defaults are an H200's, which sim stands for."""

    name: str = "sim"
    threads: int = 1024  # threads of one block
    block: Dim3 = (1024, 1024, 64)
    grid: Dim3 = (2**31 - 1, 65535, 65535)
    shared: int = 232448  # bytes of shared memory of one block, static and dynamic, after opt-in
    architecture: str = "sm_90a"  # whose instructions there are: what kernels are chosen by
    multiprocessors: int = 132
    clock: float = 0.0  # Hz, the highest; 0: not known
    bandwidth: float = 0.0  # bytes per second of the memory, nominal; 0: not known


class Reached(NamedTuple):
    """An array that a kernel finds by an address in another one, which the checked build of `sim` must know."""

    name: str
    array: Array
    table: Array
    word: int  # of the table, in units of 8 bytes


class PreparedLaunch(Protocol):
    """A launch that lacks the addresses of its arrays, and the bytes of its tensor maps."""

    def __call__(self, addresses: Sequence[int], /, *maps: tuple[int, bytes]) -> None:
        """Launch; maps, one or several that follow each other, come with their byte of the argument block."""


class Function(Protocol):
    """A loaded kernel entry.  `packed` is the argument block, laid out as C lays out a struct of the parameters.

    It may carry `static_shared` (bytes) and `max_threads`, where the entry itself bounds its launches.
    """

    def __call__(self, grid: Dim3, block: Dim3, shared: int, packed: bytes) -> None: ...

    def prepare(self, grid: Dim3, block: Dim3, shared: int, packed: bytes, count: int) -> PreparedLaunch:
        """Return the launch with these arguments but for `count` addresses at their start, and tensor maps."""


class Backend(Protocol):
    """A device: where arrays live and what computes on them."""

    name: str  # "cpu", "sim", "cuda"
    xp: Any  # the array module an op's `impl(xp, ...)` is given
    array_type: type
    runs_kernels: bool  # whether CUDA launchers serve this device

    def asarray(self, value: Any, dtype: Any = None) -> Array:
        """Move host data (anything NumPy takes) to this device; no copy where it is already here."""

    def to_host(self, array: Array) -> Any:
        """Return the array as a plain `numpy.ndarray` (a view on the CPU)."""

    def coerce(self, value: Any) -> Array:
        """Make what an `impl` returned (perhaps a scalar, perhaps a base-class array) an array of this device."""

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array: ...

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Array: ...

    def synchronize(self) -> None:
        """Wait for everything queued on this device."""

    def memory(self) -> tuple[int, int]:
        """Return (bytes in use, bytes in total)."""

    def event(self) -> Any:
        """Mark this moment in the work queued on the device."""

    def elapsed(self, start: Any, stop: Any) -> float:
        """Return the seconds between two events, waiting for the second."""


class Builder(Protocol):
    """A compiler of CUDA sources for one target."""

    name: str  # "sim", "cuda", "nvrtc:sm_90a"
    suffix: str  # of a built file: ".cubin", ".so"

    def toolchain(self) -> str:
        """Identity of compiler, its version, target and flags; part of the cache key.  KernelError if there is none."""

    def build(self, unit: Unit, target: Path) -> str:
        """Compile to `target` and return the compiler's log; KernelError with that log if it fails."""


class KernelBackend(Backend, Builder, Protocol):
    """A device that runs CUDA kernels."""

    limits: Limits
    pointer_text: str  # the address of the array called {}, as plans write it; `pointer` is known to them

    def pointer(self, array: Array) -> int:
        """Address of the first element, as the kernel sees it."""

    def constants(self) -> dict[Any, Array | None]:
        """Return the arrays of single numbers that are kept on the current device, never to be written."""

    def encode(self, made: Tiling | Im2col) -> bytes:
        """Return the 128 bytes of a tensor map."""

    def load(self, path: Path, entry: str, offsets: tuple[int, ...]) -> Function:
        """Load a built file and return one of its entries; `offsets` are those of its arguments in the packed block."""

    def tensor_map(
        self, array: Array, box: tuple[int, ...], swizzle: int = 0, steps: tuple[int, ...] | None = None
    ) -> TensorMap:
        """Return the map by which a kernel copies boxes of `array`, whose lengths follow the array's axes.

        `swizzle` is 0, 32, 64 or 128 bytes.  With `steps` the box holds every `steps`-th element along each axis.
        KernelError for what bulk tensor copies cannot do.
        """

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
        """Return the map by which a kernel gathers rows of a convolution's im2col matrix from `array`.

        The array is (N, W, C), (N, H, W, C) or (N, D, H, W, C).  A load gives `pixels` rows of `channels`: the filter's
        base goes through the images pixel by pixel in `steps`, along each axis between from `lower` to
        size - 1 + `upper`, and the load's offsets say which tap of the filter is taken.  For a filter of size k at
        dilation d, with padding p before and q behind: lower = -p, upper = q - (k - 1) d, offsets i d for tap i.
        KernelError for what bulk tensor copies cannot do.
        """
