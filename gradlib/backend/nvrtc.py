"""NVIDIA's run-time compiler: CUDA text to a cubin for one architecture.  Needs neither a GPU nor a driver."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import KernelError, message
from .protocol import Unit

__all__ = ["Compiler", "ResourceUsage", "architecture", "available", "headers", "resources", "version"]

_INSTALL = "pip install 'gradlib[cuda13]' (cuda-bindings, nvidia-cuda-nvrtc, nvidia-cuda-runtime)"
_OPTIONS = ("-std=c++17", "--ptxas-options=-v")
_HEADER = "cuda_fp16.h"


@dataclass(frozen=True)
class ResourceUsage:
    """What the compiler reports of one entry: registers a thread, the rest in bytes."""

    entry: str
    registers: int
    spill_stores: int
    spill_loads: int
    shared: int  # static
    stack: int


@cache
def _nvrtc() -> Any:
    """Return `cuda.bindings.nvrtc` with its library loaded; KernelError if either is missing."""
    try:
        module = importlib.import_module("cuda.bindings.nvrtc")
        module.nvrtcVersion()  # loads the library
    except Exception as error:  # the bindings raise what their loader raises: several unrelated types
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise KernelError(f"NVRTC cannot be used: {reason}\n  need {_INSTALL}") from error
    return module


def available() -> tuple[bool, str]:
    """Return whether CUDA kernels can be compiled here, and the reason if not."""
    try:
        _nvrtc()
    except KernelError as error:
        return False, str(error)
    if headers() is None:
        return False, _no_headers()
    return True, ""


@cache
def version() -> tuple[int, int]:
    """Return NVRTC's version, (13, 5) for CUDA 13.5.

    Raises
    ------
    KernelError
        If there is no NVRTC.
    """
    nvrtc = _nvrtc()
    status, major, minor = nvrtc.nvrtcVersion()
    _check(nvrtc, status)
    return major, minor


@cache
def headers() -> Path | None:
    """Return the folder of CUDA's own headers (cuda_fp16.h, cuda_bf16.h) that fits NVRTC, None if there is none."""
    spec = importlib.util.find_spec("nvidia")
    roots = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    major = version()[0]
    wheels = (f"cu{major}",) if major >= 13 else ("cuda_runtime",)  # CUDA 12 has a folder for each wheel
    candidates = [root / wheel / "include" for root in roots for wheel in wheels]
    candidates += [Path(os.environ[name]) / "include" for name in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(name)]
    candidates += [Path("/usr/local/cuda/include")]
    return next((folder for folder in candidates if (folder / _HEADER).is_file()), None)


def _no_headers() -> str:
    return f"NVRTC {'.'.join(map(str, version()))} is here, but {_HEADER} is not\n  need {_INSTALL}, or CUDA_HOME"


def architecture(major: int, minor: int) -> str:
    """Return what to compile for on a compute capability: from 9.0 on the variant with all of its instructions.

    >>> architecture(8, 6), architecture(9, 0)
    ('sm_86', 'sm_90a')
    """
    return f"sm_{major}{minor}{'a' if major >= 9 else ''}"


class Compiler:
    """NVRTC for one architecture: the `Builder` behind the `cuda` device, and all that a machine without one needs.

    Parameters
    ----------
    arch
        ``"sm_80"``, ``"sm_90a"``, ...
    """

    suffix = ".cubin"

    def __init__(self, arch: str) -> None:
        self.arch = arch
        self.name = f"nvrtc:{arch}"

    def toolchain(self) -> str:
        """Name compiler, version, headers, target and options; KernelError if NVRTC or its headers are missing."""
        folder = headers()
        if folder is None:
            raise KernelError(_no_headers())
        major, minor = version()
        return f"nvrtc {major}.{minor} headers {_header_version(folder)} {self.arch} {' '.join(_options())}"

    def build(self, unit: Unit, target: Path) -> str:
        """Compile to a cubin and return the log, from which `resources` reads registers and spills.

        Raises
        ------
        KernelError
            With file, entries, macros and the compiler's log, if it does not compile.
        """
        nvrtc = _nvrtc()
        self._check_architecture(nvrtc)
        folder = headers()
        folders = (*unit.includes, *([folder] if folder else []))
        options = [f"--gpu-architecture={self.arch}", *_options(), *(f"-I{place}" for place in folders)]
        encoded = [option.encode() for option in options]
        status, program = nvrtc.nvrtcCreateProgram(_text(unit).encode(), unit.name.encode(), 0, [], [])
        _check(nvrtc, status)
        try:
            (status,) = nvrtc.nvrtcCompileProgram(program, len(encoded), encoded)
            log = (
                _read(nvrtc, nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog, program).rstrip(b"\0 \n").decode()
            )
            if status == nvrtc.nvrtcResult.NVRTC_ERROR_COMPILATION:
                raise KernelError(_failure(unit, self.arch, log))
            _check(nvrtc, status)
            target.write_bytes(_read(nvrtc, nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN, program))
        finally:
            nvrtc.nvrtcDestroyProgram(program)
        return log

    def _check_architecture(self, nvrtc: Any) -> None:
        status, known = nvrtc.nvrtcGetSupportedArchs()
        _check(nvrtc, status)
        match = re.fullmatch(r"sm_(\d+)[af]?", self.arch)
        if match is None or int(match[1]) not in known:
            names = ", ".join(f"sm_{number}" for number in known)
            raise KernelError(f"NVRTC {'.'.join(map(str, version()))} does not know {self.arch}\n  need one of {names}")


def _options() -> tuple[str, ...]:
    """Line numbers, for sanitizers and profilers, triple a cubin's size: only where they are asked for."""
    return (*_OPTIONS, "-lineinfo") if os.environ.get("GRADLIB_LINEINFO") else _OPTIONS


def _text(unit: Unit) -> str:
    """Put the macros in front of the text as #defines.

    As -D options they would reach the headers that NVRTC itself puts before any text, whose templates
    have parameters called T.
    """
    defines = "".join(f"#define {name} {value}\n" for name, value in unit.macros)
    return f'{defines}#line 1 "{unit.name}"\n{unit.text}'


def _failure(unit: Unit, arch: str, log: str) -> str:
    macros = " ".join(f"{name}={value}" for name, value in unit.macros) or "none"
    lines = [f"entries: {', '.join(unit.entries)}", f"macros: {macros}"]
    head = message(f"{unit.name}: NVRTC {'.'.join(map(str, version()))} cannot compile it for {arch}", lines)
    return f"{head}\n{log}"


def _read(nvrtc: Any, size_of: Any, get: Any, program: Any) -> bytes:
    status, size = size_of(program)
    _check(nvrtc, status)
    content = bytearray(size)
    (status,) = get(program, content)
    _check(nvrtc, status)
    return bytes(content)


def _check(nvrtc: Any, status: Any) -> None:
    if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
        raise KernelError(f"NVRTC: {status.name}")


@cache
def _header_version(folder: Path) -> str:
    """Read CUDART_VERSION: the headers are no part of a kernel's own digest."""
    try:
        found = re.search(r"#define\s+CUDART_VERSION\s+(\d+)", (folder / "cuda_runtime_api.h").read_text("utf-8"))
    except OSError:
        found = None
    return found[1] if found else "unknown"


def resources(log: str) -> tuple[ResourceUsage, ...]:
    """Read the resources of each entry from a log of `Compiler.build`."""
    found = []
    for part in re.split(r"Compiling entry function '", log)[1:]:
        used = re.search(r"Used (\d+) registers(.*)", part)
        frame = re.search(
            r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", part
        )  # of the entry; those of functions that were not inlined follow
        if used is None or frame is None:
            raise KernelError(f"the compiler's report is not understood:\n{part}")
        shared = re.search(r"(\d+) bytes smem", used[2])
        stack, stores, loads = map(int, frame.groups())
        size = int(shared[1]) if shared else 0
        found.append(ResourceUsage(part.partition("'")[0], int(used[1]), stores, loads, size, stack))
    return tuple(found)
