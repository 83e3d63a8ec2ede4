from __future__ import annotations

import ctypes
import struct
import threading
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from gradlib.errors import DeviceError, KernelError
from gradlib.kernel import Kernel, launches

TEXT = """
#include "gradlib/core.cuh"
#ifndef T
#define T float
#endif
#ifndef BM
#define BM 64
#endif
extern "C" __global__ void scale(const T* x, const unsigned char* mask, T* y, int n, float a, long long count,
                                 unsigned int u, double d) {}
extern "C" __global__ void odd(const Strange* x, int n) {}
extern "C" __global__ void half_scalar(const T* x, T a) {}
extern "C" __global__ void anything(const void* x, int n) {}
"""
PARAMETERS = "x mask y | n a count u d"
SCALARS = (3, 0.5, 2**40, 2**32 - 1, 1e300)


@pytest.fixture
def scale() -> Kernel:
    return Kernel.from_source("user.cu", TEXT, "scale", PARAMETERS)


def _arrays(fake: Any, dtype: Any = np.float32) -> tuple[Any, Any, Any]:
    return fake.array(3, dtype), fake.array(3, np.uint8), fake.array(3, dtype)


def test_launch_packs_arguments_as_a_c_struct(fake: Any, scale: Kernel) -> None:
    class Block(ctypes.Structure):
        _fields_ = [
            ("x", ctypes.c_void_p), ("mask", ctypes.c_void_p), ("y", ctypes.c_void_p), ("n", ctypes.c_int),
            ("a", ctypes.c_float), ("count", ctypes.c_longlong), ("u", ctypes.c_uint), ("d", ctypes.c_double),
        ]  # fmt: skip

    x, _, y = _arrays(fake)
    scale((2, 3), 128, x, None, y, *SCALARS, shared=16)
    [(entry, grid, block, shared, packed)] = fake.calls
    assert (entry, grid, block, shared) == ("scale", (2, 3, 1), (128, 1, 1), 16)
    assert len(packed) == ctypes.sizeof(Block)
    seen = Block.from_buffer_copy(packed)
    assert (seen.x, seen.mask, seen.y) == (fake.pointer(x), None, fake.pointer(y))
    assert (seen.n, seen.a, seen.count, seen.u, seen.d) == SCALARS


def test_numpy_scalars_and_sizes_are_taken(fake: Any, scale: Kernel) -> None:
    scale(np.int64(2), (np.int32(4), 2), *_arrays(fake), np.int64(3), np.float64(0.5), np.int8(1), True, np.float32(2))
    assert fake.calls[0][1:3] == ((2, 1, 1), (4, 2, 1))
    assert struct.unpack("@PPPifqId", fake.calls[0][4])[3:] == (3, 0.5, 1, 1, 2.0)


def test_one_build_serves_equal_macros(fake: Any, scale: Kernel) -> None:
    for macros in ({}, {"T": "float"}, {"BM": 64}, {"BM": 64, "T": np.dtype("f4")}, {"T": np.float32, "BM": "64"}):
        scale(1, 1, *_arrays(fake), *SCALARS, **macros)
    assert len(fake.calls) == 5
    assert [unit.macros for unit in fake.units] == [()]
    scale(1, 1, *_arrays(fake, np.float64), *SCALARS, T="double", BM=32)
    assert fake.units[1].macros == (("BM", "32"), ("T", "double"))
    assert fake.units[1].entries == ("scale", "odd", "half_scalar", "anything")


def test_macros_decide_the_dtype(fake: Any, scale: Kernel) -> None:
    scale(1, 1, *_arrays(fake, ml_dtypes.bfloat16), *SCALARS, T="__nv_bfloat16")
    with pytest.raises(
        KernelError, match=r"user.cu: entry scale: y has dtype float32, the entry takes double\* \(float64"
    ):
        scale(1, 1, fake.array(3, np.float64), None, fake.array(3), *SCALARS, T="double")
    assert len(fake.calls) == 1


@pytest.mark.parametrize(
    ("grid", "block", "shared", "said"),
    [
        (0, 1, 0, r"grid.x is 0, the limits are 1 and 2147483647"),
        ((1, 65536), 1, 0, r"grid.y is 65536, the limits are 1 and 65535"),
        (2**31, 1, 0, r"grid.x is 2147483648"),
        (-1, 1, 0, r"grid.x is -1"),
        (1, (1, 1, 65), 0, r"block.z is 65, the limits are 1 and 64"),
        (1, (64, 32), 0, r"a block has 2048 threads, the limit is 1024"),
        (1, 0, 0, r"block.x is 0"),
        (1, 1, 232449, r"232449 bytes of dynamic shared memory, the limit is 232448"),
        (1, 1, -1, r"-1 bytes of dynamic shared memory"),
        ((1, 2, 3, 4), 1, 0, r"grid is \(1, 2, 3, 4\)"),
        ((), 1, 0, r"grid is \(\)"),
        (1.5, 1, 0, r"grid is 1\.5"),
        ([1, 2], 1, 0, r"grid is \[1, 2\]"),
        (1, 1, "x", r"shared is 'x'"),
        ("12", 1, 0, r"grid is '12'"),
    ],
)
def test_launch_limits(fake: Any, scale: Kernel, grid: Any, block: Any, shared: Any, said: str) -> None:
    with pytest.raises(KernelError, match=said):
        scale(grid, block, *_arrays(fake), *SCALARS, shared=shared)
    assert not fake.calls


@pytest.mark.parametrize(
    ("index", "value", "said"),
    [
        (0, 2**31, r"n = 2147483648 is no int"),
        (0, 1.5, r"n = 1.5 is no int"),
        (1, 1e39, r"a = 1e\+39 is no float"),
        (1, "x", r"a = 'x' is no float"),
        (2, 2**63, r"count = 9223372036854775808 is no long long"),
        (3, -1, r"u = -1 is no unsigned int"),
        (4, None, r"d = None is no double"),
    ],
)
def test_scalars_are_range_checked(fake: Any, scale: Kernel, index: int, value: Any, said: str) -> None:
    scalars = [*SCALARS]
    scalars[index] = value
    with pytest.raises(KernelError, match=f"user.cu: entry scale: {said}"):
        scale(1, 1, *_arrays(fake), *scalars)
    assert not fake.calls


def test_arrays_are_checked(fake: Any, scale: Kernel) -> None:
    x, mask, y = _arrays(fake)
    with pytest.raises(KernelError, match=r"y is not C-contiguous: strides \(8,\)\n  y: float32\[3\]"):
        scale(1, 1, x, mask, fake.array(6)[::2], *SCALARS)
    with pytest.raises(KernelError, match="mask has dtype int8, the entry takes unsigned char"):
        scale(1, 1, x, fake.array(3, np.int8), y, *SCALARS)
    with pytest.raises(DeviceError, match="y is a ndarray, other arrays are on fake"):
        scale(1, 1, x, mask, np.zeros(3, np.float32), *SCALARS)
    with pytest.raises(KernelError, match=r"y is 3\n  need an array of fake, or None"):
        scale(1, 1, x, mask, 3, *SCALARS)
    with pytest.raises(KernelError, match=r"7 arguments were passed, the entry takes 8\n  need x, mask, y, n, a"):
        scale(1, 1, x, mask, y, *SCALARS[:-1])
    with pytest.raises(DeviceError, match="arrays are on cpu, which runs no CUDA kernels"):
        scale(1, 1, np.zeros(3, np.float32), None, None, *SCALARS)
    with pytest.raises(KernelError, match="no array was passed"):
        scale(1, 1)
    assert not fake.calls


def test_an_equal_dtype_object_and_a_contiguous_view_will_do(fake: Any) -> None:
    kernel = Kernel.from_source("user.cu", TEXT, "anything", "x | n")
    kernel(1, 1, fake.array(6, np.dtype("<i2", metadata={"a": 1}))[2:4], 3)
    assert len(fake.calls) == 1


def test_macro_mistakes(fake: Any, scale: Kernel) -> None:
    x, mask, y = _arrays(fake)
    with pytest.raises(KernelError, match=r"macro BN is not used by the file\n  need one of T, BM"):
        scale(1, 1, x, mask, y, *SCALARS, BN=3)
    for value in (1.5, None, "a\nb", (1, 2)):
        with pytest.raises(KernelError, match="macro BM is"):
            scale(1, 1, x, mask, y, *SCALARS, BM=value)


@pytest.mark.parametrize(
    "parameters",
    ["mask x y | n a count u d", "x mask y n | a count u d", "x mask y | n a count u", "x mask z | n a count u d"],
)
def test_signature_drift_is_an_error_that_shows_both(fake: Any, parameters: str) -> None:
    kernel = Kernel.from_source("user.cu", TEXT, "scale", parameters)
    with pytest.raises(KernelError) as caught:
        kernel(1, 1, *_arrays(fake), *SCALARS)
    assert "user.cu: entry scale: the Kernel and the file declare different parameters" in str(caught.value)
    assert "scale(*x, *mask, *y, n, a, count, u, d)" in str(caught.value)
    assert not fake.units


def test_declarations_that_cannot_be(fake: Any) -> None:
    for parameters in ("x x | n", "x, y | n", "x | n | m"):
        with pytest.raises(KernelError, match='not of the form "x y'):
            Kernel("a.cu", "f", parameters)
    with pytest.raises(KernelError, match=r"parameter Strange\* x has type Strange"):
        Kernel.from_source("user.cu", TEXT, "odd", "x | n")(1, 1, fake.array(1), 1)
    half = Kernel.from_source("user.cu", TEXT, "half_scalar", "x | a")
    half(1, 1, fake.array(1), 1.0)
    with pytest.raises(KernelError, match="parameter T a has type __half, which a launch cannot pass"):
        half(1, 1, fake.array(1, np.float16), 1.0, T="__half")
    with pytest.raises(KernelError, match=r"user\.cu: no entry 'missing'"):
        Kernel.from_source("user.cu", TEXT, "missing", "x | n")(1, 1, fake.array(1), 1)
    with pytest.raises(KernelError, match=r"absent.cu: no such kernel file\n  tried .*kernels"):
        Kernel("absent.cu", "f", "x")(1, 1, fake.array(1))


def test_a_file_of_ones_own(fake: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.cuh").write_text("// one")
    (tmp_path / "mine.cu").write_text('#include "mine.cuh"\nextern "C" __global__ void f(float* x) {}\n')
    Kernel(tmp_path / "mine.cu", "f", "x")(1, 1, fake.array(1))
    monkeypatch.chdir(tmp_path)
    Kernel("mine.cu", "f", "x")(1, 1, fake.array(1))
    assert len(fake.calls) == 2
    assert len(fake.units) == 1
    assert tmp_path in fake.units[0].includes


def test_a_function_may_bound_its_own_launches(fake: Any, scale: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    function = fake.load(Path(), "scale", ())
    function.static_shared, function.max_threads = 232000, 64
    monkeypatch.setattr(fake, "load", lambda path, entry, offsets: function)
    scale(1, 64, *_arrays(fake), *SCALARS, shared=448)
    with pytest.raises(KernelError, match="449 bytes of dynamic shared memory, the limit is 448"):
        scale(1, 64, *_arrays(fake), *SCALARS, shared=449)
    with pytest.raises(KernelError, match="65 threads, the limit is 64"):
        scale(1, 65, *_arrays(fake), *SCALARS)


def test_a_failed_build_is_tried_again(fake: Any, scale: Kernel) -> None:
    fake.fails = True
    for _ in range(2):
        with pytest.raises(KernelError, match="does not compile"):
            scale(1, 1, *_arrays(fake), *SCALARS)
    fake.fails = False
    scale(1, 1, *_arrays(fake), *SCALARS)
    assert len(fake.calls) == 1


def test_threads_build_once(fake: Any, scale: Kernel) -> None:
    gate = threading.Barrier(4)

    def work() -> None:
        gate.wait()
        for _ in range(50):
            scale(1, 1, *_arrays(fake), *SCALARS)

    with launches() as log:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(fake.calls) == len(log) == 200
    assert len(fake.units) == 1
