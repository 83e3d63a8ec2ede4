"""The error of float32 products against float64, by how they are computed: ``python -m gradlib.bench.precision``.

What the kernels do is transcribed into NumPy, so that sums of 65,536 terms take seconds; a test holds the
transcriptions to the kernels on `sim`.  Plain products are added up in one chain (gemm.cuh), or in parts of 256 that
are then added in order (a split sum).  The rest are 6, 3 or 1 products of bfloat16 planes on tensor cores (planes.cu,
mma/block.cuh), of two kinds: `sim`'s tensor core rounds each step of 16 terms once, to nearest; "cut" is a model of a
real one, which shifts all terms to the largest, cuts them off 25 bits below it, and cuts the result to 24 bits (after
Fasi, Higham, Mikaitis, Pranesh, "Numerical behavior of NVIDIA tensor cores", 2021; not checked on a GPU).
Errors are those of an element over the sum of the magnitudes of its terms.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

Array = Any

__all__ = ["METHODS", "RANGES", "chain", "main", "of_planes", "parts_of_256", "planes", "study"]

DEPTHS = (16, 64, 256, 1024, 4096, 16384, 65536)
ROWS = 16  # of either operand: 256 elements of each product
_LARGEST = np.finfo(np.float32).max
_LEAST = np.float32(2.0**-133)  # of bfloat16
# Which plane of A meets which of B, in order (mma/shape.cuh); plane 3 is plane 0 without infinities.
_PASSES = {6: ((2, 3), (3, 2), (1, 1), (1, 3), (3, 1), (0, 0)), 3: ((1, 3), (3, 1), (0, 0)), 1: ((0, 0),)}


def chain(a: Array, b: Array) -> Array:
    """Return a b by one fused multiplication and addition after the other, in the order of k."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    total = np.zeros((len(a), b.shape[1]), np.float32)
    for k in range(a.shape[1]):
        total = (total + a[:, k, None] * b[k]).astype(np.float32)  # products of floats are exact in double
    return total


def parts_of_256(a: Array, b: Array) -> Array:
    """Return a b by chains of 256 terms, whose results are added in order."""
    total = np.zeros((len(a), b.shape[1]), np.float32)
    for k in range(0, a.shape[1], 256):
        total = total + chain(a[:, k : k + 256], b[k : k + 256])
    return total


def _rounded(x: Array) -> Array:
    """Round to bfloat16, but never from finite to infinite."""
    near = x.astype(ml_dtypes.bfloat16).astype(np.float32)
    cut = (x.view(np.uint32) & 0xFFFF0000).view(np.float32)
    return np.where(np.isfinite(near) | ~np.isfinite(x), near, cut).astype(np.float32)


def planes(x: Array) -> Array:
    """Return the four planes of planes.cu, as float32."""
    p0 = _rounded(x)
    p0 = np.asarray(np.where((p0 == 0) & (x != 0), np.copysign(_LEAST, x), p0), np.float32)
    sound = np.isfinite(x)
    rest = np.where(sound, x - np.where(sound, p0, 0), 0).astype(np.float32)
    p1 = _rounded(rest)
    p2 = _rounded((rest - p1).astype(np.float32))
    return np.stack([p0, p1, p2, np.where(sound, p0, 0).astype(np.float32)])


def _cut(x: Array, quantum: Array) -> Array:
    return np.trunc(x / quantum) * quantum


def _step(total: Array, a: Array, b: Array, *, cut: bool) -> Array:
    """Return total + a b of 16 terms, as one instruction of a tensor core gives it."""
    if not cut:
        return (total + a @ b).astype(np.float32)
    terms = np.concatenate([total[None].astype(np.float64), a.T[:, :, None] * b[:, None, :]])
    largest = abs(terms).max(0)
    exponent = np.where(
        np.isfinite(largest) & (largest > 0), np.frexp(np.where(np.isfinite(largest), largest, 1))[1], 0
    )
    finite = np.isfinite(largest)
    quantum = np.ldexp(1.0, exponent - 25)
    whole = np.where(finite, _cut(np.where(finite, terms, 0), quantum).sum(0), terms.sum(0))
    kept = np.isfinite(whole) & (abs(whole) <= _LARGEST)
    last = np.ldexp(1.0, np.maximum(np.frexp(np.where(kept, whole, 1))[1] - 24, -149))
    return np.where(kept, _cut(np.where(kept, whole, 0), last), whole).astype(np.float32)


def of_planes(a: Array, b: Array, passes: int, *, cut: bool = False) -> Array:
    """Return a b by `passes` products of bfloat16 planes, in steps of 32 of k as product_mma.cu takes them."""
    left, right = (planes(x).astype(np.float64) for x in (a, b))
    total = np.zeros((len(a), b.shape[1]), np.float32)
    for k in range(0, a.shape[1], 32):
        part = total if passes == 1 else np.zeros_like(total)
        for i, j in _PASSES[passes]:
            for at in range(k, min(k + 32, a.shape[1]), 16):
                part = _step(part, left[i, :, at : at + 16], right[j, at : at + 16], cut=cut)
        total = part if passes == 1 else total + part
    return total


METHODS: dict[str, Callable[[Array, Array], Array]] = {
    "FFMA, one chain": chain,
    "FFMA, parts of 256": parts_of_256,
    "highest": lambda a, b: of_planes(a, b, 6),
    "highest, cut": lambda a, b: of_planes(a, b, 6, cut=True),
    "high": lambda a, b: of_planes(a, b, 3),
    "high, cut": lambda a, b: of_planes(a, b, 3, cut=True),
    "medium": lambda a, b: of_planes(a, b, 1),
}


# Exponents between which the magnitudes of the left and of the right operand lie; None: uniform in [0, 1).
RANGES: dict[str, tuple[tuple[int, int], tuple[int, int]] | None] = {
    "normal": ((0, 0), (0, 0)),
    "uniform, positive": None,
    "2^-20 to 2^20": ((-20, 20), (-20, 20)),
    "left near the largest": ((124, 125), (-30, -29)),
    "left near the least normal number": ((-124, -123), (60, 61)),
    "left subnormal": ((-140, -130), (100, 110)),
}


def _operands(name: str, depth: int, seed: int) -> tuple[Array, Array]:
    rng, limits = np.random.default_rng((seed, depth)), RANGES[name]
    shapes = (ROWS, depth), (depth, ROWS)
    if limits is None:
        a, b = (rng.uniform(0, 1, shape) for shape in shapes)
    else:
        a, b = (
            rng.standard_normal(shape) * 2.0 ** rng.uniform(*between, shape)
            for shape, between in zip(shapes, limits, strict=True)
        )
    return a.astype(np.float32), b.astype(np.float32)


def study(depths: tuple[int, ...] = DEPTHS, seed: int = 0) -> list[dict[str, Any]]:
    """Return, for every range of values, depth and method, the error's root mean square and maximum."""
    records = []
    for name in RANGES:
        for depth in depths:
            a, b = _operands(name, depth, seed)
            wide = [x.astype(np.longdouble) for x in (a, b)]
            exact, magnitude = wide[0] @ wide[1], abs(wide[0]) @ abs(wide[1])
            for method, product in METHODS.items():
                error = (abs(product(a, b) - exact) / magnitude).astype(np.float64)
                rms, most = float(np.sqrt((error**2).mean())), float(error.max())
                records.append({"values": name, "k": depth, "method": method, "rms": rms, "max": most})
    return records


def table(records: list[dict[str, Any]]) -> str:
    """Return the records as Markdown: a table of rms / max for every range of values, in units of 2^-24."""
    lines = []
    for name in dict.fromkeys(record["values"] for record in records):
        lines += [f"**{name}**", "", f"| k | {' | '.join(METHODS)} |", "| ---: |" + " ---: |" * len(METHODS)]
        for depth in dict.fromkeys(record["k"] for record in records):
            row = [r for r in records if (r["values"], r["k"]) == (name, depth)]
            cells = (f"{r['rms'] * 2**24:.3g} / {r['max'] * 2**24:.3g}" for r in row)
            lines.append(f"| {depth} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Run the study; print its tables and write its JSON."""
    p = argparse.ArgumentParser(prog="python -m gradlib.bench.precision", description=(__doc__ or "").splitlines()[0])
    p.add_argument("--out", type=Path, metavar="FILE", help="write the records there as JSON")
    p.add_argument("--depths", default=",".join(map(str, DEPTHS)), metavar="K,...", help="terms of the sums")
    arguments = p.parse_args(argv)
    with np.errstate(over="ignore", invalid="ignore"):
        records = study(tuple(int(k) for k in arguments.depths.split(",")))
    print(table(records))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(records, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
