"""What running CUDA kernels on the CPU costs: switches between threads, a product's speed, compiling, checking.

For the device `sim` alone; the other suites say nothing of its speed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ...backend import checked
from ...kernel import Kernel, load
from ...kernel.build import compile_one, job
from ...nn.functional import dense
from ..case import Arrays, Case, Passes, Run, Work, noise

SWITCHES = """
extern "C" __global__ void barriers(int* y, int rounds) {
    for (int i = 0; i < rounds; ++i) __syncthreads();
    if (threadIdx.x == 0) y[blockIdx.x] = rounds;
}
extern "C" __global__ void shuffles(int* y, int rounds) {
    int v = threadIdx.x;
    for (int i = 0; i < rounds; ++i) v = __shfl_xor_sync(0xffffffffu, v, 1);
    if (threadIdx.x == 0) y[blockIdx.x] = v;
}
"""
_ROUNDS = 1000


def cases(size: str, dtype: str) -> list[Case]:
    """Return the cases; `size` makes the product larger."""
    edge = {"tiny": 128, "small": 256}.get(size, 512)
    return [
        _switches("barrier of 256 threads", "barriers", 256, dtype),
        _switches("shuffle of 32 lanes", "shuffles", 32, dtype),
        _product(edge, dtype),
        _compile(dtype),
    ]


def _twice(run: Run) -> Passes:
    """Return a run in the fast build, and in the checked one with the threads in one order."""

    def watched() -> Any:
        with checked(orders=("forward",)):
            return run()

    def fast() -> Any:
        with checked(False):
            return run()

    return {"fast": fast, "checked": watched}


def _switches(name: str, entry: str, threads: int, dtype: str) -> Case:
    def passes(lib: Any, at: Arrays) -> Passes:
        kernel = Kernel.from_source("switches.cu", SWITCHES, entry, "y | rounds")
        y = lib.backend.asarray(at["y"])
        return _twice(lambda: kernel(1, threads, y, _ROUNDS))

    work = Work(ops=threads * _ROUNDS)

    def inputs() -> Arrays:
        return {"y": np.zeros(1, np.int32)}

    return Case("sim", name, dtype, {"fast": work, "checked": work}, inputs, {"gradlib": passes})


def _product(edge: int, dtype: str) -> Case:
    def inputs() -> Arrays:
        return {"x": noise((edge, edge), dtype), "w": noise((edge, edge), dtype, seed=1)}

    def passes(lib: Any, at: Arrays) -> Passes:
        x, w = map(lib.array, at.values())
        return _twice(lambda: dense(x, w, activation="relu"))

    work = Work(flops=2.0 * edge**3)
    return Case(
        "sim", f"dense {edge}x{edge}x{edge} relu", dtype, {"fast": work, "checked": work}, inputs, {"gradlib": passes}
    )


def _compile(dtype: str) -> Case:
    def passes(lib: Any, at: Arrays) -> Passes:
        source, macros = load("dense.cu"), {"T": "float"}

        def cached() -> Path:
            with checked(False):
                return compile_one(job(source, macros, lib.backend), lib.backend)

        def anew(watched: bool) -> Callable[[], str]:
            def build() -> str:
                with tempfile.TemporaryDirectory(dir=cached().parent) as folder, checked(watched):
                    return str(lib.backend.build(source.unit(macros), Path(folder) / "dense.so"))

            return build

        return {"compile": anew(False), "compile checked": anew(True), "find in the cache": cached}

    work = dict.fromkeys(("compile", "compile checked", "find in the cache"), Work())
    return Case("sim", "dense.cu", dtype, work, dict, {"gradlib": passes})
