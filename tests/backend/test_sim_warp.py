"""Shuffles, votes, match and reduce of sim against plain definitions over the lanes."""

from __future__ import annotations

import os

import numpy as np
import pytest

from gradlib.backend import get

rng = np.random.default_rng(2)
LANES = np.arange(32)


def source_lane(kind: str, lane: int, b: int, width: int) -> int:
    """The lane read from, or the caller's own: `shfl.sync` of the PTX manual, with c = clamp << 8 | 32 - width."""
    segment, b = 32 - width, b & 31
    first = lane & segment
    last = first | (31 & ~segment)
    if kind == "":
        return first | (b & ~segment & 31)
    if kind == "_up":
        return lane - b if lane - b >= first else lane
    j = lane + b if kind == "_down" else lane ^ b
    return j if j <= last else lane


@pytest.mark.parametrize("kind", ["", "_up", "_down", "_xor"])
def test_shuffles(device_kernel, kind):
    shuffle = device_kernel(
        """
extern "C" __global__ void k(const double* d, const __half* h, const int* b, const int* widths, int n,
                             double* d_out, __half* h_out, int* i_out) {
    for (int i = 0; i < n; ++i) {
        int at = i * blockDim.x + threadIdx.x;
        d_out[at] = SHUFFLE(0xffffffff, d[threadIdx.x], b[i], widths[i]);
        h_out[at] = SHUFFLE(0xffffffff, h[threadIdx.x], b[i], widths[i]);
        i_out[at] = SHUFFLE(0xffffffff, (short)(threadIdx.x % 32), b[i], widths[i]);
    }
}""",
        macros={"SHUFFLE": f"__shfl{kind}_sync"},
    )
    cases = [(b, width) for width in (2, 4, 8, 16, 32) for b in (0, 1, 2, 3, 5, 8, 15, 16, 17, 31, 32, 33)]
    d, h = rng.normal(size=64), rng.normal(size=64).astype(np.float16)
    deltas, widths = (np.array(column, np.int32) for column in zip(*cases, strict=True))
    d_out, h_out, i_out = (np.zeros((len(cases), 64), t) for t in (np.float64, np.float16, np.int32))
    shuffle(1, 64, d, h, deltas, widths, len(cases), d_out, h_out, i_out)
    for i, (b, width) in enumerate(cases):
        lanes = np.array([source_lane(kind, lane, b, width) for lane in LANES])
        np.testing.assert_array_equal(i_out[i], [*lanes, *lanes], err_msg=f"{b}, {width}")
        np.testing.assert_array_equal(d_out[i], d[[*lanes, *(32 + lanes)]])
        np.testing.assert_array_equal(h_out[i], h[[*lanes, *(32 + lanes)]])


def test_collectives_of_a_part_of_the_warp(device_kernel):
    collect = device_kernel("""
extern "C" __global__ void k(const int* x, int* out) {
    unsigned int half = threadIdx.x % 2 ? 0xaaaaaaaa : 0x55555555;
    int* o = out + 14 * threadIdx.x;
    int v = x[threadIdx.x], all;
    if (threadIdx.x % 2) {          // the two halves meet in different places, at different times
        o[0] = __ballot_sync(half, v > 0);
        o[1] = __any_sync(half, v > 2);
    } else {
        o[1] = __any_sync(half, v > 2);
        o[0] = __ballot_sync(half, v > 0);
    }
    o[2] = __all_sync(half, v > -3);
    o[3] = __match_any_sync(half, v);
    o[4] = __match_all_sync(half, v / 100, &all);
    o[5] = all;
    o[6] = __reduce_add_sync(half, v);
    o[7] = __reduce_min_sync(half, v);
    o[8] = __reduce_max_sync(half, v);
    o[9] = __reduce_max_sync(half, (unsigned int)v);
    o[10] = __reduce_and_sync(half, (unsigned int)v);
    o[11] = __reduce_or_sync(half, (unsigned int)v);
    o[12] = __reduce_xor_sync(half, (unsigned int)v);
    o[13] = __match_all_sync(half, (double)v, &all);
}""")
    x = rng.integers(-3, 4, 32).astype(np.int32)
    out = np.zeros((32, 14), np.int32)
    collect(1, 32, x, out)
    for half in (0, 1):
        members = LANES[half::2]
        v = x[members]

        def mask(which: np.ndarray, members: np.ndarray = members) -> int:
            return int(sum(1 << int(lane) for lane in members[which]))

        everyone = mask(np.full(16, True))
        for lane in members:
            expected = [
                mask(v > 0), (v > 2).any(), (v > -3).all(), mask(v == x[lane]), everyone, 1, v.sum(), v.min(), v.max(),
                v.view(np.uint32).max(), np.bitwise_and.reduce(v), np.bitwise_or.reduce(v), np.bitwise_xor.reduce(v), 0,
            ]  # fmt: skip
            np.testing.assert_array_equal(out[lane], np.array(expected, np.int64).astype(np.uint32).view(np.int32))


def test_active_mask(kernel):
    active = kernel("""
extern "C" __global__ void k(unsigned int* out, int* counts) {
    if (threadIdx.x % 32 == 31) return;
    out[threadIdx.x] = __activemask();
    if (threadIdx.x % 3 == 0) {
        unsigned int mask = __activemask();  // one atomic for all lanes that are here
        int leader = __ffs(mask) - 1, lane = threadIdx.x % 32, base = 0;
        if (lane == leader) base = atomicAdd(counts, __popc(mask));
        base = __shfl_sync(mask, base, leader);
        atomicAdd(&counts[1], base + __popc(mask & ((1u << lane) - 1)));
    }
    __syncwarp(0x7fffffff);
}""")
    out, counts = np.zeros(64, np.uint32), np.zeros(2, np.int32)
    active(1, 64, out, counts)
    np.testing.assert_array_equal(out, [*[2**31 - 1] * 31, 0] * 2)
    n = sum(i % 3 == 0 and i % 32 != 31 for i in range(64))
    assert tuple(counts) == (n, n * (n - 1) // 2)


def test_barriers_between_different_calls(device_kernel):
    """A barrier is the block's, not the line's; waits in loops of different lengths do meet."""
    meet = device_kernel("""
extern "C" __global__ void k(int* out, int rounds) {
    __shared__ int turn[2];
    for (int i = 0; i < rounds; ++i) {
        if (threadIdx.x < 32) {
            if (threadIdx.x == 0) turn[i % 2] = i;
            __syncthreads();
        } else {
            __syncthreads();
            if (threadIdx.x == 50) *out += turn[i % 2];
        }
    }
}""")
    out = np.zeros(1, np.int32)
    meet(1, 96, out, 100)
    assert out[0] == 4950


def test_every_block_is_run_once_by_any_number_of_workers(kernel, sim):

    count = kernel("""
extern "C" __global__ void k(int* out) {
    __shared__ int sum;
    if (threadIdx.x == 0) sum = 0;
    __syncthreads();
    atomicAdd(&sum, 1);
    __syncthreads();
    if (threadIdx.x == 0) atomicAdd(&out[blockIdx.x], sum);
}""")
    try:
        for workers in (1, 2, 7):
            get(sim).use_threads(workers)
            for blocks in (1, 2, 100, 5000):
                out = np.zeros(blocks, np.int32)
                count(blocks, 33, out)
                assert (out == 33).all()
    finally:
        get(sim).use_threads(os.cpu_count())
