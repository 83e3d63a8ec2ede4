"""Finding `.cu` files, the headers they quote, and the digest of it all."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..backend.protocol import Unit
from ..errors import KernelError
from . import signature

__all__ = ["Source", "folder", "from_text", "include_folder", "kernel_files", "load"]

_MARK = "include/gradlib/core.cuh"  # a folder without it is not ours, whatever its name
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"\n]+)"', re.MULTILINE)
_PACKAGE = Path(__file__).resolve().parent.parent


@cache
def folder() -> Path:
    """Return the folder of the kernels: inside an installed package, beside it in a checkout."""
    candidates = (_PACKAGE / "kernels", _PACKAGE.parent / "kernels")
    for candidate in candidates:
        if (candidate / _MARK).is_file():
            return candidate
    tried = "\n".join(f"  tried {candidate}" for candidate in candidates)
    raise KernelError(f"the CUDA kernels are not installed: no folder holds {_MARK}\n{tried}")


def include_folder() -> Path:
    """Return the folder that quoted includes are relative to (``#include "gradlib/core.cuh"``)."""
    return folder() / "include"


def kernel_files() -> tuple[Path, ...]:
    """List the package's `.cu` files."""
    return tuple(sorted(path for path in folder().glob("*.cu")))


@dataclass(frozen=True)
class Source:
    """The text of one translation unit and where its quoted includes are looked for."""

    name: str
    text: str
    includes: tuple[Path, ...]

    @cached_property
    def headers(self) -> dict[str, str]:
        """Texts of the quoted includes, recursively, by path; "" for one that is not found (the compiler will say)."""
        found: dict[str, str] = {}
        pending = [(self.text, self.includes)]
        while pending:
            text, folders = pending.pop()
            for quoted in _INCLUDE.findall(text):
                path = next((base / quoted for base in folders if (base / quoted).is_file()), None)
                key = str(path.resolve()) if path else quoted
                if key not in found:
                    found[key] = path.read_text("utf-8") if path else ""
                    if path:
                        pending.append((found[key], (path.parent, *self.includes)))
        return found

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the text and of every header; where they stand on the disk does not enter."""
        state = hashlib.sha256(self.text.encode())
        for part in sorted(f"{Path(path).name}\0{text}" for path, text in self.headers.items()):
            state.update(hashlib.sha256(part.encode()).digest())
        return state.hexdigest()

    @cached_property
    def entries(self) -> tuple[str, ...]:
        return signature.entries(self.text)

    @cached_property
    def options(self) -> dict[str, str]:
        """Macros a caller may choose, with their defaults; "" where text and headers disagree."""
        found: dict[str, str] = {}
        for text in (self.text, *self.headers.values()):
            for name, value in signature.options(text).items():
                found[name] = value if found.get(name, value) == value else ""
        return found

    @cached_property
    def defaults(self) -> dict[str, str]:
        """Macros and type aliases by name: the file's own first, then its headers'."""
        found = signature.defaults(self.text)
        for text in self.headers.values():
            for name, value in signature.defaults(text).items():
                found.setdefault(name, value)
        return found

    @cached_property
    def words(self) -> frozenset[str]:
        """Every identifier in the text and its headers: a macro that is none of them would do nothing."""
        return frozenset(re.findall(r"[A-Za-z_]\w*", "\n".join([self.text, *self.headers.values()])))

    def canonical(self, macros: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
        """Return macros as sorted text, without those that equal their default: one spelling for one meaning.

        Raises
        ------
        KernelError
            For a macro that the source does not use, or a value that is no macro text.
        """
        found = {}
        for name, value in macros.items():
            if name not in self.words:
                known = ", ".join(self.options) or "none"
                raise KernelError(f"{self.name}: macro {name} is not used by the file\n  need one of {known}")
            text = _macro_text(value)
            if text is None:
                raise KernelError(f"{self.name}: macro {name} is {value!r}\n  need an int, a bool, a dtype or one line")
            if self.options.get(name) != text:
                found[name] = text
        return tuple(sorted(found.items()))

    def unit(self, macros: Mapping[str, Any]) -> Unit:
        """Return the translation unit for these macros."""
        return Unit(self.name, self.text, self.canonical(macros), self.includes, self.entries)


def _macro_text(value: Any) -> str | None:
    if isinstance(value, str):
        return None if "\n" in value else value
    if isinstance(value, (int, np.bool_, np.integer)):
        return str(int(value))
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
        return signature.ctype(value)
    return None


def load(file: str | Path) -> Source:
    """Read a `.cu` file: by its name in the kernels folder, or by a path of the user's own.

    Raises
    ------
    KernelError
        If there is no such file.
    """
    own = Path(file)
    packaged = None if own.is_absolute() else folder() / own
    if packaged is not None and packaged.is_file():
        return Source(own.as_posix(), _read(packaged), (include_folder(),))
    if own.is_file():
        return Source(own.name, _read(own), (own.resolve().parent, include_folder()))
    places = [str(own.absolute())] if packaged is None else [str(packaged), str(own.absolute())]
    tried = "\n".join(f"  tried {place}" for place in places)
    raise KernelError(f"{own}: no such kernel file\n{tried}")


def from_text(name: str, text: str) -> Source:
    """Make a source of a string; it may include the package's headers."""
    return Source(name, text, (include_folder(),))


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise KernelError(f"{path}: cannot read the kernel file: {error}") from error
