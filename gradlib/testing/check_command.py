"""``gradlib check FILE.cu``: what a kernel needs on each architecture, and whether its samples run without a fault."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import backend as backends
from ..backend import nvrtc
from ..errors import GradlibError, KernelError
from ..kernel import cache, load
from ..kernel.build import compile_one, job
from ..kernel.signature import entries
from ..kernel.source import Source
from .samples import KernelSample, samples
from .samples import __doc__ as sample_lines

__all__ = ["main", "occupancy"]

ARCHITECTURES = ("sm_80", "sm_90a", "sm_100a")
_THREADS = 256  # of a block, where no sample of the entry says


@dataclass(frozen=True)
class _Multiprocessor:
    threads: int
    blocks: int
    shared: int  # bytes, of which each block takes 1024 for the system
    registers: int = 65536


# CUDA C++ Programming Guide, "Technical Specifications per Compute Capability".
_MULTIPROCESSORS = {
    "sm_80": _Multiprocessor(2048, 32, 164 * 1024),
    "sm_86": _Multiprocessor(1536, 16, 100 * 1024),
    "sm_89": _Multiprocessor(1536, 24, 100 * 1024),
    "sm_90a": _Multiprocessor(2048, 32, 228 * 1024),
    "sm_100a": _Multiprocessor(2048, 32, 228 * 1024),
    "sm_120a": _Multiprocessor(1536, 24, 100 * 1024),
}


def occupancy(arch: str, registers: int, shared: int, threads: int) -> float | None:
    """Return resident threads over the most that fit: min over registers, shared memory and slots.

    None for an architecture whose multiprocessor is not tabulated.

    >>> occupancy("sm_90a", registers=128, shared=0, threads=256)
    0.25
    """
    sm = _MULTIPROCESSORS.get(arch)
    if sm is None:
        return None
    warps = math.ceil(threads / 32)
    # Registers are given to a warp in units of 256.
    by_registers = sm.registers // (max(registers, 1) * 32 + 255 & ~255) // warps
    by_shared = sm.shared // (shared + 1024)
    blocks = min(sm.blocks, sm.threads // (32 * warps), by_registers, by_shared)
    return blocks * warps * 32 / sm.threads


def main(argv: Sequence[str]) -> int:
    """Run the command: 0 if all compiles and every sample ran and is clean, 1 if not, 2 for a wrong call.

    Without NVRTC nothing is compiled for GPUs, which is said, and no failure.
    """
    parser = argparse.ArgumentParser(
        prog="gradlib check",
        description=__doc__,
        epilog=sample_lines,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.cu")
    parser.add_argument("--arch", nargs="*", default=list(ARCHITECTURES), help="default: %(default)s")
    parser.add_argument("--fast", action="store_true", help="run the samples in the fast build, which checks little")
    chosen = parser.parse_args(argv)
    good = True
    for path in chosen.files:
        try:
            source = load(path.resolve() if path.is_file() else path)
            declared = samples(source)
        except GradlibError as error:
            print(f"gradlib check: {error}", file=sys.stderr)
            return 2
        print(path)
        if not entries(source.text):
            print('  no entry: need an extern "C" __global__ function')
            good = False
            continue
        good &= _compile(source, declared, chosen.arch)
        good &= _run(source, declared, not chosen.fast)
    return 0 if good else 1


def _compile(source: Source, declared: list[KernelSample], architectures: Sequence[str]) -> bool:
    """Print a row for each entry and architecture; False if something does not compile."""
    usable, reason = nvrtc.available()
    if not usable:
        print(f"  not compiled for GPUs: {reason}")
        return True
    row = "  {:<24} {:<8} {:>9} {:>12} {:>12} {:>7} {:>9}"
    print(row.format("entry", "arch", "registers", "spill bytes", "shared bytes", "threads", "occupancy"))
    good = True
    for arch in architectures:
        compiler = nvrtc.Compiler(arch)
        try:
            used = nvrtc.resources(cache.log_of(compile_one(job(source, {}, compiler), compiler)))
        except KernelError as error:
            print(f"  {arch}: {error}")
            good = False
            continue
        for entry in used:
            mine = [sample for sample in declared if sample.entry == entry.entry]
            threads = max((math.prod(sample.block) for sample in mine), default=_THREADS)
            shared = entry.shared + max((sample.shared for sample in mine), default=0)
            share = occupancy(arch, entry.registers, shared, threads)
            spilled = entry.spill_stores + entry.spill_loads
            print(row.format(entry.entry, arch, entry.registers, spilled, shared, threads,
                             "?" if share is None else f"{100 * share:.0f} %"))  # fmt: skip
    return good


def _run(source: Source, declared: list[KernelSample], check: bool) -> bool:
    """Run the samples on sim and print what becomes of each; False if one fails, or cannot be run."""
    usable, reason = backends.available("sim")
    if not usable:
        print(f"  not run: {reason}")
        return not declared
    if not declared:
        return _build(source)
    good = True
    for sample in declared:
        try:
            sample.run(source, check=check)
        except GradlibError as error:
            good = False
            print(f"  FAULT  {sample.text}\n" + "\n".join(f"         {line}" for line in str(error).splitlines()))
        else:
            print(f"  clean  {sample.text}")
    return good


def _build(source: Source) -> bool:
    """Compile for sim what cannot be run, and say why it is not; False if that fails."""
    sim = backends.get("sim")
    try:
        compile_one(job(source, {}, sim), sim)
    except GradlibError as error:
        print(f"  sim: {error}")
        return False
    print("  compiled for sim, not run: no samples (// sample: entry grid block args; --help says more)")
    return True
