"""Every exception gradlib raises.

The first line of a message is ``op(args): what is wrong, with both numbers``; then one line per
operand; last the fix (``need ...``).  `operand` and `message` build that form, so that every op
words its errors alike.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

__all__ = [
    "AxisError",
    "CheckpointError",
    "CompileError",
    "DTypeError",
    "DeviceError",
    "GradientError",
    "GradlibError",
    "KernelError",
    "KernelFault",
    "LinAlgError",
    "ShapeError",
    "VmapError",
    "message",
    "operand",
]


class GradlibError(Exception):
    """Base class of every error that gradlib raises itself."""


class ShapeError(GradlibError, ValueError):
    """Operands whose shapes do not fit each other or the op."""


class AxisError(ShapeError, IndexError):
    """An axis that an operand has not."""


class DTypeError(GradlibError, TypeError):
    """A dtype the op does not take, or dtypes that do not mix."""


class LinAlgError(GradlibError, np.linalg.LinAlgError):
    """A matrix that an op of linear algebra has no answer for: singular, not positive definite, not finite.

    It is NumPy's error of the same name too, and like that a `ValueError`.
    """


class DeviceError(GradlibError, RuntimeError):
    """Operands on different devices, or a device that is not there."""


class GradientError(GradlibError, RuntimeError):
    """A derivative that does not exist, or a tape that can no longer give it."""


class VmapError(GradlibError, AttributeError):
    """Under `vmap`, a use of a value that differs from example to example."""


class KernelError(GradlibError, RuntimeError):
    """A CUDA kernel that cannot be found, compiled, loaded or launched."""


class KernelFault(KernelError):  # noqa: N818  (a fault is what the kernel did, found while it ran)
    """A CUDA kernel that did something wrong while it ran on `sim`.

    Attributes
    ----------
    kind : str
        ``"out-of-bounds"``, ``"misaligned"``, ``"uninitialised"``, ``"race"``, ``"barrier"``, ``"warp-mask"``,
        ``"deadlock"``, ``"async"``, ``"arithmetic"`` (what C++ leaves undefined: a division by zero, a shift by the
        whole width, a float that the integer cannot hold), or ``"order"`` (results that differ between orders of the
        threads).
    line : int or None
        Line of the kernel's own source, also where the access sits in a header.
    block, thread : tuple of int, or None
        Indices of the thread at fault.
    argument : str or None
        The array parameter or shared variable concerned; ``"the thread's stack"`` where calls and local arrays fill it.
    """

    def __init__(
        self,
        text: str,
        *,
        kind: str,
        line: int | None = None,
        block: tuple[int, int, int] | None = None,
        thread: tuple[int, int, int] | None = None,
        argument: str | None = None,
    ) -> None:
        super().__init__(text)
        self.kind, self.line, self.block, self.thread, self.argument = kind, line, block, thread, argument

    def __reduce__(self) -> tuple[object, ...]:
        return _remake_fault, (str(self), self.__dict__)


def _remake_fault(text: str, parts: dict[str, object]) -> KernelFault:
    return KernelFault(text, **parts)  # type: ignore[arg-type]


class CompileError(GradlibError, RuntimeError):
    """A step that `compile` cannot record or replay."""


class CheckpointError(GradlibError, RuntimeError):
    """A file of weights or of training state that does not fit what it is loaded into."""


def operand(name: str, value: object, role: str = "") -> str:
    """Return ``name: dtype[shape]  (role)`` for an array, a Tensor or a Spec, the value itself otherwise."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is None or dtype is None:
        text = repr(value)
    else:
        text = f"{dtype}[{', '.join(map(str, shape))}]"
    return f"{name}: {text}" + (f"  ({role})" if role else "")


def message(what: str, operands: Iterable[str] = (), fix: str = "") -> str:
    """Join the first line, the operand lines (aligned on their colons) and the fix."""
    lines = [line.partition(": ") for line in operands]
    width = max((len(name) for name, _, _ in lines), default=0)
    body = [f"  {name + ':':<{width + 1}} {rest}" for name, _, rest in lines]
    return "\n".join([what, *body, *([f"  {fix}"] if fix else [])])
