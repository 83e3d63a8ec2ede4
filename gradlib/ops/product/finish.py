"""The end of a product whose sum was split."""

from __future__ import annotations

from typing import Any

from ...kernel import Kernel, ctype
from .problem import ARRAYS, LIMITS, Outputs, Problem, paired_of

__all__ = ["finish"]

Array = Any

_finish = Kernel("finish.cu", "finish", f"part {ARRAYS} | {LIMITS} products splits m n")


def finish(part: Array, out: Outputs, problem: Problem, splits: int) -> None:
    """Add up part (products * splits, m, n) and pass it through the steps of a problem."""
    p = problem
    blocks = min(-(-p.products * p.m * -(-p.n // 2) // 256), 4096)
    macros = {
        **p.steps.macros,
        "SUMS": False,
        "MOMENTS": False,
        "T": ctype(out.y.dtype),
        "PAIRED": paired_of(p.n, p.n, out),
    }
    _finish(
        blocks, 256, part, *out.arrays, *out.limits, p.products, splits, p.m, p.n,
        **macros,
    )  # fmt: skip
