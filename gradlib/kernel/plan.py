"""Plans: a call like an earlier one makes its arrays and its launches at once, without asking again how.

A launcher may be declared as one that can be planned: what it does follows from the shapes, strides and dtypes of its
arrays, from its parameters and from the thread's settings alone, as long as its inputs begin at multiples of 16 bytes,
and it does nothing but make arrays by `empty` and launch kernels.  A call of a kind that comes often is written down
(`record.py`); those after it fill in addresses and launch.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar

from ..backend import backend_of, checking
from ..backend.tensor_map import MAP_BYTES
from ..spec import spec_of
from . import log
from .record import Launched, Record, Spot
from .settings import settings

__all__ = ["Plan", "Planner", "plans_at_once", "without_plans"]

Array = Any
Answer = tuple[Any, tuple[Array, ...]]  # outputs and residuals

_KINDS = 4096  # of calls that a planner remembers
_ADDRESSES = 1024  # at which a plan remembers a tensor map
_PATIENCE = 8  # the call of a kind that is written down: it costs what 20 others save
_NEVER = -1  # the kind cannot be planned
_at_once = False


class Plan:
    """What a launcher did with inputs of one kind.

    Attributes
    ----------
    run : Does it again with a list of inputs, and returns outputs and residuals; None where an input begins between
        multiples of 16 bytes.
    text : Of that function, to be read.
    inputs, outputs : Their Specs; `outputs` is one, or a tuple of them.
    zeros : The parameters that are 0.
    """

    __slots__ = ("inputs", "outputs", "run", "text", "zeros")

    def __init__(self, record: Record, outputs: Any, residuals: Sequence[Array], params: Mapping[str, Any]) -> None:
        self.text, known = _program(record, outputs, residuals)
        exec(self.text, known)
        self.run: Callable[[Sequence[Array]], Answer | None] = known["run"]
        self.inputs = tuple(map(_spec, record.inputs))
        self.outputs = _spec(outputs)
        self.zeros = _zeros(params)


def _program(record: Record, outputs: Any, residuals: Sequence[Array]) -> tuple[str, dict[str, Any]]:
    """Write a record as a function, and return what its text refers to: arrays are x0, x1, ..., their addresses a0, a1.

    A function because that is the fastest that Python has: a loop over a record takes half as long again.
    """
    count = len(record.inputs)
    given = [i for i, array in enumerate(record.inputs) if array is not None]
    last: dict[int, Launched] = {}  # launch in which an array is used that is not handed on
    kept: set[int | None] = set()

    def names(arrays: Any) -> str:
        if type(arrays) is tuple:
            return f"({''.join(f'{names(array)}, ' for array in arrays)})"
        index = record.index(arrays)
        kept.add(index)
        return "None" if index is None else f"x{index}"

    answer = f"return {names(outputs)}, {names(tuple(residuals))}"
    for done in record.done:
        if isinstance(done, Launched):
            last |= {i: done for i in done.uses if i >= count and i not in kept}
    known: dict[str, Any] = {"pointer": record.backend.pointer, "make": record.backend.array_type}
    pointer = record.backend.pointer_text.format
    lines = [f"({', '.join(f'x{i}' for i in range(count))},) = arrays", *[f"a{i} = {pointer(f'x{i}')}" for i in given]]
    lines.append(f"if ({' | '.join(f'a{i}' for i in given) or 0}) & 15: return None")
    for done in record.done:
        n = len(known)
        if isinstance(done, Launched):
            known[f"launch{n}"] = done.go
            maps: dict[int, list[str]] = {}  # by their byte; those that follow each other are written at once
            for k, (byte, spot, made) in enumerate(done.maps):
                known[f"map{n}_{k}"] = _Map(record.backend.encode, made)
                first = next((b for b, group in maps.items() if b + MAP_BYTES * len(group) == byte), byte)
                maps.setdefault(first, []).append(f"map{n}_{k}[{_address(spot)}]")
            tail = "".join(f", ({byte}, {' + '.join(group)})" for byte, group in maps.items())
            lines.append(f"launch{n}(({''.join(f'{_address(spot)}, ' for spot in done.addresses)}){tail})")
            lines += [f"del x{i}" for i, launched in last.items() if launched is done]
        else:
            known[f"dtype{n}"] = done.dtype
            lines += [f"x{count} = make({done.shape}, dtype{n})", f"a{count} = {pointer(f'x{count}')}"]
            count += 1
    return "\n    ".join(["def run(arrays):", *lines, answer]), known


def _spec(arrays: Any) -> Any:
    return None if arrays is None else tuple(map(_spec, arrays)) if type(arrays) is tuple else spec_of(arrays)


def _address(spot: Spot) -> str:
    return "0" if spot is None else f"a{spot[0]}" if spot[1] == 0 else f"a{spot[0]} + {spot[1]}"


class _Map(dict[int, bytes]):
    """A tensor map at every address it was needed at."""

    def __init__(self, encode: Callable[[Any], bytes], made: Any) -> None:
        self._encode, self._made = encode, made

    def __missing__(self, address: int) -> bytes:
        if len(self) >= _ADDRESSES:
            self.clear()
        content = self[address] = self._encode(replace(self._made, address=address))
        return content


class Planner:
    """The plans of one launcher, by the kind of call.

    A kind is the device, the settings, whether the call is recorded on the tape, the parameters, and of each array
    shape, strides and dtype.
    """

    _all: ClassVar[weakref.WeakSet[Planner]] = weakref.WeakSet()

    def __init__(self) -> None:
        self._known: dict[Any, Plan | int] = {}  # the number of calls, where there is no plan
        Planner._all.add(self)

    def find(self, backend: Any, arrays: Sequence[Array], params: Mapping[str, Any], save: bool) -> Plan | None:
        """Return the plan for a call of this kind, if there is one and nobody minds.  Hot."""
        try:
            plan = self._known.get(_kind(backend, arrays, params, save))
        except TypeError:  # a parameter that cannot be hashed
            return None
        if type(plan) is not Plan or log.active or checking.active is not None:
            return None
        return None if plan.zeros and _negative(params, plan.zeros) else plan

    def look(
        self, backend: Any, arrays: Sequence[Array], params: Mapping[str, Any], save: bool
    ) -> Plan | Record | None:
        """Return the plan; or what a run is to be written down in, where it is time for that."""
        if log.watched or checking.active is not None:
            return None
        try:
            kind = _kind(backend, arrays, params, save)
            known = self._known.get(kind)
        except TypeError:  # a parameter that cannot be hashed
            return None
        if isinstance(known, Plan):
            return None if log.active or _negative(params, known.zeros) else known
        if kind is None or known == _NEVER:
            return None
        if known is None and len(self._known) >= _KINDS:
            self._known.clear()
        calls = self._known[kind] = (known or 0) + 1
        if calls < _PATIENCE and not _at_once:
            return None
        if _negative(params, _zeros(params)) or any(a is not None and backend.pointer(a) % 16 for a in arrays):
            return None
        record = Record(kind, backend, arrays)
        return None if record.spoilt else record  # by inputs that share memory, as others of the kind may not

    def call(self, launcher: Callable[..., Any], arrays: Sequence[Array], params: Mapping[str, Any]) -> Any:
        """Do what a launcher does, by its plan if there is one; what it returns are arrays, None and tuples of them."""
        found = self.look(backend_of(arrays[0]), arrays, params, False)
        if type(found) is Plan and (done := found.run(arrays)) is not None:
            return done[0]
        if type(found) is not Record:
            return launcher(*arrays, **params)
        with found:
            outputs = launcher(*found.inputs, **params)
        self.keep(found, outputs, (), params)
        return outputs

    def keep(self, record: Record, outputs: Any, residuals: Sequence[Array], params: Mapping[str, Any]) -> None:
        """Make a plan of a run that returned these arrays, if it can be one."""
        plan = None if outputs is NotImplemented else Plan(record, outputs, residuals, params)
        self._known[record.kind] = _NEVER if plan is None or record.spoilt else plan

    @property
    def plans(self) -> list[Plan]:
        """The plans there are."""
        return [known for known in self._known.values() if type(known) is Plan]

    @classmethod
    def forget(cls) -> None:
        """Drop every plan: launchers would do otherwise now."""
        for planner in cls._all:
            planner._known.clear()


def _kind(backend: Any, arrays: Sequence[Array], params: Mapping[str, Any], save: bool) -> tuple[Any, ...] | None:
    """Return the kind of a call; None where an operand is no array of the device.  Hot."""
    device = backend.array_type
    kind: list[Any] = [backend.limits, settings.matmul_precision, save, *params.items()]
    for a in arrays:
        if type(a) is device:
            kind += (a.shape, a.strides, a.dtype)
        elif a is None:
            kind.append(None)
        else:
            return None
    return tuple(kind)


def _zeros(params: Mapping[str, Any]) -> list[str]:
    """Return the names of the numbers that are 0: -0.0 is equal, and of the same kind, and has no plan."""
    return [name for name, value in params.items() if type(value) in (int, float) and value == 0]


def _negative(params: Mapping[str, Any], names: Sequence[str]) -> bool:
    return any(math.copysign(1.0, params[name]) < 0 for name in names)


@contextmanager
def plans_at_once() -> Iterator[None]:
    """Write down the first call of each kind in the block: for tests, whose second call is then by the plan."""
    global _at_once
    before, _at_once = _at_once, True
    try:
        yield
    finally:
        _at_once = before


@contextmanager
def without_plans() -> Iterator[None]:
    """Let every launcher run as it is in the block, and write nothing down."""
    log.watch(1)
    try:
        yield
    finally:
        log.watch(-1)
