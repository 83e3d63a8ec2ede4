"""Whether kernels on `sim` run in the checked build, which sees every load and store."""

from __future__ import annotations

import os
from dataclasses import dataclass
from types import TracebackType

from ..errors import DeviceError

__all__ = ["ORDERS", "Checks", "checked", "current"]

ORDERS = ("forward", "backward", "random")


@dataclass(frozen=True)
class Checks:
    """What a checked launch does besides watching every access.

    Attributes
    ----------
    orders
        In which orders the threads (and the blocks) are run, each from the same initial memory.
    seed
        Of the random order.
    float_atomics
        Exempt floating arrays from the comparison between orders: atomic sums of them round differently.
    """

    orders: tuple[str, ...] = ORDERS
    seed: int = 0
    float_atomics: bool = False


def _from_environment() -> Checks | None:
    value = os.environ.get("GRADLIB_SIM", "")
    if value not in ("", "fast", "checked"):
        raise DeviceError(f"GRADLIB_SIM={value} is unknown\n  need fast or checked")
    return Checks() if value == "checked" else None


active: Checks | None = _from_environment()  # what `current` returns, for who cannot wait for a call


def current() -> Checks | None:
    """Return what launches on `sim` check now, None where they run in the fast build."""
    return active


class checked:  # noqa: N801  (a context used like a function, as in PyTorch)
    """Run kernels on `sim` in the checked build from here on, or inside a ``with`` block.

    A fault raises `KernelFault`, and leaves the arrays as they were before the launch.

    Parameters
    ----------
    mode
        False: the fast build.
    orders, seed, float_atomics
        See `Checks`.

    Examples
    --------
    >>> from gradlib import backend
    >>> with backend.checked():
    ...     pass  # launches on sim are checked here
    """

    def __init__(
        self,
        mode: bool = True,
        *,
        orders: tuple[str, ...] = ORDERS,
        seed: int = 0,
        float_atomics: bool = False,
    ) -> None:
        global active
        unknown = [order for order in orders if order not in ORDERS]
        if unknown or not orders:
            raise ValueError(f"checked(orders): orders is {orders!r}\n  need some of {', '.join(ORDERS)}")
        self._before = active
        active = Checks(tuple(orders), seed, float_atomics) if mode else None

    def __enter__(self) -> None:
        """Everything was set when this was made."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        global active
        active = self._before
