"""`Update`: an op that overwrites buffers in place, such as an optimizer step.  Never on the tape.

Its definition is pure: the composite takes the old values and returns the new ones.  Kernels, and a
NumPy version that writes in place, only make it fast.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from .. import backend as backends
from ..errors import DeviceError, DTypeError, ShapeError, message, operand
from ..spec import REDUCED, float32
from .batched import Batched
from .scopes import no_grad
from .tensor import Tensor, shared_version, writable

UPDATES: dict[str, Update] = {}


class Update:
    """An in-place op.  ``update(*tensors, **params)`` overwrites the tensors that `writes` names."""

    def __init__(
        self, name: str, composite: Callable[..., Any], writes: str, samples: Callable[[], Any] | None
    ) -> None:
        self.name = name
        self.composite = composite
        signature = inspect.signature(composite)
        self.inputs = tuple(p.name for p in signature.parameters.values() if p.kind is not p.KEYWORD_ONLY)
        self.writes = tuple(writes.split())
        self.samples = samples
        self.launchers: dict[str, Callable[..., Any]] = {}
        self.__doc__ = composite.__doc__
        self.__signature__ = signature
        if self.inputs[: len(self.writes)] != self.writes:
            raise ValueError(f"{name}: the written inputs {self.writes} must come first in {self.inputs}")
        UPDATES[name] = self

    def kernel(self, *devices: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Attach a launcher that writes in place; ``"cuda"`` serves ``"sim"`` too, ``"cpu"`` is NumPy with ``out=``."""

        def attach(launcher: Callable[..., Any]) -> Callable[..., Any]:
            for device in devices:
                for served in ("cuda", "sim") if device == "cuda" else (device,):
                    self.launchers[served] = launcher
            return launcher

        return attach

    def __call__(self, *tensors: Tensor | None, **params: Any) -> None:
        """Overwrite the written tensors, all of them or (if anything is wrong with the inputs) none."""
        backend = self._check(tensors)
        count = len(self.writes)
        arrays = [None if t is None else (writable(t) if i < count else t.data) for i, t in enumerate(tensors)]
        launcher = self.launchers.get(backend.name)
        with no_grad():
            if launcher is None or not _contiguous(arrays) or launcher(*arrays, **params) is NotImplemented:
                wide = [a.astype(float32) if a is not None and a.dtype in REDUCED else a for a in arrays]
                for target, new in zip(arrays, self.composite(*wide, **params), strict=False):
                    if target is not None:
                        target[...] = new
        for t in tensors[:count]:
            if t is not None:
                shared_version(t).count += 1

    def _check(self, tensors: tuple[Tensor | None, ...]) -> Any:
        what = f"{self.name}({', '.join(self.inputs)})"
        if len(tensors) != len(self.inputs):
            raise TypeError(f"{what}: got {len(tensors)} tensors, need {len(self.inputs)}")
        backend = None
        for name, t in zip(self.inputs, tensors, strict=True):
            if t is None:
                continue
            if not isinstance(t, Tensor):
                raise DTypeError(
                    f"{what}: {name} is of type {type(t).__name__}\n  need a Tensor, whose version counts the change"
                )
            if isinstance(t.data, Batched):
                raise ShapeError(
                    f"{what}: {name} is one of a batch under vmap, and an update happens once\n"
                    f"  need the update outside of vmap, or the layer in eval() mode"
                )
            here = backends.backend_of(t.data)
            if backend is not None and here is not backend:
                raise DeviceError(f"{what}: {name} is on {here.name}, the others on {backend.name}")
            backend = here
            if name in self.writes and t.node is not None:
                raise ShapeError(
                    message(f"{what}: {name} is the result of {t.node.prim.name}", [operand(name, t)], "need a leaf")
                )
        return backend


def _contiguous(arrays: list[Any]) -> bool:
    return all(a is None or a.flags.c_contiguous for a in arrays)


def update(
    name: str, *, writes: str, samples: Callable[[], Any] | None = None
) -> Callable[[Callable[..., Any]], Update]:
    """Declare an `Update` by a pure composite: old values in, new values of the inputs that `writes` names out."""
    return lambda composite: Update(name, composite, writes, samples)
