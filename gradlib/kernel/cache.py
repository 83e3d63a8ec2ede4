"""The disk cache of compiled kernels: one folder an artefact, made complete elsewhere and then renamed into place.

A folder holds the compiled file, the compiler's log, and a record of size and SHA-256; what does not
match its record is built again.  Two processes that build the same kernel do the work twice and both
end with a whole folder, so no lock is needed (locks fail on network file systems).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["Info", "clear", "fetch", "find", "folder", "info", "log_of"]

_RECORD, _LOG = "record.json", "compiler.log"


@dataclass(frozen=True)
class Info:
    """What `gradlib info` says of the cache."""

    folder: Path
    kernels: int
    bytes: int


def folder() -> Path:
    """Return $GRADLIB_CACHE, or the user's cache folder, or a temporary one if that cannot be written."""
    return _folder(os.environ.get("GRADLIB_CACHE"), os.environ.get("XDG_CACHE_HOME"))


@cache
def _folder(chosen: str | None, xdg: str | None) -> Path:
    wanted = Path(chosen).expanduser() if chosen else _user_cache(xdg)
    if wanted is not None and _writable(wanted):
        return wanted
    if chosen:
        warnings.warn(
            f"GRADLIB_CACHE={chosen} cannot be written; using a temporary folder", RuntimeWarning, stacklevel=3
        )
    user = os.getuid() if hasattr(os, "getuid") else ""
    shared = Path(tempfile.gettempdir()) / f"gradlib-cache-{user}"
    if _writable(shared) and _private(shared):
        return shared
    return Path(tempfile.mkdtemp(prefix="gradlib-cache-"))


def _user_cache(xdg: str | None) -> Path | None:
    try:
        home = Path.home()
    except RuntimeError:  # a user without a home
        return None
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", str(home / "AppData" / "Local"))) / "gradlib" / "Cache"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "gradlib"
    return Path(xdg or home / ".cache") / "gradlib"


def _writable(path: Path) -> bool:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return True
    except OSError:
        return False


def _private(path: Path) -> bool:
    """Whether nobody else can put code of theirs where we would load it from."""
    if not hasattr(os, "getuid"):
        return True
    state = path.lstat()
    return state.st_uid == os.getuid() and not state.st_mode & 0o022


def find(key: str, name: str) -> Path | None:
    """Return the file `name` kept under `key`, None if it is not there or not whole."""
    place = folder() / key
    return place / name if _whole(place, name) else None


def fetch(key: str, name: str, build: Callable[[Path], str]) -> tuple[Path, bool]:
    """Return the file `name` kept under `key`, and whether it had to be built.

    `build(target)` writes the file and returns the compiler's log; what it raises is passed on and
    leaves nothing behind.
    """
    base = folder()
    place = base / key
    if _whole(place, name):
        return place / name, False
    base.mkdir(parents=True, exist_ok=True)  # someone may have removed it since
    made = Path(tempfile.mkdtemp(prefix=".making-", dir=base))
    try:
        log = build(made / name)
        content = (made / name).read_bytes()
        record = {"name": name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        (made / _LOG).write_text(log, "utf-8")
        (made / _RECORD).write_text(json.dumps(record), "utf-8")
        for _ in range(8):
            try:
                made.rename(place)
                break
            except OSError:  # another process was faster, or what stands there is broken
                if _whole(place, name):
                    break
                with contextlib.suppress(OSError):  # moved before it is removed: nobody sees half of it
                    shutil.rmtree(place.rename(Path(tempfile.mkdtemp(prefix=".broken-", dir=base)) / "kernel").parent)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return place / name, True


def _whole(place: Path, name: str) -> bool:
    try:
        record = json.loads((place / _RECORD).read_bytes())
        content = (place / name).read_bytes()
        return bool(record["size"] == len(content) and record["sha256"] == hashlib.sha256(content).hexdigest())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def log_of(path: Path) -> str:
    """Return what the compiler said when it made a file that `fetch` returned."""
    try:
        return (path.parent / _LOG).read_text("utf-8")
    except OSError:
        return ""


def info() -> Info:
    """Count what the cache holds."""
    base = folder()
    kernels = [place for place in base.iterdir() if (place / _RECORD).is_file()]
    size = sum(path.stat().st_size for place in kernels for path in place.iterdir())
    return Info(base, len(kernels), size)


def clear() -> int:
    """Remove every compiled kernel and what interrupted builds left; return how many kernels there were."""
    count = info().kernels
    for place in folder().iterdir():
        if (place / _RECORD).is_file() or place.name.startswith((".making-", ".broken-")):
            shutil.rmtree(place, ignore_errors=True)
    return count
