"""What `gradlib tune` found out: the fastest configurations of kernels, on disk, one file for each kind of GPU.

An entry belongs to a kernel file and a text that says for which problems it counts.  It carries the digest of the
kernel's sources: what was measured with other sources is not used.
"""

from __future__ import annotations

import json
import os
import re
import warnings
from functools import cache as cached
from pathlib import Path
from typing import Any

from ..backend.protocol import Limits
from ..errors import KernelError
from . import cache
from .source import load

__all__ = ["Store", "store"]

_FORMAT = 1

Entry = dict[str, Any]


class Store:
    """The entries of one kind of GPU, read once and kept in memory.

    Attributes
    ----------
    entries : by kernel file and problem: ``digest``, ``config`` and whatever else whoever measured wants kept.
    problem : why there are none, where the file cannot be used; else "".
    """

    def __init__(self, path: Path, gpu: str) -> None:
        self.path, self.gpu = path, gpu
        self.entries: dict[str, Entry] = {}
        self.problem = ""
        self._stale: set[str] = set()  # kernel files about which the user was told
        try:
            self.entries = _entries(path.read_text("utf-8"), gpu)
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            self.problem = f"{path}: not a file of `gradlib tune` for {gpu}, and not used: {error}"
            warnings.warn(f"{self.problem}\n  remove it, or run gradlib tune again", RuntimeWarning, stacklevel=2)

    def find(self, file: str, problem: str) -> Entry | None:
        """Return the entry of a kernel file for a problem; None where there is none, or it is of other sources."""
        entry = self.entries.get(_key(file, problem))
        if entry is None or entry["digest"] == load(file).digest:
            return entry
        if file not in self._stale:
            self._stale.add(file)
            warnings.warn(
                f"{self.path}: what was measured of {file} is of other sources than today's, and not used\n"
                "  run gradlib tune again",
                RuntimeWarning,
                stacklevel=2,
            )
        return None

    def put(self, file: str, problem: str, entry: Entry) -> None:
        """Keep an entry, in memory and on disk; what other processes added meanwhile is kept too."""
        try:
            there = _entries(self.path.read_text("utf-8"), self.gpu)
        except (OSError, ValueError):
            there = {}
        self.entries = {**there, _key(file, problem): {"digest": load(file).digest, **entry}}
        self._write()

    def stale(self, key: str) -> bool:
        """Whether an entry is of other sources than today's."""
        try:
            return bool(self.entries[key]["digest"] != load(key.partition(" ")[0]).digest)
        except KernelError:  # no such file any more
            return True

    def _write(self) -> None:
        """Write the file whole, under another name first: whoever is killed meanwhile leaves the old one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        scratch = self.path.with_name(f".making-{os.getpid()}-{self.path.name}")
        document = {"format": _FORMAT, "gpu": self.gpu, "entries": dict(sorted(self.entries.items()))}
        try:
            scratch.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
            scratch.replace(self.path)
        finally:
            scratch.unlink(missing_ok=True)


def _key(file: str, problem: str) -> str:
    return f"{file} {problem}"


def _entries(text: str, gpu: str) -> dict[str, Entry]:
    """Read the entries of a file; ValueError that says what is wrong with it."""
    document = json.loads(text)
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise ValueError(f"not of format {_FORMAT}")
    if document.get("gpu") != gpu:
        raise ValueError(f"it is of {document.get('gpu')!r}")
    entries = document.get("entries")
    if not isinstance(entries, dict) or not all(
        isinstance(e, dict) and isinstance(e.get("digest"), str) and isinstance(e.get("config"), dict)
        for e in entries.values()
    ):
        raise ValueError("an entry has no digest or no config")
    return entries


def store(limits: Limits) -> Store:
    """Return the entries that count for a device: those of its name and of as many multiprocessors."""
    gpu = f"{limits.name}, {limits.multiprocessors} multiprocessors"
    slug = re.sub(r"[^a-z0-9]+", "-", f"{limits.name}-{limits.multiprocessors}".lower()).strip("-")
    return _store(cache.folder() / f"tuned-{slug}.json", gpu)


_store = cached(Store)
