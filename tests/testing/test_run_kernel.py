"""run_kernel: what it takes, what it changes, what it refuses; samples and the command that runs them."""

from __future__ import annotations

import pickle
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import gradlib as gl
from gradlib import backend
from gradlib.cli import main
from gradlib.errors import KernelError, KernelFault
from gradlib.kernel.source import from_text
from gradlib.testing import run_kernel, samples
from gradlib.testing.check_command import occupancy

# Arrays and scalars in any order, as CuPy users write them.
MIXED = """
#ifndef T
#define T float
#endif
extern "C" __global__ void scale(int n, const T* x, double factor, T* y, bool negate) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = (T)((float)x[i] * (float)factor * (negate ? -1.0f : 1.0f));
}"""


@pytest.fixture(autouse=True)
def _needs_sim(sim: str) -> None:
    """Everything here compiles for the host."""


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    ("dtype", "c_type"), [(np.float32, "float"), (np.float16, "__half"), (ml_dtypes.bfloat16, "__nv_bfloat16")]
)
def test_arrays_change_in_place(check: bool, dtype: type, c_type: str) -> None:
    x = np.arange(10).astype(dtype)
    y = np.full(12, 7).astype(dtype)
    run_kernel(MIXED, "scale", 1, 32, [10, x, 0.5, y, True], check=check, outputs=["y"], macros={"T": c_type})
    np.testing.assert_array_equal(y.astype(np.float64), [*(-0.5 * np.arange(10)), 7, 7])


@pytest.mark.parametrize("check", [True, False])
def test_arrays_are_aligned_as_on_a_gpu(check: bool) -> None:
    text = """extern "C" __global__ void k(const float* x, int* y) {
    y[0] = ((unsigned long long)x | (unsigned long long)y) % 256;
}"""
    x, y = np.zeros(9, np.float32), np.full(9, 7, np.int32)
    run_kernel(text, "k", 1, 1, [x[1:], y[3:5]], check=check)
    assert y.tolist() == [7, 7, 7, 0, *[7] * 5]


def test_one_element_has_its_own_bounds() -> None:
    x, y = np.ones(1, np.float32), np.ones(1, np.float32)
    run_kernel(MIXED, "scale", 1, 32, [1, x, 3, y, False])
    assert y[0] == 3
    with pytest.raises(KernelFault) as error:
        run_kernel(MIXED, "scale", 1, 32, [2, x, 3, y, False])
    assert (error.value.kind, error.value.argument) == ("out-of-bounds", "x")


def test_the_same_array_twice_stays_the_same() -> None:
    x = np.arange(8, dtype=np.float32)
    run_kernel(MIXED, "scale", 1, 32, [8, x, 2, x, False])
    np.testing.assert_array_equal(x, 2 * np.arange(8))
    with pytest.raises(KernelError, match="y overlaps another array"):
        run_kernel(MIXED, "scale", 1, 32, [4, x[:4], 2, x[2:6], False])


def test_a_fault_leaves_the_arrays_alone_and_the_next_launch_works() -> None:
    x, y = np.ones(8, np.float32), np.zeros(8, np.float32)
    with pytest.raises(KernelFault) as error:
        run_kernel(MIXED, "scale", 1, 32, [9, x, 2, y, False])
    fault = error.value
    assert isinstance(fault, gl.KernelError)
    assert (fault.kind, fault.line, fault.block, fault.thread, fault.argument) == (
        "out-of-bounds", 7, (0, 0, 0), (8, 0, 0), "x",
    )  # fmt: skip
    assert str(fault).splitlines()[0] == (
        "scale on sim: out-of-bounds: line 7 reads 4 bytes at byte 32 of x, which has 32"
    )
    again = pickle.loads(pickle.dumps(fault))
    assert (str(again), again.kind, again.thread) == (str(fault), fault.kind, fault.thread)
    np.testing.assert_array_equal(y, 0)
    run_kernel(MIXED, "scale", 1, 32, [8, x, 2, y, False])
    np.testing.assert_array_equal(y, 2)


READ_ONLY = np.zeros(8, np.float32)
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    ("args", "keywords", "says"),
    [
        ([8, "x", 2, "y"], {}, "4 arguments, 5 parameters"),
        ([8, np.zeros(8), 2, "y", False], {}, "x is float64, the parameter is"),
        ([8, np.zeros((8, 2), np.float32)[:, 0], 2, "y", False], {}, "not C-contiguous"),
        ([8, 1.5, 2, "y", False], {}, "x is float"),
        ([8, READ_ONLY, 2, READ_ONLY, False], {}, "y is read-only, the parameter is"),
        ([2**40, "x", 2, "y", False], {}, "n is 1099511627776, the parameter is int n"),
        ([8.0, "x", 2, "y", False], {}, "n is 8.0, the parameter is int n"),
        ([np.array(8), "x", 2, "y", False], {}, r"n is an array of shape \(\), the parameter is int n"),
        ([8, "x", 2, "y", False], {"outputs": ["z"]}, r"outputs names z, no array parameter\n  need x, y"),
        ([8, "x", 2, "y", False], {"outputs": "n"}, "outputs names n, no array parameter"),
        ([8, "x", 2, "y", False], {"grid": 0}, "entry scale: grid is 0"),
        ([8, "x", 2, "y", False], {"grid": 2.0}, "entry scale: grid is 2.0"),
        ([8, "x", 2, "y", False], {"grid": (1, 70000)}, "grid.y is 70000, the limits are 1 and 65535"),
        ([8, "x", 2, "y", False], {"entry": "other"}, "kernel.cu: no entry 'other'"),
        ([8, "x", 2, "y", False], {"block": 2048}, "block.x is 2048, the limits are 1 and 1024"),
        ([8, "x", 2, "y", False], {"block": (64, 32)}, "a block has 2048 threads, the limit is 1024"),
        ([8, "x", 2, "y", False], {"block": (1, 1, 65)}, "block.z is 65, the limits are 1 and 64"),
        (
            [8, "x", 2, "y", False],
            {"shared_mem": 1 << 20},
            "1048576 bytes of dynamic shared memory, the limit is 232448",
        ),
        ([8, "x", 2, "y", False], {"shared_mem": 128.0}, "shared_mem is 128.0"),
        ([8, "x", 2, "y", False], {"macros": ["T"]}, "macros is list"),
        ([8, "x", 2, "y", False], {"source": None}, "source is NoneType"),
        ([8, "x", 2, "y", False], {"source": MIXED.rstrip()[:-1]}, r"kernel.cu:\d+: this brace is never closed"),
    ],
)
def test_what_does_not_fit_is_refused(args: list[object], keywords: dict[str, object], says: str) -> None:
    plain = [np.zeros(8, np.float32) if isinstance(a, str) else a for a in args]
    call = {"source": MIXED, "entry": "scale", "grid": 1, "block": 32, **keywords}
    with pytest.raises(KernelError, match=says):
        run_kernel(args=plain, **call)  # type: ignore[arg-type]


def test_float_atomics_are_exempt_on_request() -> None:
    text = 'extern "C" __global__ void sum(const float* x, float* y) { atomicAdd(y, x[threadIdx.x]); }'
    x = np.random.default_rng(0).standard_normal(100).astype(np.float32)
    with pytest.raises(KernelFault) as error:
        run_kernel(text, "sum", 1, 100, [x, np.zeros(1, np.float32)])
    assert (error.value.kind, error.value.line, error.value.argument) == ("order", 1, "y")
    y = np.zeros(1, np.float32)
    run_kernel(text, "sum", 1, 100, [x, y], float_atomics=True)
    assert abs(y[0] - x.sum(dtype=np.float64)) < 1e-4


def test_the_checked_mode_is_a_context() -> None:
    before = backend.checking.current()
    with backend.checked(orders=("backward",), seed=3):
        assert backend.checking.current() == backend.Checks(("backward",), 3)
        with backend.checked(False):
            assert backend.checking.current() is None
        assert backend.checking.current() is not None
    assert backend.checking.current() is before
    with pytest.raises(ValueError, match="sideways"):
        backend.checked(orders=("sideways",))


def test_an_output_of_the_library_that_is_read_before_it_is_written() -> None:
    kernel = gl.kernel.Kernel.from_source(
        "add.cu", 'extern "C" __global__ void k(float* y) { y[threadIdx.x] += 1; }', "k", "y |"
    )
    sim = backend.get("sim")
    with backend.checked():
        with pytest.raises(KernelFault, match="uninitialised"):
            kernel(1, 8, sim.empty((8,), np.float32))
        y = sim.zeros((8,), np.float32)
        kernel(1, 8, y)
        kernel(1, 8, y)
    np.testing.assert_array_equal(y, 2)


def test_samples_are_read_from_comments() -> None:
    text = MIXED + "\n// sample: scale 2,1 16 20 float32[20]=arange 0.5 out:float32[20] 0 T=float shared=64\n"
    (sample,) = samples(from_text("scale.cu", text))
    assert (sample.grid, sample.block, sample.shared, dict(sample.macros)) == ((2, 1), (16,), 64, {"T": "float"})
    *_, y, _ = sample.run(from_text("scale.cu", text))
    np.testing.assert_array_equal(y, 0.5 * np.arange(20))
    for wrong in ("scale 2", "scale a 16 20", "scale 1 16 float33[20]", "scale 1 16 [20]", "scale 1 16 20 shared=x"):
        with pytest.raises(KernelError, match=r"scale.cu:\d+: sample: "):
            samples(from_text("scale.cu", f"{MIXED}\n// sample: {wrong}\n"))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "scale.cu"
    path.write_text(MIXED + "\n// sample: scale 1 32 20 float32[20] 0.5 out:float32[20] 0\n")
    assert main(["check", str(path)]) == 0
    assert "clean  scale 1 32 20" in capsys.readouterr().out
    path.write_text(MIXED + "\n// sample: scale 1 32 21 float32[20] 0.5 out:float32[20] 0\n")
    assert main(["check", str(path), "--arch"]) == 1
    out = capsys.readouterr().out
    assert "FAULT  scale 1 32 21" in out
    assert "out-of-bounds: line 7" in out
    assert main(["check", str(tmp_path / "none.cu")]) == 2


def test_the_command_says_what_it_could_not_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "scale.cu"
    path.write_text(MIXED.replace('extern "C"', ""))
    assert main(["check", str(path), "--arch"]) == 1
    assert 'no entry: need an extern "C" __global__ function' in capsys.readouterr().out
    monkeypatch.setattr(backend, "available", lambda name: (False, f"no {name} here"))
    path.write_text(MIXED)
    assert main(["check", str(path), "--arch"]) == 0
    path.write_text(MIXED + "\n// sample: scale 1 32 20 float32[20] 0.5 out:float32[20] 0\n")
    assert main(["check", str(path), "--arch"]) == 1
    assert "not run: no sim here" in capsys.readouterr().out


def test_the_command_without_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "scale.cu"
    path.write_text(MIXED)
    assert main(["check", str(path), "--arch"]) == 0
    assert "compiled for sim, not run: no samples (// sample: entry grid block args" in capsys.readouterr().out
    path.write_text(MIXED.replace("y[i]", "z[i]"))
    assert main(["check", str(path), "--arch"]) == 1
    assert "'z' was not declared" in capsys.readouterr().out


def test_the_command_compiles_for_each_architecture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there, reason = backend.nvrtc.available()
    if not there:
        pytest.skip(reason.splitlines()[0])
    path = tmp_path / "scale.cu"
    path.write_text(MIXED)
    assert main(["check", str(path), "--arch", "sm_80", "sm_90a"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("  scale")]
    assert [row[:2] for row in rows] == [["scale", "sm_80"], ["scale", "sm_90a"]]
    assert all(int(row[2]) > 0 and row[-2:] == ["100", "%"] for row in rows)
    path.write_text(MIXED.replace("y[i]", "z[i]"))
    assert main(["check", str(path), "--arch", "sm_80"]) == 1


def test_occupancy() -> None:
    # 65536 registers of a multiprocessor hold 8 blocks of 256 threads with 32 each, 2 with 128 each.
    assert occupancy("sm_80", 32, 0, 256) == 1.0
    assert occupancy("sm_80", 128, 0, 256) == 0.25
    # 164 KB hold three blocks of 50 KB: 3 * 128 of 2048 threads.
    assert occupancy("sm_80", 16, 50 * 1024, 128) == 3 * 128 / 2048
    assert occupancy("sm_80", 255, 0, 1024) == 0.0
    assert occupancy("sm_70", 32, 0, 256) is None
