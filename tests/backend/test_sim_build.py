"""Building for sim: the compiler that is not there, errors with the source's own lines, the rewriting of __shared__."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gradlib.backend import Unit, get
from gradlib.backend.sim_build import compiler
from gradlib.backend.sim_rewrite import included, rewrite
from gradlib.errors import KernelError


def build_error(folder: Path, text: str, *, includes: tuple[Path, ...] = (), entries: tuple[str, ...] = ("k",)) -> str:
    with pytest.raises(KernelError) as error:
        get("sim").build(Unit("wrong.cu", text, (("T", "float"),), includes, entries), folder / "wrong.so")
    assert not (folder / "wrong.so").exists()
    return str(error.value)


def test_no_compiler(monkeypatch, tmp_path):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    for call in (get("sim").toolchain, lambda: get("sim").build(Unit("a.cu", ""), tmp_path / "a.so")):
        with pytest.raises(KernelError) as error:
            call()
        for part in (
            "none of g++, c++, clang++ is on PATH",
            "apt install g++",
            "brew install",
            "cpu device works without",
        ):
            assert part in str(error.value)
    monkeypatch.setenv("CXX", "no-such-compiler -O3")
    with pytest.raises(KernelError, match="CXX=no-such-compiler is not there"):
        get("sim").toolchain()
    assert list(tmp_path.iterdir()) == []


def test_the_toolchain_names_the_compiler_its_flags_and_options(sim, monkeypatch):
    plain = get(sim).toolchain()
    assert plain == get(sim).toolchain()
    monkeypatch.setenv("CXX", "g++ -DEXTRA=1")
    assert get(sim).toolchain() != plain
    assert "-DEXTRA=1" in get(sim).toolchain()


def test_an_error_names_the_line_of_the_source(sim_folder):
    text = """\
// comment
extern "C" __global__ void k(T* x) {
    extern
        __shared__ float
            memory[];  // spread over lines 3 to 5
    __shared__ T a[4],
                 b[2];
    x[0] = a[0] + unknown + memory[0];
    x[1] = b[0];
}
"""
    message = build_error(sim_folder, text)
    assert message.startswith("wrong.cu for sim T=float: the host's C++ compiler (")
    assert re.findall(r"^(\S+):(\d+):\d+: error: .*unknown", message, re.M) == [("wrong.cu", "8")]
    assert "x[0] = a[0] + unknown + memory[0];" in message  # the compiler quotes the source itself


def test_an_error_after_a_shared_variable_at_namespace_scope(sim_folder):
    text = '__shared__ float a[4];\nextern __shared__\nint b[];\nextern "C" __global__ void k() {\n a[0] = c; }\n'
    assert "wrong.cu:5:" in build_error(sim_folder, text)


def test_an_error_in_a_header(sim_folder, tmp_path):
    (tmp_path / "inner").mkdir()
    header = "#pragma once\n__device__ void f() {\n    __shared__ int s;\n    s = q;\n}\n"
    (tmp_path / "inner" / "a.cuh").write_text(header)
    text = '#include "inner/a.cuh"\nextern "C" __global__ void k() { f(); }\n'
    message = build_error(sim_folder, text, includes=(tmp_path,))
    assert "inner/a.cuh:4:" in message


def test_only_the_first_errors_are_shown(sim_folder):
    body = "\n".join(f"    x[{i}] = missing{i};" for i in range(50))
    message = build_error(sim_folder, f'extern "C" __global__ void k(T* x) {{\n{body}\n}}\n')
    assert message.count("error:") == 4
    assert message.endswith("(more errors follow)")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('asm volatile("fence.proxy.async;");', "inline PTX has no meaning on the host"),
        ("float4 v{}; v = __shfl_sync(0xffffffffu, v, 0);", "a shuffle takes integers, float, double"),
        ("__pipeline_commit();", "__pipeline_commit"),
        ("float v = __fadd_rz(1.0f, 2.0f);", "__fadd_rz"),
        ("atomicAdd((short*)0, (short)1);", "atomicAdd"),
        ("__shared__ float v = 1;", "wrong.cu:2: sim cannot read this __shared__ declaration: float v = 1"),
    ],
)
def test_what_sim_lacks_does_not_compile(sim_folder, body, says):
    assert says in build_error(sim_folder, f'extern "C" __global__ void k() {{\n    {body}\n}}\n')


def test_an_entry_that_is_not_there(sim, sim_folder):
    text = 'extern "C" __global__ void k() {}\n'
    assert "other" in build_error(sim_folder, text, entries=("k", "other"))
    get(sim).build(Unit("right.cu", text, (), (), ("k",)), sim_folder / "right.so")
    with pytest.raises(KernelError, match="has no entry other"):
        get(sim).load(sim_folder / "right.so", "other")
    (sim_folder / "broken.so").write_bytes(b"not a library")
    with pytest.raises(KernelError, match=r"broken.so cannot be loaded"):
        get(sim).load(sim_folder / "broken.so", "k")


def test_macros_may_have_the_names_of_the_headers(kernel):
    names = ("T", "N", "V", "P", "I", "R", "value", "name", "x_", "mask", "lane", "entry", "F16")
    text = 'extern "C" __global__ void k(int* out) { *out = T + N + V + P + I + R + value + name + lane; }'
    kernel(text, macros=dict.fromkeys(names, "1"))


@pytest.mark.parametrize(
    "text",
    [
        "int a; // __shared__ float x[3];\n",
        '/* __shared__ float x; \n */ const char* s = "__shared__ int x;";\n',
        "float y = 1'000'000.f; // it's\n",
    ],
)
def test_text_without_a_declaration_is_left_alone(text):
    assert rewrite(text, "a.cu") == text


@pytest.mark.parametrize(
    ("declaration", "parts"),
    [
        ("__shared__ float a;", ["typedef float gradlib_type_a;", "gradlib_type_a& a ="]),
        ("__shared__ float a[N][M + 1], b;", ["float gradlib_type_a[N][M + 1];", "float gradlib_type_b;"]),
        ("static __shared__ volatile unsigned int a[2];", ["typedef volatile unsigned int gradlib_type_a[2];"]),
        ("float __shared__ a[2];", ["typedef float gradlib_type_a[2];"]),
        ("__shared__ Pair<int, 3> a[(N > 2) ? 1 : 2];", ["typedef Pair<int, 3> gradlib_type_a[(N > 2) ? 1 : 2];"]),
        ("__shared__ typename A<T>::type a, *b;", ["gradlib_type_a;", "typedef typename A<T>::type * gradlib_type_b;"]),
        ("__shared__ alignas(128) T a[4];", ["struct alignas(128) gradlib_align_a {};", "alignof(gradlib_align_a)"]),
        ("__shared__ union { int i; float f[2]; } a;", ["typedef union { int i; float f[2]; } gradlib_type_a;"]),
        ("extern __shared__ __align__(16) char a[];", ["char gradlib_type_a[];", "dynamic_shared<gradlib_type_a>()"]),
        ("case 1: __shared__ int a;", ["case 1: typedef int gradlib_type_a;"]),
    ],
)
def test_declarations(declaration, parts):
    text = f"void f() {{\n    g(); /* c */ {declaration} h();\n}}\n"
    new = rewrite(text, "a.cu")
    for part in parts:
        assert part in " ".join(new.split())
    assert "__shared__" not in new
    assert new.count("\n") == text.count("\n")
    assert new.startswith("void f() {\n    g(); /* c */ ")
    assert new.endswith("; h();\n}\n")


def test_a_declaration_in_a_macro(kernel):
    text = """
#define TILE(name, size) \\
    __shared__ int name[size]; \\
    name[0] = size
extern "C" __global__ void k(int* out) {
    TILE(a, 3);
    { TILE(b, 4); *out += b[0]; }
    *out += a[0];
}"""
    out = np.zeros(1, np.int32)
    kernel(text)(1, 1, out)
    assert out[0] == 7


def test_a_declaration_without_an_end():
    with pytest.raises(KernelError, match=r"a.cu:2: this __shared__ declaration has no end"):
        rewrite("void f() {\n__shared__ float x[3]", "a.cu")


def test_included_files(tmp_path):
    (tmp_path / "one" / "deep").mkdir(parents=True)
    (tmp_path / "one" / "a.cuh").write_text('#include "deep/b.cuh"\n#include "missing.cuh"\n')
    (tmp_path / "one" / "deep" / "b.cuh").write_text('#include "one/a.cuh"\n')
    found = included('#include "one/a.cuh"\n  # include "one/a.cuh"\n', (tmp_path / "none", tmp_path))
    assert sorted(found) == ["one/a.cuh", "one/deep/b.cuh"]


ELSEWHERE = """
import os, sys, numpy as np
from gradlib.backend import get
from gradlib.kernel import Kernel
get("sim").use_threads(3)
kernel = Kernel.from_source("elsewhere.cu", '''extern "C" __global__ void k(int* out) {
    atomicAdd(&out[__shfl_sync(0xffffffff, (int)blockIdx.x, 3)], __syncthreads_count(threadIdx.x % 3 == 0));
}''', "k", "out |")
def launch():
    out = get("sim").zeros(50, np.int32)
    kernel(50, 96, out)
    assert (out == 96 * 32).all()
launch()
if len(sys.argv) > 1:  # the helpers of the parent are not there in a child, which must not wait for them
    child = os.fork()
    if child == 0:
        launch()
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    launch()
"""


@pytest.mark.parametrize(("options", "fork"), [("", True), (" -DGRADLIB_SIM_UCONTEXT", False)])
def test_in_another_process(sim, options, fork):
    """After a fork; and with the fibers of processors that have no switch of their own."""
    environment = {**os.environ, "CXX": shlex.join(compiler()) + options}
    command = [sys.executable, "-W", "ignore", "-c", ELSEWHERE, *["fork"] * fork]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
