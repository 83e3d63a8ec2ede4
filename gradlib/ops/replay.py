"""The keys a thread draws, noted and drawn once more: how a function that runs again gets the same random numbers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import GradientError

Array = Any


class Drawn(threading.local):
    """What this thread draws: lists that note each key, and keys to be drawn once more."""

    def __init__(self) -> None:
        self.noted: list[list[Array]] = []
        self.again: Iterator[Array] | None = None

    def next(self) -> Array:
        assert self.again is not None
        try:
            return next(self.again)
        except StopIteration:
            raise GradientError(
                "checkpoint: the function drew more random numbers when it ran again\n"
                "  need a function that does the same every time"
            ) from None


drawn = Drawn()


def replaying() -> bool:
    """Whether a function runs again for its derivative: what it changes beside its results was changed before."""
    return drawn.again is not None


@contextmanager
def note_keys() -> Iterator[list[Array]]:
    """Note the keys that are drawn, from whatever generator."""
    keys: list[Array] = []
    drawn.noted.append(keys)
    try:
        yield keys
    finally:
        drawn.noted.pop()


@contextmanager
def draw_again(keys: list[Array]) -> Iterator[None]:
    """Draw these keys once more, in their order; the generators stay as they are."""
    before, drawn.again = drawn.again, iter(keys)
    try:
        yield
    finally:
        drawn.again = before
