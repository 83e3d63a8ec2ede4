"""The libraries compared, each made to do the same thing in its own way: hold an array, run forward, run backward.

The others are imported only when asked for, and only where installed.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from .. import backend as backends
from ..core import Tensor, asarray, no_grad
from ..errors import DeviceError
from ..kernel.log import launches
from .case import Passes, Run
from .tape_libraries import Autograd, Mygrad
from .timing import Timer, processor, wall

Clock = Callable[[], float]

_FLUSH = 2**28  # float32s, 1 GiB: more than any L2 cache, and longer under way than Python takes to launch an op


class Gradlib:
    """gradlib on one of its devices."""

    name = "gradlib"

    def __init__(self, device: str, clock: Clock = wall) -> None:
        self.clock = clock
        self.device = device
        self.backend = backends.get(device)

    @cached_property
    def timer(self) -> Timer:
        backend = self.backend
        if self.device != "cuda":
            return Timer(lambda _: backend.synchronize(), clock=self.clock)
        scratch = backend.empty((_FLUSH,), np.float32)
        return Timer(lambda _: backend.synchronize(), backend.event, backend.elapsed, lambda: scratch.fill(0))

    def array(self, host: Any) -> Tensor:
        """Return a NumPy array as a constant on the device."""
        return asarray(host, device=self.device)

    def differentiate(
        self, f: Callable[..., Any], inputs: Sequence[Any], g: Any = None, constants: Sequence[Any] = ()
    ) -> Passes:
        """Return passes over ``f(*inputs, *constants)``: forward unrecorded, and backward through a tape that is kept.

        `g` is the cotangent, None for a scalar result.
        """
        leaves = [Tensor(x.data, requires_grad=True) for x in inputs]
        recorded: list[Tensor] = []

        def forward() -> Any:
            with no_grad():
                return f(*leaves, *constants)

        def backward() -> Any:
            if not recorded:
                recorded.append(f(*leaves, *constants))
            for x in leaves:
                x.grad = None
            recorded[0].backward(g, retain_graph=True)
            return [x.grad for x in leaves]

        return {"forward": forward, "backward": backward}

    def launches(self, run: Run) -> int:
        """Return how many kernels one run launches."""
        with launches() as log:
            run()
        return len(log)

    def host(self, value: Any) -> Any:
        """Return a result as a NumPy array."""
        return value.numpy()


class Numpy:
    """What one would write by hand: NumPy with BLAS, gradients derived on paper."""

    name = "numpy"

    def __init__(self, device: str, clock: Clock = wall) -> None:
        self.clock = clock
        if device != "cpu":
            raise DeviceError(f"NumPy runs on cpu, not on {device}")
        self.device = device
        self.timer = Timer(clock=clock)

    def array(self, host: Any) -> Any:
        return host

    def differentiate(
        self,
        forward: Callable[..., tuple[Any, Any]],
        backward: Callable[..., Any],
        inputs: Sequence[Any],
        g: Any = None,
        constants: Sequence[Any] = (),
    ) -> Passes:
        """Return passes: `forward` gives the result and what ``backward(saved, g)`` needs."""
        saved: list[Any] = []

        def run_backward() -> Any:
            if not saved:
                saved.append(forward(*inputs, *constants)[1])
            return backward(saved[0], g)

        return {"forward": lambda: forward(*inputs, *constants)[0], "backward": run_backward}

    def host(self, value: Any) -> Any:
        return value


class Torch:
    """PyTorch eager, float32 products computed in float32 unless a variant says otherwise."""

    name = "torch"

    def __init__(self, device: str, clock: Clock = wall) -> None:
        self.clock = clock
        import torch

        if device == "sim":
            raise DeviceError("PyTorch runs on cpu and cuda, not on sim")
        if device == "cuda" and not torch.cuda.is_available():
            raise DeviceError("this PyTorch has no CUDA")
        self.torch: Any = torch
        self.device = device
        _float32(torch, False)
        torch.backends.cudnn.benchmark = True  # its fastest algorithm

    @cached_property
    def timer(self) -> Timer:
        torch = self.torch
        if self.device == "cpu":
            return Timer(clock=self.clock)
        scratch = torch.empty(_FLUSH, dtype=torch.float32, device="cuda")

        def event() -> Any:
            mark = torch.cuda.Event(enable_timing=True)
            mark.record()
            return mark

        def elapsed(start: Any, stop: Any) -> float:
            stop.synchronize()
            return float(start.elapsed_time(stop)) * 1e-3

        return Timer(lambda _: torch.cuda.synchronize(), event, elapsed, scratch.zero_)

    def array(self, host: Any) -> Any:
        host = np.ascontiguousarray(host)
        if host.dtype.name == "bfloat16":
            return self.torch.from_numpy(host.view(np.int16)).view(self.torch.bfloat16).to(self.device)
        return self.torch.from_numpy(host).to(self.device)

    def differentiate(
        self, f: Callable[..., Any], inputs: Sequence[Any], g: Any = None, constants: Sequence[Any] = ()
    ) -> Passes:
        torch = self.torch
        leaves = [x.detach().requires_grad_() for x in inputs]
        recorded: list[Any] = []

        def forward() -> Any:
            with torch.no_grad():
                return f(*leaves, *constants)

        def backward() -> Any:
            if not recorded:
                recorded.append(f(*leaves, *constants))
            return torch.autograd.grad(recorded[0], leaves, g, retain_graph=True)

        return {"forward": forward, "backward": backward}

    def compiled(self, f: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function as `torch.compile` makes it for one shape, its backward such that it can run again."""
        config: Any = importlib.import_module("torch._functorch.config")
        config.donated_buffer = False
        self.torch.compiler.reset()  # it gives up on code that it has compiled for several other shapes
        made: Callable[..., Any] = self.torch.compile(f, dynamic=False)
        return made

    def tf32(self, passes: Passes) -> Passes:
        """Return the passes with TF32 allowed for float32 products, PyTorch's default for convolutions."""
        return {name: self._tf32(run) for name, run in passes.items()}

    def _tf32(self, run: Run) -> Run:
        def allowed() -> Any:
            _float32(self.torch, True)
            try:
                return run()
            finally:
                _float32(self.torch, False)

        return allowed

    def host(self, value: Any) -> Any:
        return value.detach().float().cpu().numpy()


def _float32(torch: Any, tf32: bool) -> None:
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32


class Jax:
    """JAX, every pass under jit, float32 products computed in float32."""

    name = "jax"

    def __init__(self, device: str, clock: Clock = wall) -> None:
        self.clock = clock
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # the other libraries need memory too
        if clock is processor:
            os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
        import jax

        if device == "sim":
            raise DeviceError("JAX runs on cpu and cuda, not on sim")
        try:
            self.place = jax.devices(device)[0]
        except RuntimeError as error:
            raise DeviceError(f"this JAX has no {device}: {error}") from error
        jax.config.update("jax_default_matmul_precision", "highest")
        self.jax: Any = jax
        self.device = device
        self.timer = Timer(
            jax.block_until_ready, clock=clock
        )  # it offers no events: wall clock, the last result waited for

    def array(self, host: Any) -> Any:
        return self.jax.device_put(host, self.place)

    def differentiate(
        self, f: Callable[..., Any], inputs: Sequence[Any], g: Any = None, constants: Sequence[Any] = ()
    ) -> Passes:
        jax = self.jax
        one = jax.jit(f)
        record = jax.jit(lambda xs, cs: jax.vjp(lambda *xs: f(*xs, *cs), *xs))
        pull = jax.jit(lambda back, g: back(g))
        recorded: list[Any] = []

        def backward() -> Any:
            if not recorded:
                y, back = record(tuple(inputs), tuple(constants))
                recorded.extend((back, self.array(np.ones((), y.dtype)) if g is None else g))
            return pull(*recorded)

        return {"forward": lambda: one(*inputs, *constants), "backward": backward}

    def host(self, value: Any) -> Any:
        return np.asarray(value).astype(np.float32)


_LIBRARIES: dict[str, type[Any]] = {
    "gradlib": Gradlib, "numpy": Numpy, "torch": Torch, "jax": Jax, "autograd": Autograd, "mygrad": Mygrad,
}  # fmt: skip


def libraries(device: str, peers: bool = True, clock: Clock = wall) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the libraries that can run on a device, gradlib first, and why the others cannot."""
    found: dict[str, Any] = {"gradlib": Gradlib(device, clock)}
    absent: dict[str, str] = {}
    for name, kind in _LIBRARIES.items():
        if name == "gradlib" or not peers:
            continue
        if importlib.util.find_spec(name) is None:
            absent[name] = "not installed"
            continue
        try:
            found[name] = kind(device, clock)
        except Exception as error:  # a broken installation of a peer is no reason to stop
            absent[name] = str(error).partition("\n")[0]
    return found, absent
