"""Launches on sim: grids, shared memory, barriers, atomics, arguments; and the arrays of the device."""

from __future__ import annotations

import threading

import ml_dtypes
import numpy as np
import pytest

from gradlib.backend import backend_of, get
from gradlib.backend.sim import SimArray
from gradlib.errors import KernelError

rng = np.random.default_rng(0)


@pytest.mark.parametrize("n", [1, 31, 256, 1000, 4099])
def test_vector_add(kernel, n):
    add = kernel("""
extern "C" __global__ void k(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ c, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) c[i] = a[i] + b[i];
}""")
    a, b, c = rng.random(n, np.float32), rng.random(n, np.float32), np.zeros(n + 1, np.float32)
    add((n + 127) // 128, 128, a, b, c, n)
    np.testing.assert_array_equal(c, [*(a + b), 0])


@pytest.mark.parametrize(("grid", "block"), [((2, 3, 4), (4, 3, 2)), ((1, 5, 1), (33, 1, 2)), ((7, 1, 2), (1, 1, 64))])
def test_indices_of_three_dimensional_launches(kernel, grid, block):
    record = kernel("""
extern "C" __global__ void k(int* out) {
    dim3 threads = blockDim;
    int thread = threadIdx.x + threads.x * (threadIdx.y + threads.y * threadIdx.z);
    int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    int* o = out + 6 * (block * (int)(blockDim.x * blockDim.y * blockDim.z) + thread);
    o[0] = threadIdx.x, o[1] = threadIdx.y, o[2] = threadIdx.z, o[3] = blockIdx.x, o[4] = blockIdx.y, o[5] = blockIdx.z;
}""")
    out = np.full((*grid[::-1], *block[::-1], 6), -1, np.int32)
    record(grid, block, out)
    bz, by, bx, tz, ty, tx = np.indices(out.shape[:-1])
    np.testing.assert_array_equal(out, np.stack([tx, ty, tz, bx, by, bz], -1))


GEMM = """
#define TILE 16
extern "C" __global__ void k(const float* a, const float* b, float* c, int m, int n, int k) {
    __shared__ float left[TILE][TILE + 1], right[TILE][TILE];
    int row = blockIdx.y * TILE + threadIdx.y, column = blockIdx.x * TILE + threadIdx.x;
    float sum = 0;
    for (int start = 0; start < k; start += TILE) {
        int i = start + threadIdx.x, j = start + threadIdx.y;
        left[threadIdx.y][threadIdx.x] = row < m && i < k ? a[row * k + i] : 0.0f;
        right[threadIdx.y][threadIdx.x] = column < n && j < k ? b[j * n + column] : 0.0f;
        __syncthreads();
#pragma unroll
        for (int l = 0; l < TILE; ++l) sum += left[threadIdx.y][l] * right[l][threadIdx.x];
        __syncthreads();
    }
    if (row < m && column < n) c[row * n + column] = sum;
}"""


@pytest.mark.parametrize(("m", "n", "k"), [(1, 1, 1), (17, 31, 13), (64, 48, 80)])
def test_tiled_product(kernel, m, n, k):
    a, b, c = rng.normal(size=(m, k)), rng.normal(size=(k, n)), np.zeros((m, n), np.float32)
    a, b = a.astype(np.float32), b.astype(np.float32)
    kernel(GEMM)(((n + 15) // 16, (m + 15) // 16), (16, 16), a, b, c, m, n, k)
    np.testing.assert_allclose(c, a.astype(float) @ b.astype(float), rtol=1e-5, atol=1e-5)


def test_block_reduction_by_shuffles(kernel):
    total = kernel("""
template <class V> __device__ V warp_sum(V v) {
    for (int d = 16; d > 0; d /= 2) v += __shfl_down_sync(0xffffffff, v, d);
    return v;
}
extern "C" __global__ void k(const double* x, double* out, int n) {
    __shared__ double parts[32];
    double v = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) v += x[i];
    v = warp_sum(v);
    if (threadIdx.x % warpSize == 0) parts[threadIdx.x / 32] = v;
    __syncthreads();
    if (threadIdx.x < 32) {
        v = warp_sum(threadIdx.x < blockDim.x / 32 ? parts[threadIdx.x] : 0.0);
        if (threadIdx.x == 0) out[blockIdx.x] = v;
    }
}""")
    x, out = rng.normal(size=5003), np.zeros(5)
    total(5, 256, x, out, len(x))
    assert out.sum() == pytest.approx(x.sum(), rel=1e-12)
    again = np.zeros(5)
    total(5, 256, x, again, len(x))
    np.testing.assert_array_equal(out, again)


def test_dynamic_shared_memory(kernel):
    reverse = kernel("""
extern "C" __global__ void k(float* x, long long* y) {
    extern __shared__ __align__(16) unsigned char memory[];
    float* a = reinterpret_cast<float*>(memory);
    long long* b = reinterpret_cast<long long*>(memory + blockDim.x * sizeof(float));
    int i = threadIdx.x, last = blockDim.x - 1;
    a[i] = x[blockIdx.x * blockDim.x + i], b[i] = y[i];
    __syncthreads();
    x[blockIdx.x * blockDim.x + i] = a[last - i];
    if (blockIdx.x == 0) y[i] = b[last - i];
}""")
    x, y = rng.random((3, 64), np.float32), np.arange(64)
    expected = x[:, ::-1].copy()
    reverse(3, 64, x, y, shared=64 * 12)
    np.testing.assert_array_equal(x, expected)
    np.testing.assert_array_equal(y, np.arange(64)[::-1])


def test_shared_memory_is_poisoned_before_every_block(kernel):
    peek = kernel("""
extern "C" __global__ void k(float* out, int* ints) {
    __shared__ float a[64];
    __shared__ int b[64];
    extern __shared__ float c[];
    out[blockIdx.x * 64 + threadIdx.x] = a[threadIdx.x] + c[threadIdx.x];
    ints[blockIdx.x * 64 + threadIdx.x] = b[threadIdx.x];
    __syncthreads();
    a[threadIdx.x] = c[threadIdx.x] = b[threadIdx.x] = 1;
}""")
    out, ints = np.zeros(40 * 64, np.float32), np.zeros(40 * 64, np.int32)
    peek(40, 64, out, ints, shared=256)
    assert np.isnan(out).all()
    assert (ints == -1).all()


def test_shared_variables_of_functions_and_headers(kernel, tmp_path):
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "sum.cuh").write_text("""#pragma once
#include "part/width.cuh"
template <class V, int N> __device__ V block_sum(V v) {
    __shared__ V values[N];  // __shared__ in a comment
    values[threadIdx.x] = v;
    __syncthreads();
    V sum = 0;
    for (int i = 0; i < WIDTH; ++i) sum += values[i];
    __syncthreads();
    return sum;
}
""")
    (tmp_path / "part" / "width.cuh").write_text("#pragma once\n#define WIDTH 32\n")
    text = """
#include "part/sum.cuh"
namespace {
__shared__ volatile int flags[WIDTH], one;
__device__ int other() { __shared__ struct { int a, b; } values; return &values.b - &values.a; }
}
extern "C" __global__ void k(float* f, long long* l, int* i) {
    alignas(1024) __shared__ float4 wide[4];
    flags[threadIdx.x] = threadIdx.x;
    if (threadIdx.x == 0) one = 5;
    f[threadIdx.x] = block_sum<float, WIDTH>(0.5f);
    l[threadIdx.x] = block_sum<long long, WIDTH>(threadIdx.x);
    i[threadIdx.x] = flags[WIDTH - 1 - threadIdx.x] + one + other() + (int)((unsigned long long)wide % 1024);
}"""
    halves, sums, ints = np.zeros(32, np.float32), np.zeros(32, np.int64), np.zeros(32, np.int32)
    kernel(text, includes=(tmp_path,))(1, 32, halves, sums, ints)
    assert (halves == 16).all()
    assert (sums == 496).all()
    np.testing.assert_array_equal(ints, 31 - np.arange(32) + 6)


def test_barriers_that_vote(kernel):
    vote = kernel("""
extern "C" __global__ void k(int* out, int limit) {
    int i = threadIdx.x, yes = i < limit;
    out[3 * i] = __syncthreads_count(yes);
    out[3 * i + 1] = __syncthreads_and(yes);
    out[3 * i + 2] = __syncthreads_or(yes);
}""")
    for limit in (0, 1, 70, 96):
        out = np.zeros((96, 3), np.int32)
        vote(1, 96, out, limit)
        np.testing.assert_array_equal(out, np.broadcast_to([limit, limit == 96, limit > 0], (96, 3)))


def test_histogram_by_atomics(kernel):
    histogram = kernel("""
extern "C" __global__ void k(const int* x, unsigned int* counts, double* weights, unsigned long long* largest, int n) {
    __shared__ unsigned int local[16];
    if (threadIdx.x < 16) local[threadIdx.x] = 0;
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        atomicAdd(&local[x[i]], 1u);
        atomicAdd(&weights[x[i]], 0.5);
        atomicMax(largest, (unsigned long long)i << 32);
    }
    __syncthreads();
    if (threadIdx.x < 16) atomicAdd(&counts[threadIdx.x], local[threadIdx.x]);
}""")
    x = rng.integers(0, 16, 20011).astype(np.int32)
    counts, weights, largest = np.zeros(16, np.uint32), np.zeros(16), np.zeros(1, np.uint64)
    histogram(37, 128, x, counts, weights, largest, len(x))
    np.testing.assert_array_equal(counts, np.bincount(x, minlength=16))
    np.testing.assert_array_equal(weights, counts / 2)
    assert largest[0] == (len(x) - 1) << 32


def test_the_last_block_sees_what_the_others_wrote(kernel):
    finish = kernel("""
extern "C" __global__ void k(int* partial, unsigned int* done, int* out) {
    __shared__ bool last;
    if (threadIdx.x == 0) {
        partial[blockIdx.x] = blockIdx.x;
        __threadfence();
        last = atomicInc(done, gridDim.x - 1) == gridDim.x - 1;
    }
    __syncthreads();
    if (last && threadIdx.x == 0) {
        int sum = 0;
        for (int i = 0; i < gridDim.x; ++i) sum += ((volatile int*)partial)[i];
        *out += sum;
    }
}""")
    partial, done, out = np.full(300, -1, np.int32), np.zeros(1, np.uint32), np.zeros(1, np.int32)
    finish(300, 32, partial, done, out)
    assert (out[0], done[0]) == (300 * 299 // 2, 0)


def test_arguments_of_mixed_sizes(kernel):
    take = kernel("""
extern "C" __global__ void k(signed char a, double b, int c, long long d, short e, float f, const double* p,
                             unsigned int g, unsigned long long h, const float* null, double* out) {
    double values[] = {(double)a, b, (double)c, (double)d, (double)e, f, *p, (double)g, (double)h, null ? 1.0 : 0.0};
    for (int i = 0; i < 10; ++i) out[i] = values[i];
}""")
    values = (-7, 2.5, -(2**31), 2**52 + 1, -300, 0.1, 9.0, 2**32 - 1, 2**53)
    types = (np.int8, np.float64, np.int32, np.int64, np.int16, np.float32, None, np.uint32, np.uint64)
    arguments = [t(v) if t else np.full(1, v) for v, t in zip(values, types, strict=True)]
    out = np.zeros(10)
    take(1, 1, *arguments, None, out)
    expected = [float(np.float32(v)) if t is np.float32 else v for v, t in zip(values, types, strict=True)]
    np.testing.assert_array_equal(out, [*expected, 0])
    with pytest.raises(KernelError, match=r"k: 24 bytes of arguments, but its parameters take 80"):
        take(1, 1, out, out, out)


def test_constant_memory(device_kernel):
    smooth = device_kernel("""
__constant__ float weights[4] = {0.5f, 1, 2, 4};
namespace { __constant__ struct { int shift, unset; } options = {3}; }
extern "C" __global__ void k(float* y) {
    y[threadIdx.x] = weights[threadIdx.x % 4] + (1 << options.shift) + options.unset;
}""")
    y = np.zeros(6, np.float32)
    smooth(1, 6, y)
    np.testing.assert_array_equal(y, [8.5, 9, 10, 12, 8.5, 9])


def test_launches_of_nothing_and_of_too_much(kernel):
    mark = kernel('extern "C" __global__ void k(int* out) { atomicAdd(out, 1); }')
    out = np.zeros(1, np.int32)
    for grid, block in [(0, 32), (3, 0), ((2, 0, 2), 1)]:
        mark(grid, block, out)
    assert out[0] == 0
    huge = (2**31, 2**31)
    for grid, block, shared in [(1, 1025, 0), (1, (32, 33), 0), (1, huge, 0), ((1, 65536), 1, 0), (1, 1, 232449)]:
        with pytest.raises(KernelError, match="no GPU takes a launch of this size"):
            mark(grid, block, out, shared=shared)
    mark(2, (4, 4, 64), out, shared=232448)
    assert out[0] == 2048


def test_launches_from_several_threads(kernel):
    product, results = kernel(GEMM), {}
    a = rng.integers(-4, 5, (8, 96, 64)).astype(np.float32)

    def work(i: int) -> None:
        for _ in range(5):
            c = np.zeros((96, 96), np.float32)
            product((6, 6), (16, 16), a[i], a[i].reshape(64, 96), c, 96, 96, 64)
            results.setdefault(i, []).append(c)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(8):
        for c in results[i]:
            np.testing.assert_array_equal(c, a[i] @ a[i].reshape(64, 96))
    assert len(results) == 8


def test_arrays(sim):
    device = get(sim)
    host = np.arange(6.0).reshape(2, 3)
    x = device.asarray(host)
    assert type(x) is SimArray
    assert backend_of(x) is device
    assert backend_of(host) is get("cpu")
    host[:] = 0
    assert x.sum() == 15  # a copy, as to any other device
    assert device.asarray(x) is x
    assert device.asarray(x, np.float32).dtype == np.float32
    assert type(x[0] + 1) is SimArray
    assert type(device.coerce(np.sum(x))) is SimArray
    zero = device.coerce(np.float32(2))
    assert zero.shape == ()
    assert zero.dtype == np.float32
    assert type(device.to_host(x)) is np.ndarray
    assert np.shares_memory(device.to_host(x), x)
    for make in (device.empty, device.zeros):
        assert type(make((2, 0), ml_dtypes.bfloat16)) is SimArray
    assert not device.zeros((3,), np.int32).any()
    assert device.pointer(x) == x.ctypes.data
    used, total = device.memory()
    assert 0 < used <= total
