"""What a wrong kernel does on sim: an error that names the place, never a hang, and the next launch works."""

from __future__ import annotations

import re

import numpy as np
import pytest

from gradlib.errors import KernelError, KernelFault

OVERWRITE = """
extern "C" __global__ void k(int index, int block) {
    __shared__ float first[64];
    __shared__ float second[7];
    first[threadIdx.x] = second[threadIdx.x % 7] = 0;
    if ((int)blockIdx.x == block) second[index] = 1;
}"""
DYNAMIC_OVERWRITE = """
extern "C" __global__ void k(int index) {
    extern __shared__ double values[];
    values[index] = 1;
}"""


@pytest.mark.parametrize(
    ("index", "where"),
    [
        (7, "past the end of the shared variable second: byte 28 of its 28 was overwritten"),
        (20, "past the end of the shared variable second: byte 80 of its 28"),
        (-2, "before the start of the shared variable second: byte -5 of its 28"),
    ],
)
def test_a_write_past_a_shared_variable(kernel, good, index, where):
    overwrite = kernel(OVERWRITE)
    overwrite(9, 64, 6, 5)
    with pytest.raises(KernelError, match=re.escape(f"a write {where}") + r".*in block \(5, 0, 0\)"):
        overwrite(9, 64, index, 5)
    good()


def test_a_write_past_dynamic_shared_memory(kernel, good):
    overwrite = kernel(DYNAMIC_OVERWRITE)
    overwrite(1, 1, 3, shared=32)
    with pytest.raises(KernelError, match="past the end of the shared variable dynamic shared memory"):
        overwrite(1, 1, 4, shared=32)
    with pytest.raises(KernelError, match="byte 0 of its 0"):
        overwrite(1, 1, 0)
    good()


def test_a_barrier_that_some_threads_return_before(kernel, good):
    early = kernel("""extern "C" __global__ void k(int limit) {
    if ((int)threadIdx.x >= limit) return;
    __syncthreads();
}""")
    early(4, 96, 96)
    with pytest.raises(KernelError) as error:
        early(4, (48, 2), 40)
    assert str(error.value) == (
        "k on sim, grid (4, 1, 1), block (48, 2, 1): no thread can go on: of 96 threads, "
        f"80 wait in __syncthreads() at test.cu:3, 16 have returned, in block ({_block(error)}, 0, 0)"
    )
    good()


def _block(error: pytest.ExceptionInfo[KernelError]) -> int:
    """Which block fails first is a race of the host's cores."""
    found = re.search(r"block \((\d), 0, 0\)", str(error.value))
    assert found is not None
    return int(found[1])


def test_two_waits_that_never_meet(kernel, good):
    apart = kernel("""extern "C" __global__ void k() {
    if (threadIdx.x < 33) {
        __syncthreads();
    } else {
        __syncwarp();
    }
}""")
    says = r"of 64 threads, 33 wait in __syncthreads\(\) at test.cu:3, 31 wait in __syncwarp\(\) at test.cu:5"
    with pytest.raises(KernelError, match=says):
        apart(1, 64)
    good()


def test_a_shuffle_that_a_lane_of_its_mask_misses(kernel, good):
    missing = kernel("""extern "C" __global__ void k(float* out, unsigned int mask) {
    if (threadIdx.x != 3) {
        float v = __shfl_down_sync(mask, 1.0f, 1);
        out[threadIdx.x] = v;
    }
    __syncthreads();
}""")
    out = np.zeros(64, np.float32)
    says = r"31 wait in __shfl_down_sync\(\) at test.cu:3, 33 wait in __syncthreads\(\) at test.cu:6"
    with pytest.raises(KernelError, match=says):
        missing(1, 64, out, np.uint32(2**32 - 1))
    says = r"at test.cu:3: thread \(4, 0, 0\) is lane 4, which its mask 0x0000000f leaves out"
    with pytest.raises(KernelError, match=says):
        missing(1, 64, out, np.uint32(15))
    good()


def test_different_collectives_of_one_warp(kernel, good):
    mixed = kernel("""extern "C" __global__ void k(int* out) {
    out[threadIdx.x] = threadIdx.x < 5 ? __any_sync(0xffffffff, 1) : __shfl_sync(0xffffffff, 1, 0);
}""")
    says = r"different collectives, __shfl_sync\(\) at test.cu:2 and __any_sync\(\) at test.cu:2"
    with pytest.raises(KernelError, match=says):
        mixed(1, 32, np.zeros(32, np.int32))
    good()


def test_lanes_that_returned_are_not_waited_for(kernel):
    partial = kernel("""extern "C" __global__ void k(int* out, float* poison) {
    if (threadIdx.x % 32 >= 20 && threadIdx.x < 32) return;
    out[threadIdx.x] = __ballot_sync(0xffffffff, threadIdx.x % 2);
    poison[threadIdx.x] = __shfl_sync(0xffffffff, 1.0f, 31);
}""")
    out, poison = np.zeros(40, np.uint32), np.zeros(40, np.float32)
    partial(1, 40, out, poison)
    np.testing.assert_array_equal(out, [0xAAAAA] * 20 + [0] * 12 + [0xAA] * 8)
    assert np.isnan(poison[:20]).all()
    assert np.isnan(poison[32:]).all()


def test_assertions_and_traps(kernel, good):
    check = kernel("""extern "C" __global__ void k(const int* x, int kind) {
    __syncthreads();
    if (kind == 0) assert(x[threadIdx.x] > 0);
    if (kind == 1 && x[threadIdx.x] <= 0) __trap();
}""")
    x = np.array([1, 1, 0, 1], np.int32)
    says = r"assertion failed: x\[threadIdx.x\] > 0 at .*test.cu:3, thread \(2, 0, 0\) in block"
    with pytest.raises(KernelError, match=says):
        check(3, 4, x, 0)
    with pytest.raises(KernelError, match=r"__trap\(\) was called, thread \(2, 0, 0\) in block"):
        check(3, 4, x, 1)
    check(3, 4, x + 1, 0)
    good()


@pytest.mark.parametrize(("dividend", "divisor"), [(7, 0), (-(2**31), -1)])
@pytest.mark.parametrize("operator", "/%")
def test_a_division_that_the_processor_refuses(kernel, good, operator, dividend, divisor):
    divide = kernel(f"""extern "C" __global__ void k(const int* a, const int* b, int* y) {{
    int i = threadIdx.x;
    __syncthreads();
    y[i] = a[i] {operator} b[i];
}}""")
    a, b, y = np.full(40, dividend, np.int32), np.full(40, 5, np.int32), np.zeros(40, np.int32)
    b[33] = divisor
    says = f"divides {dividend} by {divisor} at test.cu:4, thread (33, 0, 0) in block (0, 0, 0)"
    for _ in range(3):
        with pytest.raises(KernelFault, match=re.escape(says)) as error:
            divide(1, 40, a, b, y)
        fault = error.value
        assert (fault.kind, fault.line, fault.block, fault.thread) == ("arithmetic", 4, (0, 0, 0), (33, 0, 0))
    divide(1, 33, a, b, y)
    assert (y[:33] == (int(np.fix(dividend / 5)) if operator == "/" else np.fmod(dividend, 5))).all()
    good()


def test_static_and_dynamic_shared_memory_above_the_limit(kernel, good):
    large = kernel("""extern "C" __global__ void k() {
    __shared__ char a[100000], b[30000];
    a[0] = b[0] = 0;
}""")
    large(2, 32, shared=102448)
    says = "b brings the shared memory of the block to 232449 bytes, above the limit of 232448"
    with pytest.raises(KernelError, match=says):
        large(2, 32, shared=102449)
    good()


def test_many_faults_leak_nothing_that_matters(kernel, good):
    early = kernel('extern "C" __global__ void k() { if (threadIdx.x != 7) __syncthreads(); }')
    for _ in range(200):
        with pytest.raises(KernelError):
            early(8, 256)
    good()
