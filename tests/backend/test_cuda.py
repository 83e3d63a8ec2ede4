from __future__ import annotations

import ctypes
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import gradlib.backend
from gradlib.backend import cuda, nvrtc
from gradlib.errors import DeviceError, DTypeError, KernelError
from gradlib.kernel import Kernel, launches

needs_gpu = [pytest.mark.gpu, pytest.mark.skipif(not cuda.available()[0], reason=cuda.available()[1].split("\n")[0])]


class StubArray(np.ndarray):
    """Stands for cupy.ndarray."""

    @property
    def data(self) -> Any:  # type: ignore[override]
        return SimpleNamespace(ptr=self.__array_interface__["data"][0])

    def get(self) -> Any:
        return np.array(self.view(np.ndarray))


class DriverError(RuntimeError):
    """Stands for CuPy's errors, of the run-time library and of the driver."""

    def __init__(self, text: str, status: int = 1) -> None:
        super().__init__(text)
        self.status = status


class StubKernel:
    """Stands for cupy.RawKernel: loads on the current device when its function is asked for."""

    shared_size_bytes, max_threads_per_block = 1024, 512

    def __init__(self, cupy: StubCuPy, path: str, entry: str) -> None:
        self.cupy, self.path, self.entry = cupy, path, entry

    @property
    def kernel(self) -> Any:
        if self.cupy.load_fails:
            raise DriverError("CUDA_ERROR_NO_BINARY_FOR_GPU: no kernel image")
        return SimpleNamespace(ptr=7000 + self.cupy.device)

    @property
    def max_dynamic_shared_size_bytes(self) -> int:
        raise AssertionError("only set")

    @max_dynamic_shared_size_bytes.setter
    def max_dynamic_shared_size_bytes(self, size: int) -> None:
        self.cupy.opted_in.append((self.cupy.device, size))


class StubCuPy:
    """A CuPy whose driver reads each argument as CUDA's does, by the sizes it knows, and notes them."""

    ndarray = StubArray
    parameters: tuple[int, ...] = (8, 4)  # sizes

    def __init__(self) -> None:
        self.device = 0
        self.load_fails = self.launch_fails = False
        self.opted_in: list[tuple[int, int]] = []
        self.contexts: list[int] = []
        self.launched: list[tuple[Any, ...]] = []
        attributes = {f"Max{kind}Dim{axis}": 1024 for kind in ("Block", "Grid") for axis in "XYZ"}
        attributes |= {
            "MaxThreadsPerBlock": 1024,
            "MaxSharedMemoryPerBlockOptin": 232448,
            "MultiProcessorCount": 78,
            "MaxGridDimX": 2**31 - 1,
        }
        self.cuda = SimpleNamespace(
            Device=lambda: SimpleNamespace(
                id=0, compute_capability="90", attributes=attributes, synchronize=lambda: None
            ),
            runtime=SimpleNamespace(
                getDevice=lambda: self.device,
                getDeviceProperties=lambda device: {"name": b"Stub GPU"},
                memGetInfo=self._mem_get_info,
                driverGetVersion=lambda: 12040,
            ),
            driver=SimpleNamespace(launchKernel=self._launch),
            get_current_stream=lambda device: SimpleNamespace(ptr=500 + device),
        )

    def RawModule(self, path: str) -> Any:
        return SimpleNamespace(get_function=lambda entry: StubKernel(self, path, entry))

    def asarray(self, value: Any, dtype: Any = None) -> Any:
        assert np.asarray(value).dtype != ml_dtypes.bfloat16
        return np.array(value, dtype).view(StubArray)

    def _mem_get_info(self) -> tuple[int, int]:
        self.contexts.append(threading.get_ident())
        return 30, 100

    def _launch(self, function: int, *rest: int) -> None:
        if self.launch_fails:
            raise DriverError("CUDA_ERROR_ILLEGAL_ADDRESS")
        *sizes, stream, parameters, extra = rest
        assert extra == 0
        values = []
        for i, size in enumerate(self.parameters):
            place = ctypes.c_void_p.from_address(parameters + ctypes.sizeof(ctypes.c_void_p) * i).value
            values.append(ctypes.string_at(place, size))
        self.launched.append((function, tuple(sizes), stream, *values))


@pytest.fixture
def cupy() -> StubCuPy:
    return StubCuPy()


@pytest.fixture
def device(cupy: StubCuPy) -> cuda.CudaBackend:
    return cuda.CudaBackend(cupy)


def test_launch_hands_the_packed_block_to_the_driver(cupy: StubCuPy, device: cuda.CudaBackend) -> None:
    function = device.load(Path("a.cubin"), "f", (0, 8))
    function((1, 2, 3), (4, 5, 6), 64, b"0123456789ab")
    function((1, 1, 1), (1, 1, 1), 0, b"ba9876543210")
    assert cupy.launched == [
        (7000, (1, 2, 3, 4, 5, 6, 64), 500, b"01234567", b"89ab"),
        (7000, (1, 1, 1, 1, 1, 1, 0), 500, b"ba987654", b"3210"),
    ]
    assert (function.static_shared, function.max_threads) == (1024, 512)
    assert cupy.opted_in == [(0, 232448 - 1024)]
    assert len(cupy.contexts) == 1


def test_each_device_and_thread_gets_its_context_and_handle(cupy: StubCuPy, device: cuda.CudaBackend) -> None:
    cupy.parameters = (1,)
    function = device.load(Path("a.cubin"), "f", (0,))
    cupy.device = 1
    function((1, 1, 1), (1, 1, 1), 0, b"1")
    cupy.device = 0
    thread = threading.Thread(target=function, args=((1, 1, 1), (1, 1, 1), 0, b"2"))
    thread.start()
    thread.join()
    assert [(call[0], call[2], call[3]) for call in cupy.launched] == [(7001, 501, b"1"), (7000, 500, b"2")]
    assert [device for device, _ in cupy.opted_in] == [0, 1]
    assert len(set(cupy.contexts)) == 2


def test_a_prepared_launch_fills_in_addresses_and_maps(cupy: StubCuPy, device: cuda.CudaBackend) -> None:
    cupy.parameters = (8, 8, 4, 128)
    function = device.load(Path("a.cubin"), "f", (0, 8, 16, 64))
    packed = bytes(16) + b"keep" + bytes(44) + b"?" * 128
    launch = function.prepare((1, 2, 3), (4, 5, 6), 7, packed, 2)
    launch((1 << 40, 2), (64, b"m" * 128))
    cupy.device = 1
    launch((3, 4), (64, b"n" * 128))
    cupy.launch_fails = True
    with pytest.raises(KernelError, match="entry f: the launch failed"):
        launch((5, 6), (64, b"o" * 128))

    def address(n: int) -> bytes:
        return n.to_bytes(8, sys.byteorder)

    assert cupy.launched == [
        (7000, (1, 2, 3, 4, 5, 6, 7), 500, address(1 << 40), address(2), b"keep", b"m" * 128),
        (7001, (1, 2, 3, 4, 5, 6, 7), 501, address(3), address(4), b"keep", b"n" * 128),
    ]


def test_numbers_are_kept_for_each_device(cupy: StubCuPy, device: cuda.CudaBackend) -> None:
    device.constants()["one"] = 1
    cupy.device = 1
    assert device.constants() == {}
    cupy.device = 0
    assert device.constants() == {"one": 1}


def test_a_kernel_launches_through_the_backend(
    cupy: StubCuPy, device: cuda.CudaBackend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GRADLIB_CACHE", str(tmp_path))
    monkeypatch.setitem(gradlib.backend._by_type, StubArray, device)
    monkeypatch.setattr(device, "toolchain", lambda: "stub")
    monkeypatch.setattr(device, "build", lambda unit, target: target.write_text("cubin") and "log")
    kernel = Kernel.from_source("a.cu", 'extern "C" __global__ void f(const float* x, int n) {}', "f", "x | n")
    x = device.asarray(np.zeros(3, np.float32))
    with launches() as log:
        kernel(2, 512, x, 3)
    [(_, sizes, _, *block)] = cupy.launched
    assert sizes == (2, 1, 1, 512, 1, 1, 0)
    assert block == [x.data.ptr.to_bytes(8, sys.byteorder), (3).to_bytes(4, sys.byteorder)]
    assert log[0].device == "cuda"
    with pytest.raises(KernelError, match="513 threads, the limit is 512"):
        kernel(2, 513, x, 3)
    with pytest.raises(KernelError, match="the limit is 231424"):
        kernel(2, 1, x, 3, shared=231425)


def test_driver_errors_are_kernel_errors(
    cupy: StubCuPy, device: cuda.CudaBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    function = device.load(Path("dense.cubin"), "f", (0,))
    cupy.launch_fails = True
    with pytest.raises(KernelError, match=r"entry f: the launch failed: CUDA_ERROR_ILLEGAL_ADDRESS"):
        function((1, 1, 1), (1, 1, 1), 0, b"1")
    cupy.load_fails = True
    monkeypatch.setattr(nvrtc, "version", lambda: (13, 5))
    with pytest.raises(KernelError, match=r"NO_BINARY_FOR_GPU.*\n.*NVRTC 13\.5, the driver serves CUDA 12\.4"):
        device.load(Path("dense.cubin"), "f", (0,))


def test_the_target_is_the_devices_own(device: cuda.CudaBackend) -> None:
    assert device.builder == "nvrtc:sm_90a"
    assert device.limits.shared == 232448
    assert (device.limits.architecture, device.limits.multiprocessors) == ("sm_90a", 78)
    assert device.limits.grid == (2**31 - 1, 1024, 1024)
    assert cuda._capability("103") == (10, 3)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16, np.int64, np.bool_])
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_arrays_go_over_and_back(device: cuda.CudaBackend, dtype: Any, shape: tuple[int, ...]) -> None:
    host = (np.arange(np.prod(shape)).reshape(shape) % 2).astype(dtype)
    there = device.asarray(host)
    assert type(there) is StubArray
    assert (there.dtype, there.shape) == (host.dtype, shape)
    back = device.to_host(there)
    assert type(back) is np.ndarray
    np.testing.assert_array_equal(back, host, strict=True)
    assert device.coerce(there) is there
    assert type(device.coerce(host)) is StubArray


def test_what_no_gpu_array_can_hold(device: cuda.CudaBackend) -> None:
    with pytest.raises(DTypeError, match="dtype object cannot be moved to cuda"):
        device.asarray(["a", None])


def test_importing_gradlib_imports_no_cupy() -> None:
    code = "import sys, gradlib.backend.cuda; sys.exit('cupy' in sys.modules or 'cuda.bindings' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def _runtime(**functions: Any) -> Any:
    return SimpleNamespace(cuda=SimpleNamespace(runtime=SimpleNamespace(**functions)))


def _fails(text: str, status: int) -> Any:
    def function() -> int:
        raise DriverError(text, status)

    return function


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (_runtime(driverGetVersion=lambda: 0), "there is no NVIDIA driver"),
        (_runtime(driverGetVersion=lambda: 13000, getDeviceCount=lambda: 0), "there is no NVIDIA GPU"),
        (_runtime(driverGetVersion=lambda: 13000, getDeviceCount=_fails("", 100)), "there is no NVIDIA GPU"),
        (
            _runtime(driverGetVersion=lambda: 12040, runtimeGetVersion=lambda: 13000, getDeviceCount=_fails("old", 35)),
            r"the NVIDIA driver serves CUDA 12\.4, CuPy needs 13\.0 \(old\)\n.*gradlib\[cuda12\]",
        ),
    ],
)
def test_the_error_says_which_part_is_missing(module: Any, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(cuda.importlib, "import_module", lambda name: module)
    with pytest.raises(DeviceError, match=f"device cuda cannot be used: {said}"):
        cuda._cupy()


def test_a_missing_or_broken_cupy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DeviceError, match=r"CuPy is not installed\n  need pip install 'gradlib\[cuda13\]'"):
        cuda._cupy()

    def broken(name: str) -> Any:
        raise ImportError("libcudart.so.13: cannot open\nlong explanation")

    monkeypatch.setattr(cuda.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(cuda.importlib, "import_module", broken)
    with pytest.raises(DeviceError, match=r"cannot be imported: libcudart\.so\.13: cannot open\n  need pip install"):
        cuda._cupy()


class TestOnAGpu:
    """What only a GPU can show: that the driver takes what the stub takes."""

    pytestmark = needs_gpu
    TEXT = """
    #include "gradlib/core.cuh"
    #ifndef T
    #define T float
    #endif
    extern "C" __global__ void scale(const T* x, T* y, int n, double factor, long long last) {
      extern __shared__ unsigned char room[];
      if (threadIdx.x == 0 && last > 0) room[last - 1] = 1;
      int i = blockIdx.x * blockDim.x + threadIdx.x;
      if (i < n) y[i] = from_acc<T>(to_acc(x[i]) * (acc_t<T>)factor);
    }
    """

    @pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, ml_dtypes.bfloat16])
    @pytest.mark.parametrize("shared", [0, 49 * 1024, 232448])
    def test_launch(self, dtype: Any, shared: int) -> None:
        device = cuda.backend()
        shared = min(shared, device.limits.shared)
        kernel = Kernel.from_source("scale.cu", self.TEXT, "scale", "x y | n factor last")
        host = np.arange(1000).astype(dtype)
        x, y = device.asarray(host), device.zeros((1000,), dtype)
        kernel(4, 256, x, y, 1000, 0.5, shared, shared=shared, T=np.dtype(dtype))
        np.testing.assert_array_equal(device.to_host(y), (host.astype(np.float64) / 2).astype(dtype), strict=True)

    def test_launch_from_another_thread_and_stream(self) -> None:
        device = cuda.backend()
        kernel = Kernel.from_source("scale.cu", self.TEXT, "scale", "x y | n factor last")
        x, y = device.asarray(np.ones(10, np.float32)), device.zeros((10,), np.float32)

        def work() -> None:
            with device.xp.cuda.Stream(non_blocking=True) as stream:
                kernel(1, 32, x, y, 10, 3.0, 0)
                stream.synchronize()

        device.synchronize()
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        np.testing.assert_array_equal(device.to_host(y), np.full(10, 3, np.float32))

    @pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
    @pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16, np.int64, np.bool_])
    def test_arrays_go_over_and_back(self, dtype: Any, shape: tuple[int, ...]) -> None:
        device = cuda.backend()
        host = (np.arange(np.prod(shape)).reshape(shape) % 2).astype(dtype)
        np.testing.assert_array_equal(device.to_host(device.asarray(host)), host, strict=True)
        assert type(device.asarray(host)) is device.array_type

    def test_events_measure_time(self) -> None:
        device = cuda.backend()
        start = device.event()
        device.zeros((1 << 24,), np.float32)
        assert 0 < device.elapsed(start, device.event()) < 10
        used, total = device.memory()
        assert 0 < used < total
