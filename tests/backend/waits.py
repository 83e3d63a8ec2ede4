"""Barriers, waits and fences in the text of kernels, under names that edits elsewhere in a file leave as they are."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from gradlib.backend.sim_rewrite import code_of

_NAMES = (
    r"__syncthreads|__syncwarp|__threadfence|ptx::(?:\w*wait\w*|\w*fence\w*|\w*commit_group|bar_(?:sync|arrive)|cluster_sync|"
    r"barrier_cluster_\w+|mbarrier_arrive\w*)|(?:staging\.)?meet"
)
_WAIT = re.compile(rf"(?<![\w.])(?:{_NAMES})(?:<[^;<>]*>)?\s*\((?:[^();]|\([^()]*\))*\)\s*;")
_HEAD = re.compile(r"\b(?!if\b|for\b|while\b|switch\b|__|alignas\b)(\w+)\s*\([^;]*$", re.S)


@dataclass(frozen=True)
class Wait:
    """One of them: its file, its name, and where it stands in the text.

    The name is ``file function: statement``, with a number where the function has the same statement more than once.
    """

    path: Path
    name: str
    start: int
    end: int


def _function(code: str, at: int) -> str:
    """Return the name of the function (or else of nothing) whose body holds position `at`."""
    names: list[str] = []  # of each open brace
    boundary = 0
    for match in re.finditer(r"[;{}]", code[:at]):
        if match.group() == "{":
            head = _HEAD.search(code[boundary : match.start()])
            names.append(head[1] if head else "")
        elif match.group() == "}" and names:
            names.pop()
        boundary = match.end()
    return next((name for name in names if name), "")


def waits_in(path: Path, text: str) -> list[Wait]:
    """List those of a file, in the order of its text."""
    code = code_of(text)
    file = path.as_posix().removeprefix("include/gradlib/")
    seen: Counter[str] = Counter()
    found = []
    for match in _WAIT.finditer(code):
        name = f"{file} {_function(code, match.start())}: {' '.join(match.group().split())}"
        seen[name] += 1
        numbered = name if seen[name] == 1 else f"{name} ({seen[name]})"
        found.append(Wait(path, numbered, match.start(), match.end()))
    return found


def made_optional(text: str, waits: list[Wait], first: int) -> str:
    """Return the text of a kernel that leaves out, while it runs, the wait whose number `gradlib_omitted()` returns.

    Those of the text are numbered from `first` on.
    """
    for number, wait in reversed(list(enumerate(waits, first))):
        statement = text[wait.start : wait.end]
        text = f"{text[: wait.start]}{{ if (gradlib_omitted() != {number}) {statement} }}{text[wait.end :]}"
    return f'extern "C" int gradlib_omitted();\n{text}'
