"""What Python does for one op on `cuda`: on `cpu` against a driver that does nothing (bench/stub.py), on `cuda` against
the real one, with so little to compute that the GPU waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ... import nn
from ...core import Tensor, no_grad
from ...kernel import Kernel
from ..case import Arrays, Case, Passes, Run, Work, noise
from ..stub import stub

LENGTH = 200  # launches of a run
_KERNEL = Kernel("dense.cu", "dense_forward", "x w b y z | m n k")
_EDGE = 64


def cases(size: str, dtype: str) -> list[Case]:
    """Return the cases: a kernel alone, then ops, each as one launch."""
    count = 3 if size == "tiny" else LENGTH
    f = nn.functional
    return [
        _case("kernel of 5 arrays", _alone, count, "float32"),
        _case("add", lambda x, w, b: lambda: x + w, count, dtype),
        _case("times 2", lambda x, w, b: lambda: x * 2.0, count, dtype),
        _case("gelu", lambda x, w, b: lambda: f.gelu(x), count, dtype),
        _case("dense gelu", lambda x, w, b: lambda: f.dense(x, w, b, activation="gelu"), count, dtype),
        _case("conv2d relu", _convolution, count, dtype),
    ]


def _convolution(x: Tensor, w: Tensor, b: Tensor) -> Run:
    images = Tensor(x.data.reshape(8, 8, 8, 8), requires_grad=x.requires_grad)
    filters = Tensor(w.data.reshape(-1)[:576].reshape(3, 3, 8, 8))
    bias = Tensor(b.data[:8])
    return lambda: nn.functional.conv2d(images, filters, bias, padding=1, activation="relu")


def _alone(x: Tensor, w: Tensor, b: Tensor) -> Run:
    arrays = x.data, w.data, b.data, x.data, None
    return lambda: _KERNEL(4, 256, *arrays, _EDGE, _EDGE, _EDGE, T="float", ACT="relu")


def _case(name: str, op: Callable[..., Run], count: int, dtype: str) -> Case:
    def inputs() -> Arrays:
        return {
            "x": noise((_EDGE, _EDGE), dtype),
            "w": noise((_EDGE, _EDGE), dtype, seed=1),
            "b": noise((_EDGE,), dtype),
        }

    def passes(lib: Any, at: Arrays) -> Passes:
        if lib.device == "cuda":
            x, w, b = map(lib.array, at.values())
        else:
            x, w, b = (Tensor(stub().asarray(array)) for array in at.values())
        plain = op(x, w, b)
        recorded = op(Tensor(x.data, requires_grad=True), w, b)

        def eager() -> None:
            with no_grad():
                for _ in range(count):
                    plain()

        def on_the_tape() -> None:
            for _ in range(count):
                recorded()

        return {"eager": eager, "recorded": on_the_tape} if op is not _alone else {"eager": eager}

    work = dict.fromkeys(("eager",) if op is _alone else ("eager", "recorded"), Work(ops=count))
    return Case("launch", name, dtype, work, inputs, {"gradlib": passes})
