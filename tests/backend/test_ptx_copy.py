"""Named barriers and cp.async of sim: what the PTX manual promises, and what a missing wait shows."""

from __future__ import annotations

import numpy as np
import pytest

from gradlib.errors import KernelError

rng = np.random.default_rng(6)


@pytest.mark.parametrize("size", [4, 8, 16])
def test_copies_arrive_at_the_wait_and_not_before(device_ptx_kernel, size):
    """PTX, "cp.async", "cp.async.commit_group", "cp.async.wait_group"."""
    copy = device_ptx_kernel(
        "const float* x, float* early, float* first, float* all",
        """
    constexpr int W = SIZE / 4;
    __shared__ alignas(16) float s[3 * 32 * W];
    for (int g = 0; g < 3; ++g) {
        ptx::cp_async<SIZE>(s + (g * 32 + threadIdx.x) * W, x + (g * 32 + threadIdx.x) * W);
        ptx::cp_async_commit_group();
    }
    for (int i = 0; i < 3 * W; ++i) early[i * 32 + threadIdx.x] = s[i * 32 + threadIdx.x];
    __syncwarp();
    ptx::cp_async_wait_group<1>();
    __syncwarp();
    for (int i = 0; i < 3 * W; ++i) first[i * 32 + threadIdx.x] = s[i * 32 + threadIdx.x];
    __syncwarp();
    ptx::cp_async_wait_group<0>();
    __syncwarp();
    for (int i = 0; i < 3 * W; ++i) all[i * 32 + threadIdx.x] = s[i * 32 + threadIdx.x];""",
        SIZE=str(size),
    )
    x = rng.normal(size=(3, 8 * size)).astype(np.float32)
    early, first, whole = (np.zeros_like(x) for _ in range(3))
    copy(1, 32, x, early, first, whole)
    if copy.device == "sim":  # shared memory is poisoned until something is there, and nothing is before the wait
        assert np.isnan(early).all()
        assert np.isnan(first[2]).all()
    np.testing.assert_array_equal(first[:2], x[:2])
    np.testing.assert_array_equal(whole, x)


def test_zeros_in_place_of_what_is_left_out(device_ptx_kernel):
    copy = device_ptx_kernel(
        "const unsigned char* x, unsigned char* y",
        """
    __shared__ alignas(16) unsigned char s[16 * 17 + 8 * 9 + 4 * 5];
    unsigned char *s8 = s + 16 * 17, *s4 = s8 + 8 * 9;
    for (int valid = 0; valid <= 16; ++valid) ptx::cp_async<16>(s + 16 * valid, x, valid);
    for (int valid = 0; valid <= 8; ++valid) ptx::cp_async<8>(s8 + 8 * valid, x, valid);
    for (int valid = 0; valid <= 4; ++valid) ptx::cp_async<4>(s4 + 4 * valid, x, valid);
    ptx::cp_async_wait_all();
    for (int i = 0; i < sizeof(s); ++i) y[i] = s[i];""",
    )
    x = np.arange(1, 17, dtype=np.uint8)
    y = np.zeros(16 * 17 + 8 * 9 + 4 * 5, np.uint8)
    copy(1, 1, x, y)
    expected = [
        x[i] if i < valid else 0 for size in (16, 8, 4) for valid in range(size + 1) for i in range(size)
    ]  # fmt: skip
    np.testing.assert_array_equal(y, expected)


def test_named_barriers(device_ptx_kernel):
    """PTX, "barrier": two warps hand a value on to the other two, who hand the next one back; nobody else waits."""
    pingpong = device_ptx_kernel(
        "int* out, int rounds",
        """
    __shared__ int value;
    if (threadIdx.x == 0) value = 0;
    __syncthreads();
    int team = threadIdx.x / 64;
    for (int i = 0; i < rounds; ++i) {
        if (team == 0) {
            if (threadIdx.x == 0) ++value;
            ptx::bar_sync(1, 64);      // of team 0 alone
            ptx::bar_arrive(2, 128);   // full
            ptx::bar_sync(3, 128);     // empty again
        } else if (team == 1) {
            ptx::bar_sync(2, 128);
            out[i * 64 + threadIdx.x - 64] = value;
            ptx::bar_arrive(3, 128);
        }
    }""",
    )
    out = np.zeros((20, 64), np.int32)
    pingpong(1, 160, out, 20)
    np.testing.assert_array_equal(out, np.repeat(np.arange(1, 21)[:, None], 64, 1))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("ptx::bar_sync(16, 64);", "bar.sync at test.cu:5: barrier 16 for 64 threads"),
        ("ptx::bar_sync(1, 33);", "a multiple of 32 threads"),
        ("ptx::bar_sync(1, threadIdx.x < 32 ? 32 * 2 : 32);", r"barrier 1 for \d+ threads, others came for"),
        ("if (threadIdx.x < 32) ptx::bar_sync(1, 64);", "32 wait in bar.sync at test.cu:5, 32 have returned"),
        ("ptx::cp_async<16>(s + 1, x);", "cp.async at test.cu:5: 16 bytes are not aligned to their size"),
        ("ptx::cp_async<4>(x, x);", "cp.async at test.cu:5: the address is not in the block's shared memory"),
        ("ptx::cp_async<4>(s, x, 5);", "or 5 of them are asked for"),
    ],
)
def test_misuse(ptx_kernel, body, says):
    wrong = ptx_kernel("float* x", f"__shared__ alignas(16) float s[64]; s[0] = 0;\n{body}")
    with pytest.raises(KernelError, match=says):
        wrong(1, 64, np.zeros(64, np.float32))


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('asm volatile("bar.sync 0;");', 'asm volatile("bar.sync 0;");'),
        ("#include <cooperative_groups/scan.h>", "<cooperative_groups/scan.h> is not there for sim"),
        ("cooperative_groups::this_grid().sync();", "they have no barrier"),
        ("#include <cuda/barrier>", "<cuda/barrier> is not there for sim"),
        ("#include <no/such/header>", "no/such/header: No such file"),
        ("#include <mma.h>", "<mma.h> is not there for sim"),
    ],
)
def test_what_sim_lacks_is_named(kernel, line, named):
    before, body = (line, "") if line.startswith("#") else ("", line)
    if body.startswith("cooperative_groups"):
        before = "#include <cooperative_groups.h>"
    with pytest.raises(KernelError) as error:
        kernel(f'{before}\nextern "C" __global__ void k() {{\n{body}\n}}\n')
    assert named in str(error.value)
    assert "test.cu" in str(error.value)
