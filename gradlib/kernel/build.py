"""Compiling: one source for one set of macros into the cache, or many at once in processes of their own."""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..backend import checked, get, nvrtc
from ..backend.protocol import Builder, Unit
from ..errors import KernelError
from . import cache
from .source import Source

if TYPE_CHECKING:
    from .kernel import Kernel

__all__ = ["Job", "compile_many", "compile_one", "job"]

_FORMAT = "1"  # of the cache key; raise it when the meaning of a built file changes
_PACKAGE_PARENT = str(Path(__file__).resolve().parents[2])


@dataclass(frozen=True)
class Job:
    """A unit to compile and where the cache keeps the result: all that another process needs."""

    unit: Unit
    builder: str
    key: str
    suffix: str


def job(source: Source, macros: Mapping[str, Any], builder: Builder) -> Job:
    """Digest what decides a compiled file: text, headers, macros, compiler, target and options."""
    unit = source.unit(macros)
    parts = (_FORMAT, unit.name, source.digest, repr(unit.macros), builder.toolchain(), builder.suffix)
    stem = re.sub(r"\W+", "_", Path(unit.name).stem)
    key = f"{stem}-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:32]}"
    return Job(unit, getattr(builder, "builder", builder.name), key, builder.suffix)


def compile_one(job: Job, builder: Builder) -> Path:
    """Return the compiled file, from the cache or newly built."""
    return cache.fetch(job.key, job.suffix, lambda target: builder.build(job.unit, target))[0]


def compile_many(
    items: Iterable[tuple[Kernel | Source, Mapping[str, Any]]],
    builder: Builder,
    processes: int | None = None,
    check: bool = True,
) -> list[Path | KernelError]:
    """Compile variants in parallel: processes, because NVRTC compiles one program at a time in each.

    Parameters
    ----------
    items
        Kernels or sources, each with its macros.
    builder
        A backend that runs kernels, or an `nvrtc.Compiler`.
    processes
        How many at once; the number of cores if None.
    check
        Raise at the end if any failed; else the list holds the errors.

    Raises
    ------
    KernelError
        Naming every variant that does not compile.
    """
    jobs = [job(item if isinstance(item, Source) else item.source, macros, builder) for item, macros in items]
    results: dict[str, Path | KernelError] = {}
    todo = list({job.key: job for job in jobs}.values())
    for one in todo:
        path = cache.find(one.key, one.suffix)
        if path is not None:
            results[one.key] = path
    todo = [one for one in todo if one.key not in results]
    count = min(len(todo), processes or _cores())
    if count <= 1:
        for one in todo:
            results[one.key] = _attempt(one, builder)
    else:
        _in_processes(todo, count, results)
    found = [results[job.key] for job in jobs]
    failures = [error for error in dict.fromkeys(found) if isinstance(error, KernelError)]
    if check and failures:
        raise KernelError("\n\n".join(map(str, failures)))
    return found


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _attempt(job: Job, builder: Builder) -> Path | KernelError:
    try:
        return compile_one(job, builder)
    except KernelError as error:
        return error


def _in_processes(jobs: list[Job], count: int, results: dict[str, Path | KernelError]) -> None:
    """Let each of `count` threads drive one worker process; every thread takes the next job when it is free."""
    pending, lock = iter(jobs), threading.Lock()
    code = f"import sys; sys.path.insert(0, {_PACKAGE_PARENT!r}); from gradlib.kernel.build import serve; serve()"

    def drive() -> None:
        command = [sys.executable, "-c", code]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
            assert worker.stdin is not None
            assert worker.stdout is not None
            while True:
                with lock:
                    job = next(pending, None)
                if job is None:
                    break
                try:
                    pickle.dump(job, worker.stdin)
                    worker.stdin.flush()
                    results[job.key] = pickle.load(worker.stdout)
                except (OSError, EOFError, pickle.UnpicklingError) as error:
                    results[job.key] = KernelError(f"{job.unit.name}: the compiling process died: {error}")
                    break
            with suppress(OSError):
                worker.stdin.close()

    with ThreadPoolExecutor(count) as threads:
        for future in [threads.submit(drive) for _ in range(count)]:
            future.result()
    for job in jobs:
        results.setdefault(job.key, KernelError(f"{job.unit.name}: not compiled, every compiling process died"))


def serve() -> None:
    """Be a worker process: read jobs from standard input, answer on standard output."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a compiler prints must not get among the answers
    builders: dict[str, Builder] = {}
    while True:
        try:
            job = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        result: Path | KernelError
        try:
            if job.builder not in builders:
                builders[job.builder] = _builder(job.builder)
            result = _attempt(job, builders[job.builder])
        except Exception as error:  # reported to the parent, which knows what to do with it
            result = KernelError(f"{job.unit.name}: {type(error).__name__}: {error}")
        pickle.dump(result, answers)
        answers.flush()


def _builder(name: str) -> Builder:
    kind, _, detail = name.partition(":")
    if kind == "sim":
        checked(detail == "checked")
    builder: Builder = nvrtc.Compiler(detail) if kind == "nvrtc" else get(kind)
    return builder
