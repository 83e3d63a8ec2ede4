"""`run_kernel`: a CUDA kernel run and checked on NumPy arrays without a GPU; or run on one by the same call."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import checked, get
from ..backend.checking import ORDERS
from ..errors import KernelError, message, operand
from ..kernel.build import compile_one, job
from ..kernel.signature import C_TYPES, Parameter, parse, resolve, scalar_format
from ..kernel.source import Source, from_text, load

__all__ = ["run_kernel"]

_ALIGNMENT = 256  # of every array, as a GPU's allocator aligns them


def run_kernel(
    source: str | Path | Source,
    entry: str,
    grid: int | tuple[int, ...],
    block: int | tuple[int, ...],
    args: Sequence[Any],
    shared_mem: int = 0,
    check: bool = True,
    outputs: Collection[str] = (),
    *,
    macros: Mapping[str, Any] | None = None,
    orders: tuple[str, ...] = ORDERS,
    seed: int = 0,
    float_atomics: bool = False,
    device: str = "sim",
) -> None:
    """Run one launch of a CUDA kernel on the CPU; arrays among `args` change in place, as on a GPU.

    Needs a C++ compiler, and neither a GPU nor CUDA.  With `check` every load and store is watched, and the threads
    are run in several orders from the same initial memory.  With ``device="cuda"`` the same call runs on a GPU,
    unwatched, so that one test serves both.

    Parameters
    ----------
    source
        CUDA C++ text, as for ``cupy.RawKernel``, or the path of a `.cu` file.
    entry
        Name of an ``extern "C" __global__`` function in it.
    grid, block
        An int or a tuple of up to three.
    args
        C-contiguous NumPy arrays, None for a null pointer, and scalars, in the order of the parameters.
    shared_mem
        Bytes of dynamic shared memory.
    check
        False: the fast build, which only sees barriers without end and writes just past shared memory.
    outputs
        Names of parameters whose arrays hold nothing yet: a kernel that reads them before it writes is at fault.
    macros
        Values of the file's macros (``{"T": "__half"}``).
    orders, seed, float_atomics
        See `gradlib.backend.Checks`; `float_atomics=True` allows floating results to depend on the order.
    device
        ``"sim"`` or ``"cuda"``, where `check`, `outputs`, `orders`, `seed` and `float_atomics` say nothing.

    Raises
    ------
    KernelFault
        What the kernel did wrong, with ``kind``, ``line``, ``block``, ``thread`` and ``argument``.
    KernelError
        If it does not compile, or the arguments do not fit its parameters.
    DeviceError
        If the device is not here.

    Examples
    --------
    >>> import numpy as np
    >>> scale = '''
    ... extern "C" __global__ void scale(const float* x, float* y, float factor, int n) {
    ...     int i = blockIdx.x * blockDim.x + threadIdx.x;
    ...     if (i <= n) y[i] = factor * x[i];
    ... }'''
    >>> x = np.arange(5, dtype=np.float32)
    >>> y = np.empty_like(x)
    >>> try:
    ...     run_kernel(scale, "scale", 1, 32, [x, y, 2.0, 5], outputs=["y"])
    ... except KernelError as fault:
    ...     print(fault.kind, fault.line, fault.argument, fault.thread)
    out-of-bounds 4 x (5, 0, 0)
    >>> run_kernel(scale.replace("i <= n", "i < n"), "scale", 1, 32, [x, y, 2.0, 5], outputs=["y"])
    >>> y
    array([0., 2., 4., 6., 8.], dtype=float32)
    """
    unit = _source(source)
    parameters, where = parse(unit.text, entry).parameters, f"{unit.name}: entry {entry}"
    if len(args) != len(parameters):
        names = ", ".join(p.name for p in parameters)
        raise KernelError(f"{where}: {len(args)} arguments, {len(parameters)} parameters\n  need {names}")
    unknown = set(outputs) - {p.name for p in parameters if p.pointer}
    if unknown:
        raise KernelError(f"{where}: outputs names {', '.join(sorted(unknown))}, no array parameter")
    if device not in ("sim", "cuda"):
        raise KernelError(f"{where}: device is {device!r}\n  need 'sim' or 'cuda'")
    backend = get(device)
    dims = _dim3("grid", grid), _dim3("block", block)
    known = {**unit.defaults, **(macros or {})}
    copies: dict[tuple[int, int], Any] = {}
    values, layout, named, offsets = [], "=", [], []
    for parameter, value in zip(parameters, args, strict=True):
        c_type = resolve(parameter.type, known)
        code = "Q" if parameter.pointer else scalar_format(c_type)
        if code is None:
            raise KernelError(f"{where}: parameter {parameter} cannot be passed by value")
        end, size = struct.calcsize(layout), struct.calcsize("=" + code)
        offsets.append(end + -end % size)
        layout += f"{-end % size}x{code}"
        if parameter.pointer:
            array = _copy(where, parameter, c_type, value, copies, backend)
            named.append((parameter.name, array, offsets[-1]))
            value = 0 if array is None else backend.pointer(array)
        values.append(value.item() if isinstance(value, np.generic) else value)
    try:
        packed = struct.pack(layout, *values)
    except (struct.error, OverflowError, TypeError) as error:
        shown = ", ".join(f"{p.name} = {v!r}" for p, v in zip(parameters, values, strict=True) if not p.pointer)
        raise KernelError(f"{where}: a scalar does not fit: {error}\n  {shown}") from None
    watched = check and device == "sim"
    with checked(watched, orders=orders, seed=seed, float_atomics=float_atomics):
        built = compile_one(job(unit, macros or {}, backend), backend)
        function: Any = backend.load(built, entry, tuple(offsets))
        if watched:
            function(*dims, shared_mem, packed, named, outputs)
        else:
            function(*dims, shared_mem, packed)
    for value in args:
        if isinstance(value, np.ndarray) and value.flags.writeable:
            value[...] = backend.to_host(copies[_place(value)]).reshape(value.shape)


def _source(source: str | Path | Source) -> Source:
    if isinstance(source, Source):
        return source
    if isinstance(source, Path) or ("\n" not in source and source.endswith((".cu", ".cuh"))):
        return load(Path(source).absolute() if Path(source).is_file() else source)
    return from_text("kernel.cu", source)


def _dim3(name: str, size: int | tuple[int, ...]) -> tuple[int, int, int]:
    sizes = tuple(size) if isinstance(size, (tuple, list)) else (size,)
    if not 1 <= len(sizes) <= 3 or not all(isinstance(n, (int, np.integer)) and n > 0 for n in sizes):
        raise KernelError(f"{name} is {size!r}\n  need a positive int or a tuple of up to three")
    x, y, z = (*map(int, sizes), 1, 1)[:3]
    return x, y, z


def _place(array: Any) -> tuple[int, int]:
    return array.__array_interface__["data"][0], array.nbytes


def _copy(where: str, parameter: Parameter, c_type: str, value: Any, copies: dict[Any, Any], backend: Any) -> Any:
    """Return an aligned copy of an array argument on the device; the same one where an array is passed twice."""
    if value is None:
        return None
    wanted = C_TYPES.get(c_type)
    if not isinstance(value, np.ndarray):
        raise KernelError(f"{where}: {parameter.name} is {type(value).__name__}\n  need a NumPy array or None")
    if (wanted is not None and value.dtype != wanted) or not value.flags.c_contiguous:
        strided = "" if value.flags.c_contiguous else ", not C-contiguous"
        raise KernelError(
            message(
                f"{where}: {parameter.name} is {value.dtype}{strided}, the parameter is {parameter}",
                [operand(parameter.name, value)],
                f"need a C-contiguous array of {wanted or value.dtype}",
            )
        )
    place = _place(value)
    if place not in copies:
        for begin, size in copies:
            if place[0] < begin + size and begin < place[0] + place[1]:
                raise KernelError(f"{where}: {parameter.name} overlaps another array without being the same")
        if backend.name == "cuda":
            copies[place] = backend.asarray(value)
            return copies[place]
        memory: Any = (ctypes.c_ubyte * (value.nbytes + _ALIGNMENT))()
        start = -ctypes.addressof(memory) % _ALIGNMENT
        aligned = np.frombuffer(memory, np.uint8, value.nbytes, start)
        aligned[:] = value.reshape(-1).view(np.uint8)
        copies[place] = backend.coerce(aligned.view(value.dtype))
    return copies[place]
