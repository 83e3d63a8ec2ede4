"""gradlib: deep learning on NumPy and CuPy, with open CUDA kernels and a readable autograd tape.

>>> import gradlib as gl
>>> x = gl.tensor([1.0, 2.0], requires_grad=True)
>>> (x * x).sum().backward()
>>> x.grad
tensor([2., 4.], dtype=float32)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._version import __version__
from .core import (
    Primitive,
    Saved,
    Tensor,
    Update,
    asarray,
    current_device,
    debug,
    device,
    enable_grad,
    from_dlpack,
    fused,
    is_grad_enabled,
    leaf,
    no_grad,
    sample,
    tensor,
    update,
)
from .errors import (
    AxisError,
    CheckpointError,
    CompileError,
    DeviceError,
    DTypeError,
    GradientError,
    GradlibError,
    KernelError,
    KernelFault,
    LinAlgError,
    ShapeError,
    VmapError,
)
from .ops import *
from .spec import (
    bfloat16,
    complex64,
    complex128,
    float8_e4m3fn,
    float8_e5m2,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
)
from .spec import bool_ as bool
from .spec import bool_ as bool_
from .transforms import *

__array_api_version__ = "2024.12"

if TYPE_CHECKING:
    from . import backend, bench, core, data, fft, io, kernel, linalg, nn, ops, optim, testing, train, transforms, viz

# Imported when first asked for, so that `import gradlib` stays quick.
_SUBPACKAGES = frozenset(
    (
        "backend", "bench", "core", "data", "fft", "io", "kernel", "linalg", "nn", "ops", "optim", "testing", "train",
        "transforms", "viz",
    )
)  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _SUBPACKAGES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module 'gradlib' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_SUBPACKAGES} - {"Any", "TYPE_CHECKING", "annotations", "importlib"})
