from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest

from gradlib.kernel import Kernel, LaunchRecord, launches, log, set_debug_level

TEXT = '#ifndef T\n#define T float\n#endif\nextern "C" __global__ void f(T* x, int n) {}\n'


@pytest.fixture
def kernel(fake: Any) -> Kernel:
    return Kernel.from_source("logged.cu", TEXT, "f", "x | n")


def test_launches_are_listed_with_what_they_were_given(fake: Any, kernel: Kernel) -> None:
    with launches() as log_:
        kernel((2, 3), 32, fake.array(1), 1, shared=8)
        kernel(1, 1, fake.array(1, np.float64), 1, T="double")
    kernel(1, 1, fake.array(1), 1)
    assert log_ == [
        LaunchRecord("f", "logged.cu", (2, 3, 1), (32, 1, 1), 8, (), "fake"),
        LaunchRecord("f", "logged.cu", (1, 1, 1), (1, 1, 1), 0, (("T", "double"),), "fake"),
    ]
    assert str(log_[1]) == "fake: logged.cu:f grid=(1, 1, 1) block=(1, 1, 1) shared=0 T=double"


def test_logs_nest_and_close_on_an_exception(fake: Any, kernel: Kernel) -> None:
    with launches() as outer:
        kernel(1, 1, fake.array(1), 1)
        with contextlib.suppress(RuntimeError), launches() as inner:
            kernel(2, 1, fake.array(1), 1)
            raise RuntimeError
        kernel(3, 1, fake.array(1), 1)
    assert [record.grid[0] for record in outer] == [1, 2, 3]
    assert [record.grid[0] for record in inner] == [2]
    assert not log.active


def test_equal_logs_are_closed_by_identity(fake: Any, kernel: Kernel) -> None:
    with launches() as outer:
        with launches():
            pass
        kernel(1, 1, fake.array(1), 1)
    assert len(outer) == 1


def test_a_failed_launch_is_not_listed(fake: Any, kernel: Kernel) -> None:
    with launches() as log_, pytest.raises(Exception, match="grid"):
        kernel(0, 1, fake.array(1), 1)
    assert log_ == []


def test_debug_levels_print_launches_and_builds(fake: Any, kernel: Kernel, capsys: Any) -> None:
    before = log.debug_level()
    try:
        set_debug_level(2)
        kernel(1, 1, fake.array(1), 1)
        printed = capsys.readouterr().err
        assert printed.startswith("      10.0 us ")
        assert "  fake: logged.cu:f grid=(1, 1, 1)" in printed
        assert "__global__" not in printed
        set_debug_level(4)
        kernel(1, 1, fake.array(1, np.float64), 1, T="double")
        kernel(1, 1, fake.array(1, np.float64), 1, T="double")
        printed = capsys.readouterr().err
        assert printed.startswith("source: logged.cu, a string\nmacros: T=double\ncompiled: ")
        assert printed.count('extern "C" __global__ void f(T* x, int n) {}') == 1
        assert "\ncompiler: fake log\n" in printed
        assert printed.count(" us ") == 2
        fake.log = "Compiling entry function 'f'\n8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads\n"
        fake.log += "Used 40 registers, 512 bytes smem"
        kernel(1, 1, fake.array(1, np.float16), 1, T="__half")
        printed = capsys.readouterr().err
        assert "compiler: f: 40 registers, 16 bytes spilled, 8 of stack, 512 of shared memory\n" in printed
    finally:
        set_debug_level(before)
