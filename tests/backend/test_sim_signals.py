"""What would end the process on sim: a stack that is full, memory that is not there.  It ends the launch alone."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from gradlib.errors import KernelError, KernelFault

RECURSIONS = """
#define RECURSION(name, statement)                                   \\
    __device__ int name(int n, int* out) {                           \\
        volatile int here[3] = {n, 1, 2}; /* no loop can replace it */ \\
        if (n == 0) return 0;                                        \\
        statement;                                                   \\
        return name(n - 1, out) * here[n & 1] + n;                   \\
    }
RECURSION(plain, )
RECURSION(mathematical, out[threadIdx.x] += (int)(1e-9f * expf(n)))
RECURSION(waiting, __syncthreads())
RECURSION(talking, if (n % 4096 == 4095) printf("%d of %f\\n", n, (double)n))
extern "C" __global__ void k(int* out, int kind, int n) {
    int (*const kinds[])(int, int*) = {plain, mathematical, waiting, talking};
    int result = kinds[kind](n, out);
    __syncthreads();
    out[threadIdx.x] = result;
}
extern "C" __global__ void alone(int* out, int n) {  // whose threads share one stack
    out[threadIdx.x] = plain(n, out);
}"""
FULL = r"fills its stack: its calls and local arrays take more than 512 KiB, in block \(\d, 0, 0\)"


@pytest.mark.parametrize("kind", range(4), ids=["plain", "mathematical", "waiting", "talking"])
def test_a_recursion_without_end(kernel, good, kind):
    deep = kernel(RECURSIONS)
    out = np.zeros(70, np.int32)
    for _ in range(3):
        deep(1, 70, out, kind, 100)  # later on the stacks that were full
        with pytest.raises(KernelFault, match=FULL) as error:
            deep(3, 70, out, kind, -1)
        fault = error.value
        assert (fault.kind, fault.argument) == ("out-of-bounds", "the thread's stack")
        assert f"thread {fault.thread} fills" in str(fault)
        assert f"in block {fault.block}" in str(fault)
    good()


def test_a_recursion_of_threads_that_never_wait(kernel, good):
    deep = kernel(RECURSIONS, "alone")
    out = np.zeros(40, np.int32)
    deep(1, 40, out, 5000)
    with pytest.raises(KernelFault, match=FULL):
        deep(3, 40, out, -1)
    good()


@pytest.mark.parametrize("kilobytes", [500, 520, 4 << 10])
def test_a_large_local_array(kernel, good, kilobytes):
    """The last one reaches over all of the stack, and over others, without touching what lies between."""
    large = kernel(f"""extern "C" __global__ void k(int* out, int i) {{
    char local[{kilobytes} << 10];
    for (int k = 0; k < 3; ++k) local[(k + 1) * i] = k;
    __syncthreads();
    out[threadIdx.x] = local[2 * i];
}}""")
    out = np.zeros(33, np.int32)
    if kilobytes > 512:
        for _ in range(2):
            with pytest.raises(KernelFault, match=FULL):
                large(4, 33, out, 100)
    else:
        large(1, 33, out, 100)
        assert (out == 1).all()
    good()


def test_a_full_stack_in_a_cluster(kernel, good):
    deep = kernel("""__device__ int f(int n) {
    volatile int here[3] = {n, 1, 2};
    return n == 0 ? 0 : f(n - 1) * here[n & 1] + n;
}
extern "C" __global__ void __cluster_dims__(2) k(int* out, int n) {
    __syncthreads();
    out[threadIdx.x] = f(blockIdx.x == 3 && threadIdx.x == 4 ? n : 10);
}""")
    out = np.zeros(32, np.int32)
    deep(4, 32, out, 10)
    with pytest.raises(KernelFault, match=FULL) as error:
        deep(4, 32, out, -1)
    assert (error.value.block, error.value.thread) == ((3, 0, 0), (4, 0, 0))
    deep(4, 32, out, 10)
    good()


def test_memory_that_is_not_there(kernel, good):
    wild = kernel("""extern "C" __global__ void k(char* x, long long at, int call) {
    __syncthreads();
    if (threadIdx.x != 5) return;
    if (call) ((void (*)())(x + at))();
    x[at] = 1;
}""")
    x = np.zeros(32, np.int8)
    wild(1, 32, x, np.int64(7), 0)
    assert x.sum() == x[7] == 1
    for address, call in [(8, 0), (1 << 20, 0), (0, 1)]:
        says = rf"thread \(5, 0, 0\) uses the address {address:#x}, where no memory is for it, in block \(0, 0, 0\)"
        with pytest.raises(KernelFault, match=says) as error:
            wild(1, 32, x, np.int64(address - x.ctypes.data), call)
        assert (error.value.kind, error.value.thread) == ("out-of-bounds", (5, 0, 0))
    # What no memory can have; some processors say which address that was.
    with pytest.raises(KernelError, match=r"thread \(5, 0, 0\) uses (the address|a misaligned vector, or an address)"):
        wild(1, 32, x, np.int64(1 << 60), 0)
    good()


ELSEWHERE = """
import ctypes, faulthandler, os, sys, threading
import numpy as np
from gradlib.errors import KernelFault
from gradlib.testing import run_kernel
faulthandler.enable(sys.stdout)
text = '''
extern "C" __global__ void wait(volatile int* flag) { while (!*flag) {} }
extern "C" __global__ void wild(int* x) { x[1 << 20] = 1; }'''
try:
    run_kernel(text, "wild", 1, 1, [None], check=False)
except KernelFault as fault:
    print("a fault", fault.kind, flush=True)
child = os.fork()
if child == 0:
    ctypes.string_at(16)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -11
# And while a kernel runs on another thread.
flag = np.zeros(1, np.int32)
other = threading.Thread(target=lambda: run_kernel(text, "wait", 1, 1, [flag], check=False), daemon=True)
other.start()
other.join(0.1)
assert other.is_alive()
ctypes.string_at(32)
"""


def test_a_signal_that_no_kernel_caused(sim):
    """It ends the process as it always did, and whoever listened before the launch hears of it."""
    command = [sys.executable, "-W", "ignore", "-c", ELSEWHERE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == -11, done.stderr
    assert "a fault out-of-bounds" in done.stdout
    assert done.stdout.count("Fatal Python error: Segmentation fault") == 2
    assert done.stdout.count("in string_at") == 2
