"""`Kernel`: a CUDA entry as Python sees it, compiled for what it is called with and launched."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from ..backend import backend_of, checking
from ..backend.protocol import Builder, KernelBackend
from ..errors import DeviceError, KernelError, message
from . import log
from .build import compile_one, job
from .launch import Launch, Slot, offsets
from .signature import C_TYPES, Parameter, Signature, parse, resolve, scalar_format
from .source import Source, from_text, load

__all__ = ["Kernel"]


class Kernel:
    """One ``extern "C" __global__`` entry of a `.cu` file.

    Parameters
    ----------
    file
        Name of a file in the kernels folder, or the path of a file of one's own.
    entry
        Name of the function.
    parameters
        Names of its parameters in order, arrays, then a bar, then scalars: ``"x w b y | m n k"``.  They
        must equal the names in the file: a drift is a `KernelError` when the kernel is first used.

    Examples
    --------
    >>> forward = Kernel("dense.cu", "dense_forward", "x w b y | m n k")
    >>> forward((4, 2), 256, x, w, None, y, m, n, k, T="__half", ACT="relu")  # doctest: +SKIP
    """

    _declared: ClassVar[weakref.WeakSet[Kernel]] = weakref.WeakSet()

    def __init__(self, file: str | Path, entry: str, parameters: str) -> None:
        arrays, _, scalars = parameters.partition("|")
        self.file = str(file)
        self.entry = entry
        self.arrays = tuple(arrays.split())
        self.scalars = tuple(scalars.split())
        self._launches: dict[Any, Launch] = {}
        self._lock = threading.RLock()
        names = self.arrays + self.scalars
        if len(set(names)) != len(names) or not all(map(str.isidentifier, names)):
            raise KernelError(f'{self}: parameters {parameters!r} are not of the form "x y | m n"')
        Kernel._declared.add(self)

    @classmethod
    def from_source(cls, name: str, text: str, entry: str, parameters: str) -> Kernel:
        """Make a kernel of a string of CUDA; `name` is what messages call it."""
        kernel = cls(name, entry, parameters)
        kernel.source = from_text(name, text)
        return kernel

    @classmethod
    def declared(cls) -> list[Kernel]:
        """List the kernels that exist, by file and entry."""
        return sorted(cls._declared, key=lambda kernel: (kernel.file, kernel.entry))

    def __repr__(self) -> str:
        return f"Kernel({self.file}:{self.entry}({', '.join(self.arrays + self.scalars)}))"

    @cached_property
    def source(self) -> Source:
        """The file's text and headers, read when first needed."""
        return load(self.file)

    @cached_property
    def signature(self) -> Signature:
        """The entry's parameters as the file declares them.

        Raises
        ------
        KernelError
            If names, order or kind (array or scalar) differ from what this `Kernel` declares.
        """
        try:
            found = parse(self.source.text, self.entry)
        except KernelError as error:
            raise KernelError(f"{self.file}: {error}") from None
        declared = [(name, True) for name in self.arrays] + [(name, False) for name in self.scalars]
        if [(p.name, p.pointer) for p in found.parameters] != declared:
            ours = ", ".join(f"{'*' if pointer else ''}{name}" for name, pointer in declared)
            theirs = ", ".join(f"{'*' if p.pointer else ''}{p.name}" for p in found.parameters)
            raise KernelError(
                message(
                    f"{self.file}: entry {self.entry}: the Kernel and the file declare different parameters",
                    [f"Kernel: {self.entry}({ours})", f"file: {self.entry}({theirs})", f"in full: {found}"],
                    "need the same names in the same order, arrays (*) before scalars",
                )
            )
        return found

    def __call__(self, grid: Any, block: Any, *args: Any, shared: int = 0, reached: Any = None, **macros: Any) -> None:
        """Launch.

        Parameters
        ----------
        grid, block
            An int, or a tuple of up to three.
        *args
            Arrays (C-contiguous, None for one that is left out), then scalars, in the declared order.
        shared
            Bytes of dynamic shared memory.
        reached
            What lists the arrays that the kernel finds by addresses in device memory, if it does (see `Table`).
        **macros
            Values of the file's macros: str, int, bool, or a dtype (which becomes its C type).

        Raises
        ------
        KernelError
            If an argument does not fit the entry, or the launch does not fit the device.
        DeviceError
            If the arrays are on different devices, or on one that runs no kernels.
        """
        first = args[0] if args else None
        if first is None:
            first = next((value for value in args if value is not None), None)
        self.ready(first, macros)(grid, block, shared, args, reached)

    def ready(self, first: Any, macros: Mapping[str, Any]) -> Launch:
        """Return what launches the kernel on the device of `first` with these macros, compiled where it is not yet."""
        key = (type(first), checking.current() is None, *macros.items())
        launch = self._launches.get(key)
        if launch is None:
            launch = self._launches[key] = self._prepare(first, macros)
        return launch

    def build(self, builder: Builder, **macros: Any) -> Path:
        """Compile (or find in the cache) without launching; `builder` is a backend or an `nvrtc.Compiler`."""
        self.signature  # noqa: B018  (drift is reported before the compiler is asked)
        return compile_one(job(self.source, macros, builder), builder)

    def _prepare(self, first: Any, macros: Mapping[str, Any]) -> Launch:
        if first is None:
            raise KernelError(f"{self.file}: entry {self.entry}: no array was passed, so the device is unknown")
        backend: KernelBackend = backend_of(first)
        if not backend.runs_kernels:
            raise DeviceError(
                f"{self.file}: entry {self.entry}: arrays are on {backend.name}, which runs no CUDA kernels\n"
                "  need arrays on cuda or sim"
            )
        canonical = self.source.canonical(macros)
        with self._lock:
            key = (backend, checking.current() is None, canonical)
            launch = self._launches.get(key)
            if launch is None:
                slots = self.slots(dict(canonical))
                path = self.build(backend, **macros)
                if log.debug_level() >= 4:
                    log.built(self.source, canonical, path)
                function = backend.load(path, self.entry, offsets(slots))
                launch = Launch(self.source, self.entry, canonical, backend, function, slots)
                self._launches[key] = launch
        return launch

    def slots(self, macros: Mapping[str, str]) -> list[Slot]:
        """Resolve each parameter's C type under these macros."""
        known = {**self.source.defaults, **macros}
        slots = []
        for p in self.signature.parameters:
            c_type = resolve(p.type, known)
            if p.pointer and c_type != "void" and c_type not in C_TYPES:
                raise self._unknown(p, c_type, (*C_TYPES, "void"))
            if not p.pointer and scalar_format(c_type) is None:
                raise self._unknown(p, c_type, (c for c in C_TYPES if scalar_format(c)))
            format_ = "Q" if p.pointer else scalar_format(c_type)
            dtype = C_TYPES.get(c_type) if p.pointer else None
            slots.append(Slot(p.name, c_type, p.pointer, dtype, format_ or ""))
        return slots

    def _unknown(self, parameter: Parameter, c_type: str, known: Iterable[str]) -> KernelError:
        return KernelError(
            f"{self.file}: entry {self.entry}: parameter {parameter} has type {c_type}, which a launch cannot pass\n"
            f"  need one of {', '.join(known)}"
        )
