"""What a launch computes and moves, and how near it comes to what the GPU could do: the numbers of GRADLIB_DEBUG=2.

Bytes are those of the launch's arrays, each read or written once.  A `.cu` file says more in comment lines, arithmetic
over the scalars of an entry, grid_x, grid_y, grid_z and the
macros; with an entry's name they are of that one alone:

    // flops: 2 * m * n * k * products
    // flops dense_dx: 2 * m * n * k
    // tensor: PASSES                       products of 16-bit operands on tensor cores for each one counted
    // bytes: size(T) * (m * k + k * n + m * n)      where the arrays passed are only where data begins
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..backend.protocol import Limits
from ..errors import KernelError
from .signature import C_TYPES, resolve
from .source import Source

__all__ = ["Work", "floor", "measured", "said", "work"]

_LINE = re.compile(r"^[ \t]*//[ \t]*(flops|tensor|bytes)(?:[ \t]+(\w+))?:(.*)$", re.MULTILINE)
_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}
_FUNCTIONS = {"min": min, "max": max}

# FLOPs of a multiprocessor per clock: 16-bit on tensor cores, float32, float64.  From the data sheets of A100, A10, L4,
# H100, B200 and RTX PRO 6000: their peak over multiprocessors and boost clock.
_PER_CLOCK = {
    "sm_80": (2048, 128, 64),
    "sm_86": (1024, 256, 4),
    "sm_89": (1024, 256, 4),
    "sm_90a": (4096, 256, 128),
    "sm_100a": (8192, 256, 128),
    "sm_120a": (1024, 256, 4),
}


class Work(NamedTuple):
    """Of one launch: FLOPs, bytes, and which units compute (16-bit products on tensor cores per product, or 0)."""

    flops: float
    bytes: float
    tensor: float = 0
    double: bool = False


def said(source: Source, entry: str) -> dict[str, str]:
    """Return what a source says of an entry: its own lines before those of the whole file."""
    found = {kind: text.strip() for kind, name, text in _LINE.findall(source.text) if not name}
    found |= {kind: text.strip() for kind, name, text in _LINE.findall(source.text) if name == entry}
    return found


def work(source: Source, entry: str, macros: Mapping[str, str], scalars: Mapping[str, Any], passed: float) -> Work:
    """Return the work of a launch, of whose arrays `passed` bytes are seen.

    Raises
    ------
    KernelError
        If a line of the source is no arithmetic over its scalars and macros.
    """
    lines, known = said(source, entry), {**source.defaults, **macros}
    values: dict[str, Any] = {}
    for kind, text in lines.items():
        try:
            values[kind] = _value(ast.parse(text, mode="eval").body, known, scalars)
        except (SyntaxError, KeyError, ValueError, TypeError) as error:
            raise KernelError(f"{source.name}: {kind} of {entry}: {text!r} cannot be worked out: {error}") from None
    double = resolve("T", known) == "double"
    return Work(values.get("flops", 0), values.get("bytes", passed), values.get("tensor", 0), double)


def _value(node: ast.expr, known: Mapping[str, str], scalars: Mapping[str, Any]) -> Any:
    """Work out an expression; `known` are macros, which may be expressions or types."""
    match node:
        case ast.Constant(value=int() | float()):
            return node.value
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(left, known, scalars), _value(right, known, scalars))
        case ast.Call(func=ast.Name(id="size"), args=[ast.Name(id=name)]):
            return C_TYPES[resolve(name, known)].itemsize
        case ast.Call(func=ast.Name(id=name), args=args) if name in _FUNCTIONS:
            return _FUNCTIONS[name](*[_value(arg, known, scalars) for arg in args])
        case ast.Name(id=name):
            return scalars[name] if name in scalars else int(resolve(name, known))
    raise ValueError(f"{ast.unparse(node)} is no number, name, size(type), min, max, + - * / or //")


def floor(done: Work, limits: Limits) -> float | None:
    """Return the seconds a launch would take at the GPU's nominal rates; None where they are not known."""
    per_clock = _PER_CLOCK.get(limits.architecture)
    if not limits.bandwidth or not limits.clock or per_clock is None:
        return None
    unit = per_clock[0] / done.tensor if done.tensor else per_clock[2 if done.double else 1]
    return max(done.bytes / limits.bandwidth, done.flops / (unit * limits.clock * limits.multiprocessors))


def measured(done: Work, seconds: float | None, limits: Limits) -> str:
    """Return time, rates and percent of the floor, in columns; without a time the amounts themselves."""
    if seconds is None:
        flops = f"{_three(done.flops / 1e9)} GFLOP" if done.flops else "-"
        return f"{'sim':>13} {_three(done.bytes / 1e6) + ' MB':>13} {flops:>15} {'-':>16}"
    seconds = max(seconds, 1e-9)
    least = floor(done, limits)
    rate = f"{_three(done.flops / seconds / 1e12)} TFLOP/s" if done.flops else "-"
    share = "-" if least is None else f"{100 * least / seconds:.0f} % of floor"
    return f"{1e6 * seconds:10.1f} us {_three(done.bytes / seconds / 1e9) + ' GB/s':>13} {rate:>15} {share:>16}"


def _three(value: float) -> str:
    """Return a number with three digits, or all before its point."""
    digits = 2 - math.floor(math.log10(value)) if value else 2
    return f"{value:.{min(max(digits, 0), 6)}f}"
