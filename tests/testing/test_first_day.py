"""Ordinary mistakes in kernels written for CuPy, and what the messages say of each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gradlib.errors import KernelError, KernelFault
from gradlib.testing import run_kernel

SCALE = """extern "C" __global__ void scale(const float* x, float* y, float f, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = f * x[i];
}"""


@pytest.fixture(autouse=True)
def _needs_sim(sim: str) -> None:
    """Everything here compiles for the host."""


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("<cub/cub.cuh>", "need no CUB: gradlib/reduce.cuh reduces rows"),
        ("<cuda/barrier>", "gradlib/ptx.cuh for mbarriers"),
        ("<cupy/complex.cuh>", "a complex array can be passed to a float2"),
        ("<algorithm>", "need plain C++ without the host's standard library"),
        ('"mine.cuh"', "need it beside the .cu file, or its folder among includes="),
    ],
)
def test_a_header_that_is_not_there(header: str, says: str) -> None:
    x = np.ones(4, np.float32)
    with pytest.raises(KernelError) as error:
        run_kernel(f"\n#include {header}\n{SCALE}", "scale", 1, 4, [x, x, 2, 4])
    first, fix = str(error.value).splitlines()
    assert first.startswith(f"kernel.cu:2: {header} is not ")
    assert says in fix


def test_headers_that_are_there_are_silent() -> None:
    """What CUDA itself finds, or what kernels include out of habit."""
    names = (
        "assert.h cassert cfloat climits cmath cstdint cstdio cstdlib cuda.h cuda_bf16.h cuda_fp16.h cuda_fp8.h "
        "cuda_runtime.h cuda_runtime_api.h device_launch_parameters.h math.h math_constants.h stdint.h stdio.h "
        "stdlib.h vector_functions.h vector_types.h"
    )
    text = "".join(f"#include <{name}>\n" for name in names.split())
    text += """extern "C" __global__ void k(double* y) {
    y[0] = M_PI - CUDART_PI; y[1] = std::sqrt(16.0) + std::fabs(-1.0f); y[2] = INFINITY; y[3] = sizeof(std::size_t);
}"""
    y = np.empty(4)
    run_kernel(text, "k", 1, 1, [y])
    np.testing.assert_array_equal(y, [0, 5, np.inf, 8])


def test_headers_of_another_folder(tmp_path: Path) -> None:
    (tmp_path / "mine.cuh").write_text("__device__ float twice(float x) { return 2 * x; }\n", encoding="utf-8")
    x = np.ones(4, np.float32)
    text = '#include "mine.cuh"\n' + SCALE.replace("f * x[i]", "twice(x[i])")
    run_kernel(text, "scale", 1, 4, [x, x, 2, 4], includes=[tmp_path])
    np.testing.assert_array_equal(x, 2)


@pytest.mark.parametrize(
    ("before", "after", "entry", "says"),
    [
        ('extern "C" ', "", "scale", 'scale has no C linkage\n  need extern "C" in front of its __global__'),
        ('extern "C" ', "template <class T>\n", "scale<float>", "scale is a template, and names with arguments are"),
        ("float* y,", "float* y", "scale", "cannot read the parameter 'float* y float f'\n  need a comma after each"),
        ("scale(", "scaled(", "scale", "no entry 'scale'\n  extern \"C\" __global__ functions there: scaled"),
    ],
)
def test_an_entry_that_cannot_be_launched(before: str, after: str, entry: str, says: str) -> None:
    x = np.ones(4, np.float32)
    with pytest.raises(KernelError) as error:
        run_kernel(SCALE.replace(before, after), entry, 1, 4, [x, x, 2, 4])
    assert says in str(error.value)


def test_sizes_of_any_integer_type() -> None:
    text = SCALE.replace("int n", "size_t n, long m, const long long k")
    x = np.ones(4, np.float32)
    run_kernel(text.replace("i < n", "i < n + m + k"), "scale", 1, 4, [x, x, 2, 1, 2, 2**40])
    np.testing.assert_array_equal(x, 2)


def test_structs_by_value() -> None:
    text = """struct Limits { char sign; double low; float high[2]; };
extern "C" __global__ void k(float* y, Limits limits, float2 z, int n) {
    y[0] = limits.sign * limits.low + limits.high[1]; y[1] = z.y; y[2] = n;
}"""
    layout = np.dtype([("sign", np.int8), ("low", np.float64), ("high", np.float32, 2)], align=True)
    limits, y = np.array((-1, 3.0, (4.0, 5.0)), layout), np.empty(3, np.float32)
    run_kernel(text, "k", 1, 1, [y, limits[()], np.complex64(6 + 7j), 8])
    np.testing.assert_array_equal(y, [2, 7, 8])
    for wrong in ((-1, 3.0), limits):
        with pytest.raises(
            KernelError, match=r"Limits limits cannot be passed by value\n  need a number, or for a struct"
        ):
            run_kernel(text, "k", 1, 1, [y, wrong, np.complex64(0), 8])
    texture = 'extern "C" __global__ void k(cudaTextureObject_t image) {}'
    with pytest.raises(KernelError, match="sim has no textures"):
        run_kernel(texture, "k", 1, 1, [0])


def test_what_is_printed_is_printed_once(capfd: pytest.CaptureFixture[str]) -> None:
    text = '#include <cstdio>\nextern "C" __global__ void k() { printf("thread %d\\n", threadIdx.x); }'
    run_kernel(text, "k", 1, 2, [], orders=("backward", "forward", "random"))
    flush = 'extern "C" __global__ void k() {}'
    run_kernel(flush, "k", 1, 1, [])
    assert capfd.readouterr().out == "thread 1\nthread 0\n"


def test_an_assertion_is_an_error_of_its_own() -> None:
    text = '#include <cassert>\nextern "C" __global__ void k(int n) {\n    assert(n < 3);\n}'
    run_kernel(text, "k", 1, 1, [2])
    with pytest.raises(KernelError, match=r"assertion failed: n < 3"):
        run_kernel(text, "k", 1, 1, [3])


def test_dynamic_shared_memory_that_the_launch_does_not_give() -> None:
    text = 'extern "C" __global__ void k() { extern __shared__ float s[]; s[threadIdx.x] = 1; }'
    run_kernel(text, "k", 1, 32, [], shared_mem=128)
    with pytest.raises(KernelFault, match=r"dynamic shared memory, which has 0(?s:.)*\(shared_mem=BYTES\)$"):
        run_kernel(text, "k", 1, 32, [])
