"""`run_kernel`: a CUDA kernel run and checked on NumPy arrays without a GPU; or run on one by the same call."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import checked, get
from ..backend.checking import ORDERS
from ..backend.protocol import Dim3
from ..errors import KernelError
from ..kernel.build import compile_one, job
from ..kernel.launch import beyond
from ..kernel.signature import parse
from ..kernel.source import Source, from_text, load
from .kernel_arguments import KernelArguments

__all__ = ["run_kernel"]


def run_kernel(
    source: str | Path | Source,
    entry: str,
    grid: int | tuple[int, ...],
    block: int | tuple[int, ...],
    args: Sequence[Any],
    shared_mem: int = 0,
    check: bool = True,
    outputs: str | Collection[str] = (),
    *,
    macros: Mapping[str, Any] | None = None,
    orders: tuple[str, ...] = ORDERS,
    seed: int = 0,
    float_atomics: bool = False,
    device: str = "sim",
    includes: Sequence[str | Path] = (),
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
        C-contiguous NumPy arrays, None for a null pointer, scalars (of a structured dtype for a struct), and `Tiles` or
        `Pixels` for tensor maps, in the order of the parameters.
    shared_mem
        Bytes of dynamic shared memory.
    check
        False: the fast build, which only sees barriers without end, writes just past shared memory, divisions by 0, and
        what the processor itself refuses (memory that is not there, a full stack).
    outputs
        Names of parameters (or one name) whose arrays hold nothing yet: a kernel that reads them before it writes is at
        fault.
    macros
        Values of the file's macros (``{"T": "__half"}``).
    orders, seed, float_atomics
        See `gradlib.backend.Checks`; `float_atomics=True` allows floating results to depend on the order.
    device
        ``"sim"`` or ``"cuda"``, where `check`, `outputs`, `orders`, `seed` and `float_atomics` say nothing.
    includes
        More folders of quoted headers.

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
    macros = _macros(unit, macros)
    outputs = {outputs} if isinstance(outputs, str) else set(outputs)
    if includes:
        unit = Source(unit.name, unit.text, (*(Path(folder).absolute() for folder in includes), *unit.includes))
    where = f"{unit.name}: entry {entry}"
    try:
        parameters = parse(unit.text, entry).parameters
    except KernelError as error:
        raise KernelError(f"{unit.name}: {error}") from None
    if len(args) != len(parameters):
        names = ", ".join(p.name for p in parameters) or "none"
        raise KernelError(f"{where}: {len(args)} arguments, {len(parameters)} parameters\n  need {names}")
    arrays = [p.name for p in parameters if p.pointer or p.type == "TensorMap"]
    if unknown := outputs.difference(arrays):
        names = ", ".join(arrays) or "no names: it has no array parameter"
        raise KernelError(f"{where}: outputs names {', '.join(sorted(unknown))}, no array parameter\n  need {names}")
    if device not in ("sim", "cuda"):
        raise KernelError(f"{where}: device is {device!r}\n  need 'sim' or 'cuda'")
    backend = get(device)
    sizes = _dim3(where, "grid", grid), _dim3(where, "block", block), _bytes(where, shared_mem)
    if wrong := beyond(backend.limits, *sizes):
        raise KernelError("\n  ".join((f"{where}: {wrong[0]}", wrong[1])))
    arguments = KernelArguments(where, parameters, {**unit.defaults, **macros}, args, backend)
    watched = check and device == "sim"
    with checked(watched, orders=orders, seed=seed, float_atomics=float_atomics):
        built = compile_one(job(unit, macros, backend), backend)
        function: Any = backend.load(built, entry, arguments.offsets)
        if watched:
            function(*sizes, arguments.packed, arguments.named, outputs)
        else:
            function(*sizes, arguments.packed)
    arguments.copy_back()


def _source(source: str | Path | Source) -> Source:
    if isinstance(source, Source):
        return source
    if not isinstance(source, str | Path):
        raise KernelError(f"run_kernel(source): source is {type(source).__name__}\n  need CUDA C++ text, or a path")
    if isinstance(source, Path) or ("\n" not in source and source.endswith((".cu", ".cuh"))):
        return load(Path(source).absolute() if Path(source).is_file() else source)
    return from_text("kernel.cu", source)


def _macros(unit: Source, macros: Any) -> dict[str, Any]:
    if macros is not None and not isinstance(macros, Mapping):
        raise KernelError(
            f"{unit.name}: macros is {type(macros).__name__}\n  need a dict of names and values, {{'T': 'float'}}"
        )
    return dict(macros or {})


def _dim3(where: str, name: str, size: Any) -> Dim3:
    sizes = tuple(size) if isinstance(size, (tuple, list)) else (size,)
    if not 1 <= len(sizes) <= 3 or not all(isinstance(n, (int, np.integer)) and n > 0 for n in sizes):
        raise KernelError(f"{where}: {name} is {size!r}\n  need a positive int or a tuple of up to three")
    x, y, z = (*map(int, sizes), 1, 1)[:3]
    return x, y, z


def _bytes(where: str, shared: Any) -> int:
    if not isinstance(shared, (int, np.integer)):
        raise KernelError(f"{where}: shared_mem is {shared!r}\n  need an int: bytes of dynamic shared memory")
    return int(shared)
