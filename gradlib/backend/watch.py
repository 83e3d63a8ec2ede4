"""Who is told of the arrays that a device makes: a record (kernel/record.py), while it writes a launcher's run down."""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["Listener", "made", "spoil"]


class Listener(Protocol):
    def made(self, array: Any) -> None:
        """`empty` made this array."""

    def spoil(self) -> None:
        """Something was done that is neither `empty` nor a launch."""


listener: Listener | None = None


def made(array: Any) -> None:
    """Tell whoever listens that `empty` made this array."""
    found = listener  # another thread may end its record meanwhile
    if found is not None:
        found.made(array)


def spoil() -> None:
    """Tell whoever listens that something is done which is neither `empty` nor a launch."""
    found = listener
    if found is not None:
        found.spoil()
