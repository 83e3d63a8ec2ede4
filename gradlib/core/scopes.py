"""What holds for the current thread: whether the tape records, and the default device."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ContextDecorator, contextmanager
from typing import TYPE_CHECKING, Any

from .. import backend as backends

if TYPE_CHECKING:
    from .batched import Frame


class _State(threading.local):
    def __init__(self) -> None:
        self.grad = True
        self.frame: Frame | None = None  # the innermost `vmap` that is running
        self.device: str | None = None


state = _State()


class _GradMode(ContextDecorator):
    """Sets whether ops are recorded; restores what was before, also when nested or re-entered."""

    enabled: bool

    def __init__(self) -> None:
        self._before: list[bool] = []

    def _recreate_cm(self) -> _GradMode:  # a decorated function may run in several threads at once
        return type(self)()

    def __enter__(self) -> None:
        self._before.append(state.grad)
        state.grad = self.enabled

    def __exit__(self, *exc: object) -> None:
        state.grad = self._before.pop()


class no_grad(_GradMode):  # lower case: used like a function, as in PyTorch
    """Context or decorator in which ops are not recorded: ``with gl.no_grad(): ...``."""

    enabled = False

    def __init__(self) -> None:
        super().__init__()
        self._outside: list[list[bool]] = []

    def __enter__(self) -> None:
        super().__enter__()
        self._outside.append([frame.grad for frame in _frames()])
        for frame in _frames():  # nor is anything recorded of what surrounds a `vmap`
            frame.grad = False

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        for frame, before in zip(_frames(), self._outside.pop(), strict=True):
            frame.grad = before


class quiet(_GradMode):
    """What a sweep uses: nothing is recorded at this level, whatever surrounds a `vmap` goes on recording."""

    enabled = False


def _frames() -> Iterator[Frame]:
    frame = state.frame
    while frame is not None:
        yield frame
        frame = frame.parent


class enable_grad(_GradMode):
    """Context or decorator in which ops are recorded even inside `no_grad`."""

    enabled = True


def is_grad_enabled() -> bool:
    """Whether ops on tensors that require a gradient are recorded now, in this thread."""
    return state.grad


@contextmanager
def device(name: str) -> Iterator[None]:
    """Context in which new tensors live on device `name` unless they say otherwise."""
    backends.get(name)
    before = state.device
    state.device = name
    try:
        yield
    finally:
        state.device = before


def current_device() -> str:
    """Return the default device: the innermost `device` scope, else ``GRADLIB_DEVICE``, else ``"cpu"``."""
    return state.device or os.environ.get("GRADLIB_DEVICE") or "cpu"


def current_backend(name: str | None = None) -> Any:
    """Return the backend called `name`, or that of the default device."""
    return backends.get(name or current_device())
