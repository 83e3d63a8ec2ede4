"""Launches that a `.cu` file declares for its own test, in comment lines ``// sample: entry grid block args``.

Grid and block are numbers joined by commas.  An argument is a number, ``None``, or an array:
``float32[64]`` holds normal random numbers (an integer array those from 0 to 15), ``int32[4,4]=0`` one value,
``int64[8]=arange`` 0, 1, 2, ...; ``out:`` in front marks one that holds nothing before the launch.  A box behind it
makes it a tensor map, with a swizzle if need be: ``float16[64,64]<8,64:128>``.  Words that follow may be
``shared=BYTES``, ``float_atomics``, or a macro ``T=double``:

    // sample: scale 2 32 float32[50] out:float32[50] 2.0 50 T=float
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np

from ..errors import KernelError
from ..kernel.signature import parse
from ..kernel.source import Source
from .kernel_arguments import Tiles
from .run_kernel import run_kernel

__all__ = ["KernelSample", "samples"]

_LINE = re.compile(r"^[ \t]*//[ \t]*sample:(.*)$", re.MULTILINE)
_ARRAY = re.compile(r"(out:)?([a-z]\w*)\[([\d,]*)\](?:<([\d,]+)(?::(\d+))?>)?(?:=(\S+))?")
_MACRO = re.compile(r"([A-Za-z_]\w*)=(\S+)")


@dataclass(frozen=True)
class KernelSample:
    """One launch of an entry, with arguments yet to be drawn."""

    text: str
    entry: str
    grid: tuple[int, ...]
    block: tuple[int, ...]
    args: tuple[str, ...]
    shared: int = 0
    float_atomics: bool = False
    macros: Mapping[str, str] = field(default_factory=dict)

    def draw(self) -> list[Any]:
        """Return the arguments; the same ones each time."""
        rng = np.random.default_rng(zlib.crc32(self.text.encode()))
        return [_value(arg, rng, self.text) for arg in self.args]

    def run(self, source: Source, *, check: bool = True, device: str = "sim", **macros: Any) -> list[Any]:
        """Run the sample and return its arguments, arrays for tensor maps; `macros` come on top of its own."""
        args = self.draw()
        names = [p.name for p in parse(source.text, self.entry).parameters]
        outputs = [name for name, arg in zip(names, self.args, strict=False) if arg.startswith("out:")]
        run_kernel(
            source, self.entry, self.grid, self.block, args, self.shared, check, outputs,
            macros={**self.macros, **macros}, float_atomics=self.float_atomics, device=device,
        )  # fmt: skip
        return [arg.array if isinstance(arg, Tiles) else arg for arg in args]


def samples(source: Source) -> list[KernelSample]:
    """List the samples that a source declares.

    Raises
    ------
    KernelError
        For a line that cannot be read.
    """
    found = []
    for match in _LINE.finditer(source.text):
        line = source.text.count("\n", 0, match.start()) + 1
        try:
            found.append(_sample(match[1].strip()))
        except KernelError as error:
            raise KernelError(f"{source.name}:{line}: {error}") from None
    return found


def _sample(text: str) -> KernelSample:
    words = text.split()
    try:
        entry, grid, block = words[0], _sizes(words[1]), _sizes(words[2])
    except (IndexError, ValueError):
        raise KernelError(f"sample: {text}\n  need sample: entry grid block args") from None
    args, shared, atomics, macros = [], 0, False, {}
    for word in words[3:]:
        match = _MACRO.fullmatch(word)
        if word == "float_atomics":
            atomics = True
        elif match and match[1] == "shared":
            if not match[2].isdecimal():
                raise KernelError(f"sample: {text}: {word} is no size\n  need shared=BYTES")
            shared = int(match[2])
        elif match and not _ARRAY.fullmatch(word):
            macros[match[1]] = match[2]
        else:
            args.append(word)
    sample = KernelSample(text, entry, grid, block, tuple(args), shared, atomics, macros)
    sample.draw()  # what cannot be read is reported now
    return sample


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.strip("()").split(","))


def _value(text: str, rng: np.random.Generator, line: str) -> Any:
    if text == "None":
        return None
    match = _ARRAY.fullmatch(text)
    try:
        if match is None:
            return float(text) if re.search(r"[.eE]|inf|nan", text) else int(text, 0)
        _, name, shape_text, box, swizzle, fill = match.groups()
        shape = tuple(int(n) for n in shape_text.split(",") if n)
        array = _fill(shape, np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name), fill, rng)
        return array if box is None else Tiles(array, _sizes(box), int(swizzle or 0))
    except (ValueError, TypeError):
        raise KernelError(f"sample: {line}: {text} is no argument\n  need a number, None or float32[64]") from None


def _fill(shape: tuple[int, ...], dtype: Any, fill: str | None, rng: np.random.Generator) -> Any:
    if fill == "arange":
        return np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)
    if fill is not None:
        return np.full(shape, float(fill)).astype(dtype)
    if dtype.kind in "iub":
        return rng.integers(0, 2 if dtype.kind == "b" else 16, shape).astype(dtype)
    return rng.standard_normal(shape).astype(dtype)
