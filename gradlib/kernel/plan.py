"""Plans: a call like an earlier one makes its arrays and its launches at once, without asking again how.

A launcher may be declared as one that can be planned: what it does follows from the shapes, strides and dtypes of its
arrays, from its parameters and from the thread's settings alone, as long as its inputs begin at multiples of 16 bytes,
and it does nothing but make arrays by `empty` and launch kernels.  The second call of a kind is written down
(`record.py`); those after it fill in addresses and launch.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ..backend import checking
from . import log
from .record import Record
from .settings import settings

__all__ = ["Planner", "without_plans"]

Array = Any
Answer = tuple[Any, tuple[Array, ...]]  # outputs and residuals

_KINDS = 4096  # of calls that a planner remembers
_ADDRESSES = 1024  # for which a plan remembers tensor maps
_SEEN, _NEVER = "seen once", "cannot be planned"

_enabled = True


class Plan:
    """What a launcher did with inputs of one kind."""

    __slots__ = ("_encoded", "_inside", "_many", "_outputs", "_residuals", "_rooms", "_steps", "zeros")

    def __init__(self, record: Record, outputs: Any, residuals: Sequence[Array], params: Mapping[str, Any]) -> None:
        self._rooms = record.rooms
        self._inside, self._steps = record.steps()
        self._many = type(outputs) is tuple
        self._outputs = [record.index(array) for array in (outputs if self._many else (outputs,))]
        self._residuals = [record.index(array) for array in residuals]
        self._encoded: dict[Any, bytes] = {}
        self.zeros = [name for name, value in params.items() if type(value) in (int, float) and value == 0]

    def run(self, backend: Any, arrays: Sequence[Array]) -> Answer | None:
        """Return outputs and residuals; None where an input begins between multiples of 16 bytes.  Hot."""
        pointer = backend.pointer
        there: list[Array] = [None]
        addresses = [0]
        bits = 0
        for array in arrays:
            if array is not None:
                address = pointer(array)
                bits |= address
                there.append(array)
                addresses.append(address)
        if bits & 15:
            return None
        kind = backend.array_type
        for shape, dtype in self._rooms:
            array = kind(shape, dtype)
            there.append(array)
            addresses.append(pointer(array))
        for index, distance in self._inside:
            addresses.append(addresses[index] + distance)
        for go, pick, maps in self._steps:
            if maps:
                go(pick(addresses), [(byte, self._map(backend, made, addresses[i])) for byte, i, made in maps])
            else:
                go(pick(addresses))
        outputs = tuple([there[i] for i in self._outputs]) if self._many else there[self._outputs[0]]
        return outputs, tuple([there[i] for i in self._residuals])

    def _map(self, backend: Any, made: Any, address: int) -> bytes:
        """Return a tensor map as the one that was made, of another address."""
        key = address, id(made)  # which `_steps` keeps alive
        content = self._encoded.get(key)
        if content is None:
            if len(self._encoded) >= _ADDRESSES:
                self._encoded.clear()
            content = self._encoded[key] = backend.encode(replace(made, address=address))
        return content

    def differs(self, params: Mapping[str, Any]) -> bool:
        """Whether these parameters, equal to those of the plan, are others: 0.0 and -0.0 are equal."""
        return any(math.copysign(1.0, params[name]) < 0 for name in self.zeros)


class Planner:
    """The plans of one launcher, by the kind of call.

    A kind is the device, the settings, whether the call is recorded on the tape, the parameters, and of each array
    shape, strides and dtype.
    """

    _all: weakref.WeakSet[Planner] = weakref.WeakSet()

    def __init__(self) -> None:
        self._known: dict[Any, Plan | str] = {}
        Planner._all.add(self)

    def run(self, backend: Any, arrays: Sequence[Array], params: Mapping[str, Any], save: bool) -> Answer | None:
        """Do what the launcher did with arrays of this kind; None where there is no plan for it.  Hot."""
        try:
            plan = self._known.get(_kind(backend, arrays, params, save))
        except TypeError:  # a parameter that cannot be hashed
            return None
        if type(plan) is not Plan or not _usable() or (plan.zeros and plan.differs(params)):
            return None
        return plan.run(backend, arrays)

    def due(self, backend: Any, arrays: Sequence[Array], params: Mapping[str, Any], save: bool) -> Record | None:
        """Return what the launcher's run with these arrays is to be written down in, if it is."""
        if not _usable():
            return None
        try:
            kind = _kind(backend, arrays, params, save)
            known = self._known.get(kind)
        except TypeError:
            return None
        if known is None:
            if len(self._known) >= _KINDS:
                self._known.clear()
            self._known[kind] = _SEEN
        if known is not _SEEN or any(a is not None and backend.pointer(a) % 16 for a in arrays):
            return None
        self._known[kind] = _NEVER  # until it is known better
        return Record(kind, backend, arrays)

    def keep(self, record: Record, outputs: Any, residuals: Sequence[Array], params: Mapping[str, Any]) -> None:
        """Make a plan of a run that returned these arrays."""
        plan = Plan(record, outputs, residuals, params)
        if not record.spoilt:
            self._known[record.kind] = plan

    @classmethod
    def forget(cls) -> None:
        """Drop every plan: launchers would do otherwise now."""
        for planner in cls._all:
            planner._known.clear()


def _kind(backend: Any, arrays: Sequence[Array], params: Mapping[str, Any], save: bool) -> tuple[Any, ...]:
    kind: list[Any] = [backend.limits, settings.matmul_precision, save, *params.items()]
    for a in arrays:
        if a is None:
            kind.append(None)
        else:
            kind += (a.shape, a.strides, a.dtype)
    return tuple(kind)


def _usable() -> bool:
    """Whether nobody wants to see how launches come about: not the log, not the checked build, not a tuner."""
    return _enabled and not log.active and checking.current() is None


@contextmanager
def without_plans() -> Iterator[None]:
    """Let every launcher run as it is in the block, and write nothing down."""
    global _enabled
    before, _enabled = _enabled, False
    try:
        yield
    finally:
        _enabled = before
