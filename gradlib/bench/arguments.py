"""The arguments of ``gradlib bench``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from .case import SIZES
from .timing import CLOCKS


def parser(suites: Iterable[str]) -> argparse.ArgumentParser:
    """Return the command's arguments."""
    p = argparse.ArgumentParser(
        prog="gradlib bench",
        description="Time gradlib beside NumPy, PyTorch and JAX on this machine, against the machine's own limits.",
        epilog=f"suites: {', '.join(suites)}",
    )
    add = p.add_argument
    add("suite", nargs="*", metavar="SUITE", help="which suites to run (default: all)")
    add("--device", type=words, metavar="D,...", help="cpu, cuda, sim (default: cuda if present, and cpu)")
    add("--dtype", type=words, metavar="T,...", help="default: float32, on cuda also bfloat16")
    add("--size", choices=SIZES, help="of the shapes (default: small on cpu, full on cuda, tiny on sim)")
    add("--out", type=Path, metavar="DIR", help="results go to DIR/<machine>/ (default: bench/results)")
    add("--seconds", type=float, default=0.15, metavar="N", help="budget of each measurement (default: 0.15)")
    add("--clock", choices=CLOCKS, default="wall", help="on cpu; processor: seconds of one thread, for a busy machine")
    add("--no-peers", action="store_true", help="gradlib alone")
    add("--case", default="", metavar="TEXT", help="only cases whose name contains TEXT")
    add("--pass", dest="which", type=words, default=[], metavar="P,...", help="only forward, backward or step")
    instead = p.add_argument_group("instead of timing")
    add = instead.add_argument
    add("--limits", action="store_true", help="measure copy bandwidth and matrix peak alone, and keep them")
    add("--once", action="store_true", help="run gradlib's cases once after a warm-up: for profilers")
    add("--repeat", type=int, default=0, metavar="N", help="run gradlib's cases N times: are the bits always the same?")
    add("--table", nargs="+", type=Path, metavar="FILE", help="print the tables of result files")
    add("--readme", type=Path, metavar="FILE", help="make tables and plots of a Markdown file anew")
    add("--worst", type=Path, metavar="FILE", help="list gradlib's cases furthest from the floor, tab-separated")
    add("--count", type=int, default=3, metavar="N", help="how many of the worst (default: 3)")
    return p


def words(text: str) -> list[str]:
    """Return the words between commas."""
    return [word for word in text.split(",") if word]
