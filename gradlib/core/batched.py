"""`Batched`: an array that stands for one example of a batch.

Under `vmap` a function sees one example: a Tensor whose data is a `Batched`, with the shape of the example.
It holds the whole batch, as an array or (where something outside is being differentiated) as a Tensor on
that tape.  So a tape inside `vmap` is made of whole batches, with as many Nodes as for one example, and
levels nest to any depth: ``Tensor(Batched(Tensor(Batched(array))))``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import VmapError
from .scopes import state
from .tensor import Tensor


class Frame:
    """One running `vmap`: its batch size, the one around it, and whether what surrounds it records."""

    __slots__ = ("depth", "grad", "parent", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.parent: Frame | None = state.frame
        self.depth: int = 0 if self.parent is None else self.parent.depth + 1
        self.grad = state.grad

    @contextmanager
    def left(self) -> Iterator[None]:
        """Work outside: on the whole batch."""
        before = state.frame, state.grad
        state.frame, state.grad = self.parent, self.grad
        try:
            yield
        finally:
            state.frame, state.grad = before

    def records(self) -> bool:
        """Whether ops at this level are put on the tape now."""
        inner = state.frame
        if inner is self:
            return state.grad
        while inner is not None and inner.parent is not self:
            inner = inner.parent
        return state.grad if inner is None else inner.grad


class Batched:
    """One example of `value`, which has the batch along its first axis if `over`; else it is all examples' own."""

    __slots__ = ("dtype", "frame", "ndim", "over", "shape", "value")

    def __init__(self, frame: Frame, value: Any, over: bool) -> None:
        self.frame = frame
        self.value = value
        self.over = over
        self.dtype = value.dtype
        self.shape: tuple[int, ...] = tuple(value.shape[1:] if over else value.shape)
        self.ndim = len(self.shape)

    @property
    def size(self) -> int:
        n = 1
        for k in self.shape:
            n *= k
        return n

    @property
    def physical(self) -> Any:
        """The array of a device that is underneath."""
        value = self.value.data if isinstance(self.value, Tensor) else self.value
        return value.physical if isinstance(value, Batched) else value

    def refuse(self, what: str) -> VmapError:
        """Return the error of reading a value that differs from example to example."""
        return VmapError(
            f"{what}: under vmap this value ({self.dtype}{list(self.shape)}) differs from example to example\n"
            f"  need ops of gradlib on it (gl.where instead of if), or to read it outside of vmap"
        )

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise self.refuse("numpy()")

    def __bool__(self) -> bool:
        raise self.refuse("bool()")

    def __getattr__(self, name: str) -> Any:  # only reached for what is not there
        raise self.refuse(name)

    def __repr__(self) -> str:
        return f"Batched({self.dtype}{list(self.shape)}, batch of {self.frame.size}: {self.value!r})"


@contextmanager
def at_level(frame: Frame | None) -> Iterator[None]:
    """Work at the level of a running `vmap`, or outside of all, recording or not as now."""
    before, state.frame = state.frame, frame
    try:
        yield
    finally:
        state.frame = before


def lift(x: Any) -> Any:
    """Return a Tensor or array as a value of the innermost running `vmap`, the same for all its examples."""
    return x if state.frame is None else lift_to(x, state.frame)


def per_example(x: Any) -> Any:
    """Return `x` as a value of every running `vmap`, so that a random op of it draws for each example."""
    frames = []
    frame = state.frame
    while frame is not None:
        frames.append(frame)
        frame = frame.parent
    for frame in reversed(frames):
        x = lift_to(x, frame)
    return x


def lift_to(x: Any, frame: Frame) -> Any:
    """Return `x` as a value at the level of `frame`; what differentiates it outside stays outside."""
    data = x.data if isinstance(x, Tensor) else x
    if isinstance(data, Batched) and data.frame is frame:
        return x
    if isinstance(x, Tensor):
        return Tensor(Batched(frame, x, False))
    return Batched(frame, x, False)
