"""How float32 products are computed on tensor cores: a setting of the thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..kernel import settings

__all__ = ["get_matmul_precision", "matmul_precision", "passes", "set_matmul_precision"]

# Products of bfloat16 planes that make one of float32 (ops/product/planes.py).
_PASSES = {"highest": 6, "high": 3, "medium": 1}


def set_matmul_precision(precision: str) -> None:
    """Choose how accurate float32 products are in this thread: matmul, dense and convolution, forward and backward.

    Parameters
    ----------
    precision
        ``"highest"`` (the default): as accurate as float32 arithmetic, however it is computed.  ``"high"``: operands
        of 16 bits, where a GPU gains by it (errors near 2^-16; PyTorch's TF32 has 2^-11).  ``"medium"``: operands of 8
        bits (bfloat16).  Sums are float32 in all three.  The `cpu` device computes in float32 always.

    Notes
    -----
    On tensor cores a float32 is three bfloat16 planes, the last of which ends at 2^-133: operands below 2^-110 lose
    digits.  Infinities and NaN of the operands come out as in float32.  A sum of finite terms beyond float32's range
    is the infinity of its sign while the magnitudes of any 64 terms add up to less than 2^134; else, or where partial
    sums of both signs are beyond the range, it may be NaN or the other infinity, but nothing finite.  `python -m
    gradlib.bench.precision` prints errors by depth and range of values.

    Raises
    ------
    ValueError
        If there is no such precision.

    Examples
    --------
    >>> set_matmul_precision("highest")
    >>> get_matmul_precision()
    'highest'
    """
    if precision not in _PASSES:
        raise ValueError(
            f"set_matmul_precision(precision): there is no precision {precision!r}\n  need one of {', '.join(_PASSES)}"
        )
    settings.matmul_precision = precision


def get_matmul_precision() -> str:
    """Return the precision of float32 products in this thread: ``"highest"``, ``"high"`` or ``"medium"``."""
    return settings.matmul_precision


@contextmanager
def matmul_precision(precision: str) -> Iterator[None]:
    """Context in which float32 products have this precision; see `set_matmul_precision`.

    A backward pass has the precision that holds where it runs, not where its graph was recorded.

    >>> with matmul_precision("high"):
    ...     get_matmul_precision()
    'high'
    """
    before = settings.matmul_precision
    set_matmul_precision(precision)
    try:
        yield
    finally:
        settings.matmul_precision = before


def passes() -> int:
    """Return how many products of planes make one of float32 at the current precision."""
    return _PASSES[settings.matmul_precision]
