"""autograd and MyGrad: tapes over NumPy in pure Python as gradlib's is, compared where the tape is what counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from ..errors import DeviceError
from .case import Passes
from .timing import Timer, wall


class _OverNumpy:
    """What both have in common: NumPy's arrays, its clock, its device."""

    name: str

    def __init__(self, device: str, clock: Callable[[], float] = wall) -> None:
        if device != "cpu":
            raise DeviceError(f"{self.name} runs on cpu, not on {device}")
        self.device = device
        self.clock = clock
        self.timer = Timer(clock=clock)

    def array(self, host: Any) -> Any:
        return host


class Autograd(_OverNumpy):
    """HIPS autograd; unrecorded, its arrays are NumPy's own."""

    name = "autograd"

    def differentiate(self, f: Callable[..., Any], inputs: Sequence[Any], g: Any) -> Passes:
        make_vjp = import_module("autograd").make_vjp
        pullback: list[Any] = []

        def backward() -> Any:
            if not pullback:
                pullback.append(make_vjp(lambda xs: f(*xs))(tuple(inputs))[0])
            return pullback[0](g)

        return {"forward": lambda: f(*inputs), "backward": backward}

    def host(self, value: Any) -> Any:
        return value


class Mygrad(_OverNumpy):
    """MyGrad; its backward frees the graph, so that every run records anew."""

    name = "mygrad"

    def differentiate(self, f: Callable[..., Any], inputs: Sequence[Any], g: Any) -> Passes:
        mygrad = import_module("mygrad")
        leaves = [mygrad.tensor(x) for x in inputs]

        def forward() -> Any:
            with mygrad.no_autodiff:
                return f(*leaves)

        def backward() -> Any:
            f(*leaves).backward(g)
            return [x.grad for x in leaves]

        return {"forward": forward, "backward": backward}

    def host(self, value: Any) -> Any:
        return getattr(value, "data", value)
