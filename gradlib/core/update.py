"""`Update`: an op that overwrites buffers in place, such as an optimizer step.  Never on the tape.

Its definition is pure: the composite takes the old values and returns the new ones.  Kernels, and a
NumPy version that writes in place, only make it fast.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from .. import backend as backends
from ..errors import DeviceError, DTypeError, ShapeError, message, operand
from ..kernel import Table
from ..spec import REDUCED, float32
from .batched import Batched
from .scopes import no_grad
from .tensor import Tensor, shared_version, writable

Call = Sequence[Tensor | None]

UPDATES: dict[str, Update] = {}


class Update:
    """An in-place op.  ``update(*tensors, **params)`` overwrites the tensors that `writes` names.

    ``update.each(calls, *shared, **params)`` makes several calls at once, of which the last inputs, those that
    `shares` names, are the same: one launch on a device that has a launcher for that.
    """

    def __init__(
        self,
        name: str,
        composite: Callable[..., Any],
        writes: str,
        shares: str,
        check: Callable[..., None] | None,
        samples: Callable[[], Any] | None,
    ) -> None:
        self.name = name
        self.composite = composite
        self.__doc__ = composite.__doc__
        self.__signature__ = inspect.signature(composite)
        parameters = self.__signature__.parameters.values()
        self.inputs = tuple(p.name for p in parameters if p.kind is not p.KEYWORD_ONLY)
        self.params = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        self.writes, self.shares = tuple(writes.split()), tuple(shares.split())
        self.own = self.inputs[: len(self.inputs) - len(self.shares)]  # what each of several calls has for itself
        self.check = check  # of the arrays of one call: raises before anything is written
        self.samples = samples
        self.launchers: dict[str, Callable[..., Any]] = {}
        self.group_launchers: dict[str, Callable[..., Any]] = {}
        if self.inputs[: len(self.writes)] != self.writes:
            raise ValueError(f"{name}: the written inputs {self.writes} must come first in {self.inputs}")
        if self.inputs[len(self.own) :] != self.shares:
            raise ValueError(f"{name}: the shared inputs {self.shares} must come last in {self.inputs}")
        UPDATES[name] = self

    def kernel(self, *devices: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Attach a launcher that writes in place; ``"cuda"`` serves ``"sim"`` too, ``"cpu"`` is NumPy with ``out=``."""
        return self._attach(self.launchers, devices)

    def group_kernel(self, *devices: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Attach a launcher of several calls at once: ``launcher(rows, *shared, table, **params)``.

        A row holds the arrays of one call but the shared ones; `table` is a `Table` kept from step to step.
        """
        return self._attach(self.group_launchers, devices)

    @staticmethod
    def _attach(to: dict[str, Any], devices: Sequence[str]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def attach(launcher: Callable[..., Any]) -> Callable[..., Any]:
            for device in devices:
                for served in ("cuda", "sim") if device == "cuda" else (device,):
                    to[served] = launcher
            return launcher

        return attach

    def __call__(self, *tensors: Tensor | None, **params: Any) -> None:
        """Overwrite the written tensors, all of them or (if anything is wrong with the inputs) none."""
        if len(tensors) != len(self.inputs):
            raise TypeError(f"{self._what()}: got {len(tensors)} tensors, need {len(self.inputs)}")
        count = len(self.own)
        self.each([tensors[:count]], *tensors[count:], **params)

    def each(self, calls: Sequence[Call], *shared: Tensor | None, table: Table | None = None, **params: Any) -> None:
        """Make several calls, all of them or (if anything is wrong with the inputs) none.

        `table`, if kept by the caller, saves telling the device again where the arrays are.
        """
        if not params.keys() <= self.params.keys():
            raise TypeError(f"{self.name}() got an unexpected argument {min(params.keys() - self.params.keys())!r}")
        backend = self._check(calls, shared)
        count = len(self.writes)
        rows = [[None if t is None else t.data for t in call] for call in calls]
        common = [None if t is None else t.data for t in shared]
        if self.check is not None:
            for row in rows:
                self.check(*row, *common, **params)
        for row, call in zip(rows, calls, strict=True):
            row[:count] = [None if t is None else writable(t) for t in call[:count]]
        with no_grad():
            if not self._together(backend, rows, common, table, params):
                for row in rows:
                    self._alone(backend, row, common, params)
        for call in calls:
            for t in call[:count]:
                if t is not None:
                    shared_version(t).count += 1

    def _together(
        self, backend: Any, rows: list[list[Any]], common: list[Any], table: Table | None, params: dict[str, Any]
    ) -> bool:
        launcher = self.group_launchers.get(backend.name)
        count = len(self.writes)
        if launcher is None or not all(_contiguous(row[:count]) for row in rows):
            return False
        read = [[_as_contiguous(backend, a) for a in row[count:]] for row in rows]
        rows = [row[:count] + rest for row, rest in zip(rows, read, strict=True)]
        return launcher(rows, *common, table=table or Table(), **params) is not NotImplemented

    def _alone(self, backend: Any, row: list[Any], common: list[Any], params: dict[str, Any]) -> None:
        arrays = [*row, *common]
        launcher = self.launchers.get(backend.name)
        if launcher is None or not _contiguous(arrays) or launcher(*arrays, **params) is NotImplemented:
            wide = [a.astype(float32) if a is not None and a.dtype in REDUCED else a for a in arrays]
            for target, new in zip(arrays, self.composite(*wide, **params), strict=False):
                if target is not None:
                    target[...] = new

    def _what(self) -> str:
        return f"{self.name}({', '.join(self.inputs)})"

    def _check(self, calls: Sequence[Call], shared: Call) -> Any:
        """Return the one backend of all tensors, having made sure that each may be there."""
        found = kind = None
        written = len(self.writes)
        for call in calls:
            if len(call) != len(self.own):
                raise TypeError(f"{self._what()}: got {len(call)} tensors for {', '.join(self.own)}")
            for i, t in enumerate(call):
                if t is None:
                    continue
                if not isinstance(t, Tensor) or type(t.data) is not kind:  # not one more of the same
                    found = self._check_one(self.own[i], t, found)
                    kind = type(t.data)
                if t.node is not None and i < written:
                    what = f"{self._what()}: {self.own[i]} is the result of {t.node.prim.name}"
                    raise ShapeError(message(what, [operand(self.own[i], t)], "need a leaf"))
        for name, t in zip(self.shares, shared, strict=True):
            if t is not None:
                found = self._check_one(name, t, found)
        return found

    def _check_one(self, name: str, t: Tensor, found: Any) -> Any:
        if not isinstance(t, Tensor):
            raise DTypeError(
                f"{self._what()}: {name} is of type {type(t).__name__}\n"
                f"  need a Tensor, whose version counts the change"
            )
        if isinstance(t.data, Batched):
            raise ShapeError(
                f"{self._what()}: {name} is one of a batch under vmap, and an update happens once\n"
                f"  need the update outside of vmap, or the layer in eval() mode"
            )
        here = backends.backend_of(t.data)
        if found is not None and here is not found:
            raise DeviceError(f"{self._what()}: {name} is on {here.name}, the others on {found.name}")
        return here


def _contiguous(arrays: list[Any]) -> bool:
    return all(a is None or a.flags.c_contiguous for a in arrays)


def _as_contiguous(backend: Any, array: Any) -> Any:
    if array is None or array.flags.c_contiguous:
        return array
    return backend.coerce(backend.xp.ascontiguousarray(array))


def update(
    name: str,
    *,
    writes: str,
    shares: str = "",
    check: Callable[..., None] | None = None,
    samples: Callable[[], Any] | None = None,
) -> Callable[[Callable[..., Any]], Update]:
    """Declare an `Update` by a pure composite: old values in, new values of the inputs that `writes` names out.

    `check` gets the arrays and parameters of a call and raises for what does not belong together; `shares` names the
    inputs that several calls made at once have in common.
    """
    return lambda composite: Update(name, composite, writes, shares, check, samples)
