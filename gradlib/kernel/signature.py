"""What a CUDA entry takes: a small parser for ``extern "C" __global__`` functions, and their C types.

It reads only what a declaration may hold (comments, qualifiers, attributes, macros in types, line
breaks), resolves the file's macros, and leaves everything else to the compiler.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from ..errors import KernelError

__all__ = [
    "C_TYPES",
    "Parameter",
    "Signature",
    "alignment",
    "ctype",
    "defaults",
    "entries",
    "options",
    "parse",
    "resolve",
    "scalar_format",
]

_Dtype = np.dtype[np.generic]

C_TYPES: dict[str, _Dtype] = {
    "float": np.dtype(np.float32),
    "double": np.dtype(np.float64),
    "__half": np.dtype(np.float16),
    "__nv_bfloat16": np.dtype(ml_dtypes.bfloat16),
    "__nv_fp8_e4m3": np.dtype(ml_dtypes.float8_e4m3fn),
    "__nv_fp8_e5m2": np.dtype(ml_dtypes.float8_e5m2),
    "signed char": np.dtype(np.int8),
    "unsigned char": np.dtype(np.uint8),
    "short": np.dtype(np.int16),
    "unsigned short": np.dtype(np.uint16),
    "int": np.dtype(np.int32),
    "unsigned int": np.dtype(np.uint32),
    "long long": np.dtype(np.int64),
    "unsigned long long": np.dtype(np.uint64),
    "bool": np.dtype(np.bool_),
}

_NAMES = {dtype: name for name, dtype in C_TYPES.items()}
_FORMATS = {  # struct codes; a half is no scalar argument: pass a float
    "float": "f", "double": "d", "bool": "?", "signed char": "b", "unsigned char": "B", "short": "h",
    "unsigned short": "H", "int": "i", "unsigned int": "I", "long long": "q", "unsigned long long": "Q",
    "TensorMap": "128s",
}  # fmt: skip
_ALIGNMENTS = {"128s": 64}  # where it is not the size
_ALIASES = {
    "unsigned": "unsigned int", "signed": "int", "signed int": "int", "long long int": "long long",
    "unsigned long long int": "unsigned long long", "short int": "short", "half": "__half",
    "nv_bfloat16": "__nv_bfloat16", "int8_t": "signed char", "uint8_t": "unsigned char", "int16_t": "short",
    "uint16_t": "unsigned short", "int32_t": "int", "uint32_t": "unsigned int", "int64_t": "long long",
    "uint64_t": "unsigned long long", "size_t": "unsigned long long", "ptrdiff_t": "long long", "long": "long long",
    "long int": "long long", "unsigned long": "unsigned long long", "unsigned long int": "unsigned long long",
}  # fmt: skip

_TOKEN = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|//[^\n]*|/\*.*?\*/', re.DOTALL)
_WORD = re.compile(r"[A-Za-z_]\w*")
_DEFINE = re.compile(r"^[ \t]*#[ \t]*define[ \t]+([A-Za-z_]\w*)(?!\()[ \t]+(\S.*?)[ \t]*$", re.MULTILINE)
_OPTION = re.compile(
    r"^[ \t]*#[ \t]*ifndef[ \t]+([A-Za-z_]\w*)\s*#[ \t]*define[ \t]+\1[ \t]+(\S.*?)[ \t]*\n[ \t]*#[ \t]*endif",
    re.MULTILINE,
)
_USING = re.compile(r"^using\s+([A-Za-z_]\w*)\s*=\s*([^;{}]+);", re.MULTILINE)  # at file scope
_QUALIFIERS = {"const", "volatile", "restrict", "__restrict__", "__restrict", "__grid_constant__"}
_ACCUMULATOR = re.compile(r"acc_t\s*<(.*)>$", re.DOTALL)
_HALVES = ("__half", "__nv_bfloat16")


@dataclass(frozen=True)
class Parameter:
    """One parameter as the file writes it: its type before macros are resolved, without qualifiers."""

    name: str
    type: str
    pointer: bool
    constant: bool = False  # what it points to is

    def __str__(self) -> str:
        return f"{self.type}* {self.name}" if self.pointer else f"{self.type} {self.name}"


@dataclass(frozen=True)
class Signature:
    """The parameters of one entry, in order."""

    entry: str
    parameters: tuple[Parameter, ...]

    def __str__(self) -> str:
        return f"{self.entry}({', '.join(map(str, self.parameters))})"


def ctype(dtype: Any) -> str:
    """Return how a `.cu` file calls a dtype: the value to pass for the macro ``T``.

    >>> ctype(np.float16)
    '__half'
    """
    found = _NAMES.get(np.dtype(dtype))
    if found is None:
        raise KernelError(f"no C type for dtype {dtype}\n  need one of {', '.join(map(str, _NAMES))}")
    return found


def scalar_format(c_type: str) -> str | None:
    """Return the `struct` code of a C scalar type, None if it cannot be passed by value."""
    return _FORMATS.get(c_type)


def alignment(format_: str) -> int:
    """Return where in an argument block a value of this `struct` code may stand: at multiples of this many bytes."""
    return _ALIGNMENTS.get(format_) or struct.calcsize("=" + format_)


def entries(text: str) -> tuple[str, ...]:
    """List the ``extern "C" __global__`` functions of a source, in order."""
    return tuple(name for name, _ in _kernels(_clean(text)))


def parse(text: str, entry: str) -> Signature:
    """Read the parameters of one entry.

    Raises
    ------
    KernelError
        If there is no such ``extern "C" __global__`` function, or a parameter that no launch can pass.
    """
    found = _kernels(_clean(text))
    for name, parameters in found:
        if name == entry:
            return Signature(entry, tuple(_parameter(entry, piece) for piece in _split(parameters)))
    names = ", ".join(name for name, _ in found) or "none"
    raise KernelError(f'no entry {entry!r}{_why_not(text, entry)}\n  extern "C" __global__ functions there: {names}')


def defaults(text: str) -> dict[str, str]:
    """Return the object-like macros a source defines, and its type aliases, by name: the first definition counts."""
    text = _clean(text)
    found: dict[str, str] = {}
    for name, value in [*_DEFINE.findall(text), *_USING.findall(text)]:
        found.setdefault(name, value.strip())
    return found


def options(text: str) -> dict[str, str]:
    """Return the macros a caller may choose (``#ifndef X``, ``#define X value``, ``#endif``), with defaults."""
    return dict(_OPTION.findall(_clean(text)))


def resolve(type_: str, macros: Mapping[str, str]) -> str:
    """Replace macros in a C type until it names a plain type, and bring that to the name `C_TYPES` has for it.

    >>> resolve("acc_t<T>", {"T": "__half"})
    'float'
    """
    for _ in range(16):  # a macro may name another; a cycle must end
        replaced = _WORD.sub(lambda word: macros.get(word[0], word[0]), type_)
        if replaced == type_:
            break
        type_ = replaced
    type_ = " ".join(type_.replace("typename ", "").split())
    accumulator = _ACCUMULATOR.fullmatch(type_)
    if accumulator:
        inner = resolve(accumulator[1], macros)
        return "float" if inner in _HALVES else inner
    return _ALIASES.get(type_, type_)


def _clean(text: str) -> str:
    """Join continued lines and blank comments and literals (all but the "C" of a linkage)."""
    text = text.replace("\\\r\n", "").replace("\\\n", "")
    return _TOKEN.sub(lambda token: token[0] if token[0] == '"C"' else " " if token[0][0] == "/" else '""', text)


def _kernels(text: str) -> list[tuple[str, str]]:
    """Find (name, parameter text) of each __global__ function with C linkage in a cleaned source."""
    blocks = [
        (start.end(), _closing(text, start.end() - 1, "{", "}")) for start in re.finditer(r'\bextern\s*"C"\s*\{', text)
    ]
    found = []
    for match in re.finditer(r"\b__global__\b", text):
        start = max(text.rfind(mark, 0, match.start()) for mark in (";", "}", "{"))
        linked = re.search(r'\bextern\s*"C"', text[start + 1 : match.start()])
        if linked or any(low <= match.start() < high for low, high in blocks):
            function = _function(text, match.end())
            if function:
                found.append(function)
    return found


def _why_not(text: str, entry: str) -> str:
    """Say what keeps a function of that name from being an entry, if there is one."""
    plain = entry.partition("<")[0].strip()
    text = _clean(text)
    for match in re.finditer(r"\b__global__\b", text):
        function = _function(text, match.end())
        if function is None or function[0] != plain:
            continue
        start = max(text.rfind(mark, 0, match.start()) for mark in (";", "}", "{"))
        if re.search(r"\btemplate\s*<", text[start + 1 : match.start()]):
            return (
                f': {plain} is a template, and names with arguments are not looked up\n  need extern "C" __global__ '
                f"functions, each for one type, that do what it does (or a macro for the type: macros={{'T': 'float'}})"
            )
        return f': {plain} has no C linkage\n  need extern "C" in front of its __global__'
    return ""


def _function(text: str, position: int) -> tuple[str, str] | None:
    """Read on from behind __global__: attributes with arguments, ``void``, the name, the parameters."""
    word = re.compile(r"\s*([A-Za-z_]\w*)\s*(\()?")
    while match := word.match(text, position):
        position = match.end()
        if match[2]:
            end = _closing(text, position - 1, "(", ")")
            if not match[1].startswith("__"):  # else an attribute: __launch_bounds__(...), __cluster_dims__(...)
                return match[1], text[position:end]
            position = end + 1
    return None


def _closing(text: str, position: int, opening: str, closing: str) -> int:
    depth = 0
    for i in range(position, len(text)):
        depth += (text[i] == opening) - (text[i] == closing)
        if depth == 0:
            return i
    return len(text)


def _split(text: str) -> list[str]:
    """Cut a parameter list at its top-level commas."""
    pieces, depth, start = [], 0, 0
    for i, char in enumerate(text):
        depth += (char in "(<[") - (char in ")>]")
        if char == "," and depth == 0:
            pieces.append(text[start:i])
            start = i + 1
    pieces.append(text[start:])
    pieces = [piece.strip() for piece in pieces]
    return [] if pieces in ([""], ["void"]) else pieces


def _parameter(entry: str, text: str) -> Parameter:
    declared = " ".join(re.sub(r"\[\[.*?\]\]", " ", text).split())
    plain = _WORD.sub(lambda word: " " if word[0] in _QUALIFIERS else word[0], declared.partition("=")[0])
    if re.search(r"\*\s*\w+\s+\w", plain):
        raise KernelError(f"{entry}: cannot read the parameter {declared!r}\n  need a comma after each parameter")
    stars = plain.count("*") + len(re.findall(r"\[[^\]]*\]", plain))
    plain = re.sub(r"\[[^\]]*\]|\*", " ", plain)
    match = re.fullmatch(r"\s*(.*\S)\s+([A-Za-z_]\w*)\s*|\s*(.*>)\s*([A-Za-z_]\w*)\s*", plain)
    if match is None or stars > 1 or "&" in plain:
        raise KernelError(f"{entry}: cannot pass parameter {declared!r}\n  need a pointer to elements, or a scalar")
    type_ = " ".join((match[1] or match[3]).split())
    constant = stars == 1 and re.search(r"\bconst\b", declared.partition("*")[0]) is not None
    return Parameter(match[2] or match[4], type_, stars == 1, constant)
