"""Integers bit by bit; bool counts as one bit, but is not shifted."""

from __future__ import annotations

from typing import Any

from ..core import booleans, integers, op, sample
from .elementwise import elementwise

__all__ = [
    "bitwise_and", "bitwise_invert", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor",
]  # fmt: skip


def _bit_samples() -> list[Any]:
    return [
        sample(integers(-100, 100, 3, 5), integers(-100, 100, 5)),
        sample(integers(0, 200, 7, dtype="uint8"), integers(0, 200, 1, dtype="uint8")),
        sample(booleans(2, 3), booleans(2, 3)),
        sample(integers(0, 9, 0), integers(0, 9)),
    ]


@elementwise("bitwise_and", takes="bits", expr="x1 & x2", samples=_bit_samples)
def bitwise_and(xp: Any, x1: Any, x2: Any) -> Any:
    """y = x1 & x2, bit by bit."""
    return xp.bitwise_and(x1, x2)


@elementwise("bitwise_or", takes="bits", expr="x1 | x2", samples=_bit_samples)
def bitwise_or(xp: Any, x1: Any, x2: Any) -> Any:
    """y = x1 | x2, bit by bit."""
    return xp.bitwise_or(x1, x2)


@elementwise("bitwise_xor", takes="bits", expr="x1 ^ x2", samples=_bit_samples)
def bitwise_xor(xp: Any, x1: Any, x2: Any) -> Any:
    """y = x1 ^ x2, bit by bit."""
    return xp.bitwise_xor(x1, x2)


@elementwise(
    "bitwise_invert",
    takes="bits",
    expr="inverted(x)",
    samples=lambda: [sample(integers(-9, 9, 3, 5)), sample(integers(0, 200, 7, dtype="uint8")), sample(booleans(4))],
)
def bitwise_invert(xp: Any, x: Any) -> Any:
    """y = ~x, bit by bit; not x for bool."""
    return xp.invert(x)


# -- shifts


def _shift_samples() -> list[Any]:
    return [
        sample(integers(-100, 100, 3, 5), integers(0, 9, 5)),
        sample(integers(0, 200, 7, dtype="uint8"), integers(0, 12, 7, dtype="uint8")),
        sample(integers(-99, 99, 70, dtype="int8"), integers(0, 70, 70, dtype="int8")),
        sample(integers(0, 9, 0), integers(0, 9)),
    ]


@elementwise("bitwise_left_shift", takes="integer", expr="shifted_left(x1, x2)", samples=_shift_samples)
def bitwise_left_shift(xp: Any, x1: Any, x2: Any) -> Any:
    """y = x1 2^x2 for x2 >= 0, without the bits that leave at the top: 0 from the dtype's width on."""
    return xp.left_shift(x1, x2)


@elementwise("bitwise_right_shift", takes="integer", expr="shifted_right(x1, x2)", samples=_shift_samples)
def bitwise_right_shift(xp: Any, x1: Any, x2: Any) -> Any:
    """y = floor(x1 / 2^x2) for x2 >= 0: the sign stays."""
    return xp.right_shift(x1, x2)


op.register(
    bitwise_and=bitwise_and, bitwise_invert=bitwise_invert, bitwise_left_shift=bitwise_left_shift,
    bitwise_or=bitwise_or, bitwise_right_shift=bitwise_right_shift, bitwise_xor=bitwise_xor,
)  # fmt: skip
