"""Bulk copies of sim: boxes of 1 to 5 dimensions, swizzles, what lies outside, groups of stores, multicast."""

from __future__ import annotations

import itertools
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from gradlib.backend import get
from gradlib.backend.tensor_map import TensorMap
from gradlib.errors import KernelError
from gradlib.kernel import Kernel

from .layouts import swizzled

rng = np.random.default_rng(7)

# PTX ISA 9.2, 5.5.7 "Tensors: Swizzling Modes", tables of the three modes (128 bytes: of 16-byte atomicity): in each
# 128-byte line of shared memory (a row here, the rows repeating), which 16-byte chunk of the unswizzled box stands at
# each place.
PATTERNS = {
    0: "0 1 2 3 4 5 6 7",
    32: """0 1 2 3 4 5 6 7
           1 0 3 2 5 4 7 6""",
    64: """0 1 2 3 4 5 6 7
           1 0 3 2 5 4 7 6
           2 3 0 1 6 7 4 5
           3 2 1 0 7 6 5 4""",
    128: """0 1 2 3 4 5 6 7
            1 0 3 2 5 4 7 6
            2 3 0 1 6 7 4 5
            3 2 1 0 7 6 5 4
            4 5 6 7 0 1 2 3
            5 4 7 6 1 0 3 2
            6 7 4 5 2 3 0 1
            7 6 5 4 3 2 1 0""",
}


def pattern(swizzle: int) -> np.ndarray:
    return np.array([line.split() for line in PATTERNS[swizzle].splitlines()], int)


@pytest.mark.parametrize(("swizzle", "bits"), [(0, 0), (32, 1), (64, 2), (128, 3)])
def test_the_tables_of_the_manual_agree_with_cutlass(swizzle, bits):
    """CUTLASS, cute/atom/mma_traits_sm90_gmma.hpp: Swizzle<0..3, 4, 3> of byte offsets."""
    table = pattern(swizzle)
    for line, place in itertools.product(range(16), range(8)):
        offset = 128 * line + 16 * table[line % len(table), place]
        assert swizzled(offset, bits) == 128 * line + 16 * place


def in_shared_memory(box: np.ndarray, swizzle: int) -> np.ndarray:
    """Return the bytes of shared memory after a load of `box`, by the tables."""
    table = pattern(swizzle)
    chunks = np.ascontiguousarray(box).view(np.uint8).reshape(-1, 16)
    padded = np.zeros((-len(chunks) % 8 + len(chunks), 16), np.uint8)
    padded[: len(chunks)] = chunks
    lines = padded.reshape(-1, 8, 16)
    placed = np.stack([line[table[i % len(table)]] for i, line in enumerate(lines)])
    return placed.reshape(-1)[: len(chunks) * 16] if swizzle == 0 else placed.reshape(-1)


def cut(array: np.ndarray, start: tuple[int, ...], box: tuple[int, ...]) -> np.ndarray:
    """Return a box of an array, zeros where it lies outside."""
    found = np.zeros(box, array.dtype)
    for index in itertools.product(*map(range, box)):
        at = tuple(s + i for s, i in zip(start, index, strict=True))
        if all(0 <= a < n for a, n in zip(at, array.shape, strict=True)):
            found[index] = array[at]
    return found


LOAD = """
    __shared__ alignas(1024) unsigned char tile[BYTES + 1024];
    __shared__ ptx::mbarrier bar;
    if (threadIdx.x == 0) {
        ptx::mbarrier_init(&bar, 1);
        ptx::fence_mbarrier_init();
        ptx::mbarrier_arrive_expect_tx(&bar, BYTES);
        ptx::tensor_load(tile, &map, &bar, AT);
    }
    __syncthreads();
    for (int i = threadIdx.x; i < size; i += blockDim.x) early[i] = tile[i];
    __syncthreads();
    ptx::mbarrier_wait_parity(&bar, 0);
    for (int i = threadIdx.x; i < size; i += blockDim.x) out[i] = tile[i];"""

# The innermost coordinate lies at a multiple of 16 bytes, and of a store not before the array: on an H200 everything
# else is an illegal instruction, in every swizzle.
CASES: list[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], Any, int]] = [  # shape, box, start, dtype, swizzle
    ((100,), (32,), (80,), np.float32, 0),
    ((100,), (32,), (-4,), np.float32, 128),
    ((64, 64), (8, 64), (3, 0), np.float16, 128),
    ((10, 72), (16, 64), (4, 40), np.float16, 128),
    ((10, 64), (12, 32), (-3, -8), np.float16, 64),
    ((9, 32), (9, 16), (1, 24), np.float16, 32),
    ((5, 6, 32), (2, 3, 32), (4, -1, 4), np.float32, 128),
    ((3, 4, 5, 16), (2, 2, 3, 16), (1, 3, -1, 0), np.uint8, 0),
    ((2, 3, 4, 5, 8), (2, 2, 2, 3, 8), (1, -1, 3, 4, 2), np.float64, 64),
    ((2, 3, 4, 5, 8), (1, 2, 2, 3, 4), (0, 1, 2, 2, 4), np.float32, 0),
]


@pytest.mark.parametrize(("shape", "box", "start", "dtype", "swizzle"), CASES)
def test_loads(device_ptx_kernel, shape, box, start, dtype, swizzle):
    """PTX, "cp.async.bulk.tensor", tiled mode: coordinates count from the innermost; zeros outside; late."""
    array = (rng.integers(1, 100, shape)).astype(dtype)
    expected = in_shared_memory(cut(array, start, box), swizzle)
    size = int(np.prod(box)) * array.itemsize
    load = device_ptx_kernel(
        "const __grid_constant__ TensorMap map, int size, unsigned char* out, unsigned char* early",
        LOAD,
        AT=", ".join(map(str, start[::-1])),
        BYTES=str(size),
    )
    backend = get(load.device)
    made = backend.tensor_map(backend.asarray(array), box, swizzle)
    out, early = np.zeros((2, len(expected)), np.uint8)
    load(1, 64, made, len(expected), out, early)
    if load.device == "sim":
        assert (early == 255).all()
    touched = swizzled_bytes(size, swizzle)
    np.testing.assert_array_equal(out[touched], expected[touched])


def swizzled_bytes(size: int, swizzle: int) -> np.ndarray:
    """Return which bytes of shared memory a box of so many bytes fills."""
    bits = {0: 0, 32: 1, 64: 2, 128: 3}[swizzle]
    return np.array([swizzled(offset, bits) for offset in range(size)])


@pytest.mark.parametrize(("shape", "box", "start", "dtype", "swizzle"), [c for c in CASES if c[2][-1] >= 0])
def test_stores(device_ptx_kernel, shape, box, start, dtype, swizzle):
    """A store is the reverse of a load; what lies outside is left out, and shared memory is read late.

    PTX, "Restriction on Tensor Copy instructions": a store's coordinates are not negative.
    """
    start = tuple(abs(s) for s in start)
    size = int(np.prod(box)) * np.dtype(dtype).itemsize
    store = device_ptx_kernel(
        "const __grid_constant__ TensorMap map, int size, const unsigned char* in, const int* same, int* before",
        """
    __shared__ alignas(1024) unsigned char tile[BYTES + 1024];
    for (int i = threadIdx.x; i < size; i += blockDim.x) tile[i] = in[i];
    ptx::fence_proxy_async();
    __syncthreads();
    if (threadIdx.x == 0) {
        ptx::tensor_store(&map, tile, AT);
        ptx::cp_async_bulk_commit_group();
        before[0] = 0;
        for (int i = 0; i < 8; ++i) before[0] += same[i];
        ptx::cp_async_bulk_wait_group<0>();
    }""",
        AT=", ".join(map(str, start[::-1])),
        BYTES=str(size),
    )
    content = rng.integers(1, 100, box).astype(dtype)
    backend = get(store.device)
    there = backend.zeros(shape, dtype)
    before = np.ones(1, np.int32)
    given = in_shared_memory(content, swizzle)
    store(1, 32, backend.tensor_map(there, box, swizzle), len(given), given, there, before)
    array = backend.to_host(there)
    if store.device == "sim":
        assert before[0] == 0
    np.testing.assert_array_equal(cut(array, start, box), np.where(cut(np.ones(shape), start, box) > 0, content, 0))
    assert np.count_nonzero(array) == np.count_nonzero(cut(array, start, box))


def test_plain_bulk_copies(device_ptx_kernel):
    copy = device_ptx_kernel(
        "const float* x, float* y",
        """
    __shared__ alignas(16) float s[256];
    __shared__ ptx::mbarrier bar;
    if (threadIdx.x == 0) {
        ptx::mbarrier_init(&bar, 1);
        ptx::mbarrier_expect_tx(&bar, 1024);
        ptx::cp_async_bulk_load(s, x + 4, 512, &bar);
        ptx::cp_async_bulk_load(s + 128, x + 256, 512, &bar);
        ptx::mbarrier_arrive(&bar);
        ptx::mbarrier_wait_parity(&bar, 0);
        ptx::cp_async_bulk_store(y, s, 1024);
        ptx::cp_async_bulk_commit_group();
        ptx::cp_async_bulk_wait_group_read<0>();
        s[0] = -1;
    }""",
    )
    x, y = np.arange(512, dtype=np.float32), np.zeros(256, np.float32)
    copy(1, 32, x, y)
    np.testing.assert_array_equal(y, [*x[4:132], *x[256:384]])


@pytest.mark.parametrize(
    ("c_type", "dtype"),
    [
        ("float", np.float32), ("double", np.float64), ("__half", np.float16), ("__nv_bfloat16", ml_dtypes.bfloat16),
        ("int", np.int32), ("unsigned", np.uint32), ("unsigned long long", np.uint64),
    ],
)  # fmt: skip
def test_bulk_reductions(device_ptx_kernel, c_type, dtype):
    """PTX, "cp.reduce.async.bulk": each element of global memory grows by that of shared memory."""
    add = device_ptx_kernel(
        "const ELEMENT* x, ELEMENT* y",
        """
    __shared__ alignas(128) ELEMENT tile[64];
    tile[threadIdx.x] = x[blockIdx.x * 64 + threadIdx.x];
    ptx::fence_proxy_async();
    __syncthreads();
    if (threadIdx.x == 0) {
        ptx::cp_reduce_async_bulk_add(y, tile, sizeof tile);
        ptx::cp_async_bulk_commit_group();
        ptx::cp_async_bulk_wait_group<0>();
    }""",
        ELEMENT=c_type,
    )
    x, y = (rng.integers(-40 if np.dtype(dtype).kind != "u" else 0, 40, n).astype(dtype) for n in ((5, 64), 64))
    expected = y.astype(np.float64) + x.astype(np.float64).sum(0)  # small integers: exact in any order
    add(5, 64, x, y)
    np.testing.assert_array_equal(y.astype(np.float64), expected)


def test_a_wait_for_reading_leaves_the_writing_to_come(ptx_kernel):
    """PTX, "cp.async.bulk.wait_group": .read waits for the reading of the sources alone."""
    store = ptx_kernel(
        "float* y, float* before",
        """
    __shared__ alignas(128) float tile[64];
    tile[threadIdx.x] = 1 + threadIdx.x;
    ptx::fence_proxy_async();
    __syncthreads();
    if (threadIdx.x == 0) {
        ptx::cp_async_bulk_store(y, tile, sizeof tile);
        ptx::cp_async_bulk_commit_group();
        ptx::cp_async_bulk_wait_group_read<0>();
        tile[0] = -1;  // allowed: it has been read
        before[0] = y[0];
        ptx::cp_async_bulk_wait_group<0>();
        before[1] = y[0];
    }""",
    )
    y, before = np.zeros(64, np.float32), np.zeros(2, np.float32)
    store(1, 64, y, before)
    np.testing.assert_array_equal(y, np.arange(1, 65))
    np.testing.assert_array_equal(before, [0, 1])


def test_multicast(device_ptx_kernel):
    """PTX, "cp.async.bulk.tensor": the same place, and the same barrier, in each block named by the mask."""
    load = device_ptx_kernel(
        "const __grid_constant__ TensorMap map, float* out",
        """
    __shared__ alignas(128) float tile[4][64];
    __shared__ ptx::mbarrier bar;
    unsigned int rank = ptx::cluster_rank();
    if (threadIdx.x == 0) {
        ptx::mbarrier_init(&bar, 1);
        ptx::fence_mbarrier_init();
        ptx::mbarrier_arrive_expect_tx(&bar, (rank == 3 ? 3 : 4) * 256);
    }
    ptx::cluster_sync();
    if (threadIdx.x == 0) {
        ptx::tensor_load_multicast(tile[rank], &map, &bar, rank == 2 ? 7 : 15, 0, rank + 4 * (blockIdx.x / 4));
    }
    ptx::mbarrier_wait_parity(&bar, 0);
    for (int i = threadIdx.x; i < 256; i += 32) out[blockIdx.x * 256 + i] = tile[i / 64][i % 64];
    ptx::cluster_sync();""",
        attributes="__cluster_dims__(4, 1, 1)",
    )
    backend = get(load.device)
    x = rng.normal(size=(8, 64)).astype(np.float32)
    out = np.zeros((2, 4, 4, 64), np.float32)
    load(8, 32, backend.tensor_map(backend.asarray(x), (1, 64)), out)
    for cluster, rank, row in itertools.product(range(2), range(4), range(4)):
        if (rank, row) == (3, 2):
            if load.device == "sim":
                assert np.isnan(out[cluster, rank, row]).all()
        else:
            np.testing.assert_array_equal(out[cluster, rank, row], x[4 * cluster + row])


@pytest.mark.parametrize(
    ("shape", "box", "swizzle", "says"),
    [
        ((4, 10), (4, 8), 0, "strides (40,)"),
        ((4, 16), (4, 8), 128, "a row of the box has 32 bytes, the swizzle 128"),
        ((4, 16), (4, 3), 0, "a row of the box has 12 bytes"),
        ((4, 16), (257, 4), 0, "box is (257, 4)"),
        ((4, 16), (4,), 0, "array has 2 axes, box has 1"),
        ((1, 1, 1, 1, 1, 16), (1, 1, 1, 1, 1, 16), 0, "array has 6 axes"),
        ((4, 16), (4, 4), 16, "swizzle is 16"),
    ],
)
def test_maps_that_the_hardware_refuses(sim, shape, box, swizzle, says):
    with pytest.raises(KernelError) as error:
        get(sim).tensor_map(get(sim).zeros(shape, np.float32), box, swizzle)
    assert says in str(error.value)
    transposed = get(sim).zeros((16, 16), np.float32).T
    with pytest.raises(KernelError, match="the last axis has stride 64"):
        get(sim).tensor_map(transposed, (4, 4))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("ptx::tensor_load(tile + 64, &map, &bar, 0, 0);", "no multiple of 128"),
        ("ptx::tensor_load(tile, &map, &bar, 0);", "1 coordinates, but the map has 2 dimensions"),
        ("TensorMap other = {}; ptx::tensor_load(tile, &other, &bar, 0, 0);", "cp.async.*no tensor map of the sim"),
        ("TensorMap other = {}; ptx::prefetch_tensor_map(&other);", "prefetch.tensormap .*no tensor map of the sim"),
        ("ptx::tensor_load(tile, &map, (ptx::mbarrier*)tile, 0, 0);", "there is no mbarrier"),
        (
            "ptx::tensor_load(tile, &map, &bar, 0, 0); ptx::mbarrier_wait_parity(&bar, 0);",
            "misses 1 of 1 arrivals and -256",
        ),
        (
            "ptx::mbarrier_arrive_expect_tx(&bar, 512); ptx::tensor_load(tile, &map, &bar, 0, 0);"
            "ptx::mbarrier_wait_parity(&bar, 0);",
            "misses 0 of 1 arrivals and 256 bytes",
        ),
    ],
)
def test_misuse(ptx_kernel, body, says):
    wrong = ptx_kernel(
        "const __grid_constant__ TensorMap map",
        "__shared__ alignas(1024) unsigned char tile[1024]; __shared__ ptx::mbarrier bar;"
        f"ptx::mbarrier_init(&bar, 1);\n{body}",
    )
    sim = get("sim")
    with pytest.raises(KernelError, match=says):
        wrong(1, 1, sim.tensor_map(sim.zeros((8, 32), np.float32), (2, 32)))


def test_a_kernel_takes_a_map(sim):
    text = """#include "gradlib/ptx.cuh"
extern "C" __global__ void take(float* y, int before, const __grid_constant__ TensorMap map, int after) {
    __shared__ alignas(128) float tile[64];
    __shared__ ptx::mbarrier bar;
    if (threadIdx.x == 0) {
        ptx::mbarrier_init(&bar, 1);
        ptx::fence_mbarrier_init();
        ptx::mbarrier_arrive_expect_tx(&bar, 256);
        ptx::tensor_load(tile, &map, &bar, after, before);
    }
    __syncthreads();
    ptx::mbarrier_wait_parity(&bar, 0);
    y[threadIdx.x] = tile[threadIdx.x];
}"""
    take = Kernel.from_source("take.cu", text, "take", "y | before map after")
    backend = get(sim)
    x, y = backend.asarray(rng.normal(size=(16, 64)).astype(np.float32)), backend.zeros(64, np.float32)
    made = backend.tensor_map(x, (4, 16))
    assert isinstance(made, TensorMap)
    assert len(made) == 128
    take(1, 64, y, 5, made, 32)
    np.testing.assert_array_equal(y.reshape(4, 16), x[5:9, 32:48])
    with pytest.raises(KernelError, match="need what sim's tensor_map returns"):
        take(1, 64, y, 5, b"\0" * 128, 32)
