"""The one change that the sim device makes to a kernel's text: where its `__shared__` variables live.

A shared variable belongs to a block, and blocks run on several threads of the host at once, so no C++ storage
class fits.  Each declaration becomes a reference into memory that the runtime hands out per block, with guard
zones around it.  Lines keep their numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from gradlib.errors import KernelError

__all__ = ["clusters", "code_of", "included", "rewrite", "unclosed"]

_hidden = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|(?<![0-9A-Fa-f])\'(?:\\.|[^\'\\\n])*\'', re.S)
_directive = re.compile(r"^[ \t]*#(?:[^\n\\]|\\.)*", re.M | re.S)
_include = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"\n]+)"', re.M)
_aligned = re.compile(r"\b(?:alignas|__align__|__attribute__)\s*(?=\()")
_storage = re.compile(r"\b(?:__shared__|extern|static)\b")
_generated = re.compile(r"\b(gradlib_(?:type|variable|align)_)(\w+)")
_pairs = {"(": ")", "[": "]", "{": "}"}


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match.group())


def unclosed(text: str) -> int | None:
    """Return the line of the first brace that nothing closes, None if each is closed."""
    code, open_at = code_of(text), []
    for match in re.finditer(r"[{}]", code):
        if match.group() == "{":
            open_at.append(match.start())
        elif open_at:
            open_at.pop()
    return code.count("\n", 0, open_at[0]) + 1 if open_at else None


def _blank_hidden(text: str) -> str:
    return _hidden.sub(_blank, text)


def code_of(text: str) -> str:
    """Return `text` with spaces in place of its comments, literals and directives."""
    return _directive.sub(_blank, _blank_hidden(text))


def _matching(text: str, start: int) -> int:
    """Return the index of the bracket that closes the one at `start`, or the end of the text."""
    stack = []
    for i in range(start, len(text)):
        if text[i] in _pairs:
            stack.append(_pairs[text[i]])
        elif stack and text[i] == stack[-1]:
            stack.pop()
            if not stack:
                return i
    return len(text)


@dataclass
class _Declaration:
    start: int
    end: int  # of its semicolon
    local: bool  # inside a function, where a reference can be bound
    directive: bool  # inside a macro's definition


def _declarations(masked: str, code: str, name: str) -> Iterator[_Declaration]:
    """Yield each shared declaration of `masked`; `code` is the same text with the directives blanked too."""
    depths: list[bool] = []  # of each open brace, whether it is a function's (or anything but a namespace's)
    boundary = 0
    for match in re.finditer(r"[;{}]|__shared__", masked):
        token, at = match.group(), match.start()
        directive = code[at] != masked[at]
        if token == "__shared__":
            end = at
            while end < len(masked) and masked[end] != ";":
                end = _matching(masked, end) + 1 if masked[end] in _pairs else end + 1
            if end >= len(masked):
                raise KernelError(f"{name}:{masked.count(chr(10), 0, at) + 1}: this __shared__ declaration has no end")
            if directive:
                qualifiers = re.search(r"(?:\b(?:extern|static|volatile)\s+)*$", masked[:at])
                yield _Declaration(qualifiers.start() if qualifiers else at, end, True, True)
            else:
                head = code[boundary:at]
                label = max((m.end() for m in re.finditer(r"(?<!:):(?!:)", head)), default=0)
                start = boundary + label + len(head[label:]) - len(head[label:].lstrip())
                yield _Declaration(start, end, any(depths), False)
        elif not directive:
            if token == "{":
                depths.append(not re.search(r"\bnamespace\b[^()]*$|\bextern\s*$", code[boundary:at]))
            elif token == "}" and depths:
                depths.pop()
            boundary = at + 1


def _split(text: str) -> list[str]:
    """Split at the commas that no bracket (and no template argument list) holds."""
    parts, depth, start = [], 0, 0
    square = 0
    for i, c in enumerate(text):
        if c in "([{":
            square += 1
        elif c in ")]}":
            square -= 1
        elif c in "<>" and not square:
            depth += 1 if c == "<" else -1
        elif c == "," and not square and not depth:
            parts.append(text[start:i])
            start = i + 1
    return [*parts, text[start:]]


def _take_alignment(text: str) -> tuple[str, str]:
    """Return the alignment specifiers of a declaration, and the declaration without them."""
    found = []
    while match := _aligned.search(text):
        end = _matching(text, match.end()) + 1
        found.append(text[match.start() : end])
        text = text[: match.start()] + " " + text[end:]
    return " ".join(found), text


def _replacement(declared: str, local: bool, where: str) -> tuple[str, list[tuple[str, str]]]:
    """Return what stands for a declaration, and for one at namespace scope the macros that stand for its names."""
    dynamic = re.search(r"\bextern\b", declared) is not None
    alignment, declared = _take_alignment(_storage.sub(" ", declared))
    base, out, macros = "", [], []
    for i, declarator in enumerate(_split(" ".join(declared.split()))):
        match = re.fullmatch(r"(.*?)([A-Za-z_]\w*)\s*((?:\[.*\])?)\s*", declarator, re.S)
        if match is None or (i == 0 and not match[1].strip()):
            raise KernelError(f"{where}: sim cannot read this __shared__ declaration: {declared.strip()}")
        prefix, variable, dims = match.groups()
        if i == 0:
            base = prefix.rstrip(" *")
        else:
            prefix = f"{base} {prefix}"
        out.append(f"typedef {prefix} gradlib_type_{variable}{dims};")
        align = "1"
        if alignment:
            out.append(f"struct {alignment} gradlib_align_{variable} {{}};")
            align = f"alignof(gradlib_align_{variable})"
        if dynamic:
            call = f"::gradlib_sim::dynamic_shared<gradlib_type_{variable}>()"
        else:
            out.append(f"GRADLIB_SIM_SHARED_VARIABLE({variable}, {align});")
            call = f"::gradlib_sim::shared<gradlib_type_{variable}>(gradlib_variable_{variable})"
        if local:
            out.append(f"gradlib_type_{variable}& {variable} = {call};")
        else:
            macros.append((variable, call))
    return " ".join(out)[:-1], macros


@lru_cache(maxsize=256)
def rewrite(text: str, name: str) -> str:
    """Return `text` with its shared variables rewritten; `name` is what errors call it."""
    if "__shared__" not in text:
        return text
    masked = _blank_hidden(text)
    code = _directive.sub(_blank, masked)
    out, done = [], 0
    for declaration in _declarations(masked, code, name):
        start, end = declaration.start, declaration.end
        line = masked.count("\n", 0, start) + 1
        declared = masked[start:end].replace("\\\n", "\n") if declaration.directive else code[start:end]
        new, macros = _replacement(declared, declaration.local, f"{name}:{line}")
        if declaration.directive:  # the name may be the macro's parameter
            new = _generated.sub(r"GRADLIB_SIM_JOIN(\1, \2)", new)
        lines = masked.count("\n", start, end)
        out += [text[done:start], new]
        if macros:  # a reference cannot be bound here: the name itself becomes an expression
            out += [";", *(f"\n#define {variable} ({call})" for variable, call in macros), f"\n#line {line + lines}\n"]
        else:
            out.append(("\\\n" if declaration.directive else "\n") * lines)
        done = end
    return "".join([*out, text[done:]])


def included(text: str, folders: tuple[Path, ...]) -> dict[str, str]:
    """Return every file that `text` includes in quotes, directly or not: its path below its folder, and its text."""
    found: dict[str, str] = {}
    pending = [(text, "")]
    while pending:
        source, beside = pending.pop()
        for target in _include.findall(source):
            for relative in dict.fromkeys((f"{beside}{target}", target)):
                path = next((folder / relative for folder in folders if (folder / relative).is_file()), None)
                if path is not None:
                    if relative not in found:
                        found[relative] = path.read_text(encoding="utf-8")
                        pending.append((found[relative], relative.rpartition("/")[0] + "/" if "/" in relative else ""))
                    break
    return found


def clusters(text: str, entries: tuple[str, ...]) -> dict[str, str]:
    """Return the arguments of `__cluster_dims__` of each entry that has it."""
    found = {}
    if "__cluster_dims__" in text:
        masked = _blank_hidden(text)
        for entry in entries:
            for match in re.finditer(rf"\b{entry}\s*\(", masked):
                head = masked[max(masked.rfind(mark, 0, match.start()) for mark in ";}") + 1 : match.start()]
                dims = re.search(r"\b__cluster_dims__\s*(?=\()", head)
                if dims and "__global__" in head:
                    found[entry] = head[dims.end() + 1 : _matching(head, dims.end())]
    return found
