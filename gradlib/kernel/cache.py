"""The disk cache of compiled kernels.

A compiled file is named by its key and its content; a record, written last and renamed into place, says
which file belongs to a key, with its size, its SHA-256 and the compiler's log.  What does not match
its record is built again.  Two processes that build the same kernel do the work twice and both end with
a whole file, so no lock is needed (locks fail on network file systems).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["Info", "clear", "fetch", "find", "folder", "info", "log_of"]

_NAME = re.compile(r"\w+-[0-9a-f]{32}(-[0-9a-f]{8})?\.|sim-|\.making-")


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


def find(key: str, suffix: str) -> Path | None:
    """Return the compiled file kept under `key`, None if it is not there or not whole."""
    try:
        record = json.loads(_record(key).read_bytes())
        path = folder() / f"{key}-{record['sha256'][:8]}{suffix}"
        content = path.read_bytes()
        whole = record["size"] == len(content) and record["sha256"] == hashlib.sha256(content).hexdigest()
        return path if whole else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def fetch(key: str, suffix: str, build: Callable[[Path], str]) -> tuple[Path, bool]:
    """Return the compiled file kept under `key`, and whether it had to be built.

    `build(target)` writes the file and returns the compiler's log; what it raises is passed on and
    leaves nothing behind.
    """
    found = find(key, suffix)
    if found is not None:
        return found, False
    base = folder()
    base.mkdir(mode=0o700, parents=True, exist_ok=True)  # someone may have removed it since
    making = base / f".making-{os.getpid()}-{threading.get_ident()}-{key}{suffix}"
    try:
        log = build(making)
        content = making.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        path = base / f"{key}-{digest[:8]}{suffix}"
        making.replace(path)
        making.write_text(json.dumps({"size": len(content), "sha256": digest, "log": log}), "utf-8")
        making.replace(_record(key))
    finally:
        making.unlink(missing_ok=True)
    return path, True


def _record(key: str) -> Path:
    return folder() / f"{key}.json"


def log_of(path: Path) -> str:
    """Return what the compiler said when it made a file that `fetch` returned."""
    try:
        return str(json.loads(_record(path.stem.rpartition("-")[0]).read_bytes())["log"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def info() -> Info:
    """Count what the cache holds."""
    ours = _ours()
    return Info(folder(), sum(path.suffix == ".json" for path in ours), sum(path.stat().st_size for path in ours))


def clear() -> int:
    """Remove every compiled kernel and what interrupted builds left; return how many kernels there were."""
    count = info().kernels
    for path in _ours():
        path.unlink(missing_ok=True)
    return count


def _ours() -> list[Path]:
    """List the files of the cache, the sim device's runtime and headers among them; leave others' alone."""
    base = folder()
    if not base.is_dir():
        return []
    return [path for path in base.iterdir() if _NAME.match(path.name) and path.is_file()]
