"""Which variants of a `.cu` file exist: the file says so itself, in comment lines that the tests compile.

A line ``// variants: T=float,__half ACT=none,relu`` stands for every combination; several lines add up.
A line ``// architectures: sm_90a`` says that on others the file has no entries.
"""

from __future__ import annotations

import itertools
import re

from ..errors import KernelError
from .source import Source

__all__ = ["architectures", "variants"]

_LINE = re.compile(r"^[ \t]*//[ \t]*variants:(.*)$", re.MULTILINE)
_ONLY = re.compile(r"^[ \t]*//[ \t]*architectures:(.*)$", re.MULTILINE)
_MACRO = re.compile(r"\s*([A-Za-z_]\w*)=([^=]+?)(?=\s+[A-Za-z_]\w*=|\s*$)")  # a value may hold spaces: long long


def variants(source: Source) -> list[dict[str, str]]:
    """List the macro sets of a source, each once.

    Raises
    ------
    KernelError
        If the file has no such line, or one that cannot be read or names a macro without a default there.
    """
    lines = _LINE.findall(source.text)
    if not lines:
        raise KernelError(f"{source.name}: no variants are declared\n  need a line // variants: T=float,double ...")
    found: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
    for line in lines:
        macros = _MACRO.findall(line)
        if _MACRO.sub("", line).strip() or len({name for name, _ in macros}) != len(macros):
            raise KernelError(f"{source.name}: variants:{line}\n  need NAME=value,value ..., each name once")
        for name, _ in macros:
            if name not in source.options:
                known = ", ".join(source.options) or "none"
                raise KernelError(f"{source.name}: variants:{line}: {name} is no macro of it\n  need one of {known}")
        values = [[value.strip() for value in text.split(",")] for _, text in macros]
        if not all(value for row in values for value in row):
            raise KernelError(f"{source.name}: variants:{line}: an empty value")
        for chosen in itertools.product(*values):
            variant = dict(zip((name for name, _ in macros), chosen, strict=True))
            found.setdefault(source.canonical(variant), variant)
    return list(found.values())


def architectures(source: Source) -> frozenset[str] | None:
    """Return the architectures that a source is for; None if it is for all."""
    found = _ONLY.search(source.text)
    return None if found is None else frozenset(found[1].split())
