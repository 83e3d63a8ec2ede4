"""Which machine, which commit, which versions: what a number must say to mean anything."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from .. import backend as backends

PACKAGES = (
    "numpy",
    "ml_dtypes",
    "torch",
    "jax",
    "jaxlib",
    "autograd",
    "mygrad",
    "cupy-cuda13x",
    "cupy-cuda12x",
    "nvidia-cuda-nvrtc",
)


def slug(text: str) -> str:
    """Return a name fit for a folder: ``"NVIDIA H200"`` gives ``"nvidia-h200"``.

    >>> slug("AMD EPYC 9B14 @ 2.6 GHz")
    'amd-epyc-9b14-2-6-ghz'
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "unknown"


def cpu_name() -> str:
    """Return the processor's model name."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def cores() -> int:
    """Return how many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def gpu_name() -> str | None:
    """Return the name of the first GPU, None where there is none."""
    if not backends.available("cuda")[0]:
        return None
    name = backends.get("cuda").xp.cuda.runtime.getDeviceProperties(0)["name"]
    return name.decode() if isinstance(name, bytes) else str(name)


def machine(devices: list[str]) -> dict[str, Any]:
    """Describe the machine; its ``slug`` names the folder of its results."""
    gpu = gpu_name() if "cuda" in devices else None
    found: dict[str, Any] = {
        "slug": slug(gpu) if gpu else f"{slug(cpu_name())}-{cores()}-cores",
        "cpu": cpu_name(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }
    if gpu:
        found["gpu"] = gpu
        query = "driver_version,power.limit,clocks.max.sm"
        found["driver"] = _run("nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader")
    return found


def versions() -> dict[str, str]:
    """Return the version of every package that can take part, of those installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit() -> tuple[str, bool]:
    """Return the commit of the code that runs, and whether files differ from it.

    ``("unknown", True)`` where that cannot be told: an installed package, or a copy without its history, for which
    ``GRADLIB_COMMIT`` may say it.
    """
    told = os.environ.get("GRADLIB_COMMIT", "")
    if told:
        return slug(told.removesuffix("-dirty")), told.endswith("-dirty")
    root = Path(__file__).resolve().parents[2]
    if _run("git", "-C", str(root), "ls-files", "--", "gradlib/__init__.py") != "gradlib/__init__.py":
        return "unknown", True
    head = _run("git", "-C", str(root), "rev-parse", "--short=10", "HEAD")
    if not head:
        return "unknown", True
    return head, _run("git", "-C", str(root), "status", "--porcelain", "--", "gradlib", "kernels") != ""


class Others:
    """How busy the rest of the machine is: numbers taken beside other work are worth less."""

    def __init__(self) -> None:
        self._start = _processor_seconds()

    def cores(self) -> float:
        """Return how many cores other processes (and, on a virtual machine, other machines) used since the start."""
        wall, busy = (now - then for now, then in zip(_processor_seconds(), self._start, strict=True))
        return round(max(0.0, busy / wall), 2) if wall > 0 else 0.0


def _processor_seconds() -> tuple[float, float]:
    """Return the wall clock and the processor seconds spent by others, since the machine started; zeros elsewhere."""
    try:
        user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
        total = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError):  # not Linux
        return 0.0, 0.0
    own = os.times()
    return time.monotonic(), total - sum(own[:4])


def _run(*command: str) -> str:
    """Return what a command prints, "" where it does not exist or fails."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
