from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from gradlib.backend import get, nvrtc
from gradlib.errors import KernelError
from gradlib.kernel import Kernel, build, cache, compile_many
from gradlib.kernel.source import Source

needs_nvrtc = pytest.mark.skipif(not nvrtc.available()[0], reason=nvrtc.available()[1])
TEXT = '#ifndef N\n#define N 1\n#endif\nextern "C" __global__ void f(float* x) { x[0] = N; }\n'


def _source(text: str = TEXT, name: str = "a.cu") -> Source:
    return Source(name, text, ())


def test_the_key_sees_all_that_decides_a_file(fake: Any) -> None:
    def key(source: Source, **macros: Any) -> str:
        return build.job(source, macros, fake).key

    plain = key(_source())
    assert key(_source()) == plain == key(_source(), N=1)
    others = {key(_source(), N=2), key(_source(TEXT + "\n")), key(_source(name="b.cu"))}
    fake.version = "fake 2"
    others.add(key(_source()))
    fake.version, fake.suffix = "fake 1", ".other"
    others.add(key(_source()))
    assert len(others | {plain}) == 6


def test_compile_many_in_one_process(fake: Any) -> None:
    kernel = Kernel.from_source("a.cu", TEXT, "f", "x")
    paths = compile_many([(kernel, {}), (_source(), {"N": 2}), (kernel, {"N": 1})], fake, processes=1)
    assert paths[0] == paths[2] != paths[1]
    assert len(fake.units) == 2
    assert compile_many([(kernel, {}), (kernel, {"N": 2})], fake, processes=2) == paths[:2]  # from the cache
    assert len(fake.units) == 2


def test_compile_many_reports_every_failure(fake: Any) -> None:
    fake.fails = True
    results = compile_many([(_source(), {}), (_source(), {"N": 2})], fake, processes=1, check=False)
    assert [str(result) for result in results] == ["does not compile"] * 2
    with pytest.raises(KernelError, match="does not compile\n\ndoes not compile"):
        compile_many([(_source(), {}), (_source(), {"N": 2})], fake, processes=1)


@needs_nvrtc
def test_compile_many_in_processes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GRADLIB_CACHE", str(tmp_path))
    broken = _source("#ifndef N\n#define N\n#endif\n" + TEXT.replace("= N", "= undefined"), "broken.cu")
    items = [(_source(), {"N": n}) for n in range(4)]
    results = compile_many([*items, (broken, {"N": 7})], nvrtc.Compiler("sm_80"), processes=2, check=False)
    for path in results[:-1]:
        assert isinstance(path, Path)
        assert path.read_bytes()[:4] == b"\x7fELF"
        assert nvrtc.resources(cache.log_of(path))[0].entry == "f"
    assert len(set(results)) == 5
    assert isinstance(results[-1], KernelError)
    assert "broken.cu: NVRTC" in str(results[-1])
    assert 'identifier "undefined" is undefined' in str(results[-1])


@needs_nvrtc
def test_a_worker_that_dies_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GRADLIB_CACHE", str(tmp_path))
    monkeypatch.setattr("sys.executable", "false" if os.name == "posix" else "cmd")
    with pytest.raises(KernelError, match=r"a\.cu: the compiling process died"):
        compile_many([(_source(), {}), (_source(), {"N": 2}), (_source(), {"N": 3})], nvrtc.Compiler("sm_80"), 2)


def test_compile_many_for_sim_then_launch(sim: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GRADLIB_CACHE", str(tmp_path))
    device = get(sim)
    text = """
    #include "gradlib/core.cuh"
    #ifndef T
    #define T float
    #endif
    extern "C" __global__ void scale(const T* x, T* y, int n, double factor, long long last) {
      long long i = global_index();
      if (i < n) y[i] = from_acc<T>(to_acc(x[i]) * (acc_t<T>)factor + (acc_t<T>)last);
    }"""
    kernel = Kernel.from_source("scale.cu", text, "scale", "x y | n factor last")
    dtypes = [np.dtype(dtype) for dtype in (np.float32, np.float64, np.float16, ml_dtypes.bfloat16, np.int32)]
    paths = compile_many([(kernel, {"T": dtype}) for dtype in dtypes], device, processes=2)
    assert len(set(paths)) == len(dtypes)
    monkeypatch.setattr(device, "build", None)  # everything is there
    for dtype in dtypes:
        x = device.asarray(np.arange(100, dtype=dtype))
        y = device.zeros((100,), dtype)
        kernel(4, 32, x, y, 100, 2.0, 1, T=dtype)
        np.testing.assert_array_equal(device.to_host(y), (2 * np.arange(100) + 1).astype(dtype), strict=True)
