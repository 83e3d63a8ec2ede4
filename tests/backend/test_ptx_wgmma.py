"""wgmma of sim: fragments, shared-memory layouts, and results that arrive at the wait."""

from __future__ import annotations

import itertools
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from gradlib.errors import KernelError

from .layouts import swizzled, threads_and_values

rng = np.random.default_rng(8)

# PTX, "Asynchronous Warpgroup Level Matrix: Register Fragments and Shared Memory Matrix Layout".
# D of m64nN: the 16 x 8 block of one warp, "lane.register"; the next 8 columns take registers 4 to 7, the next 16 rows
# the next warp.
D = """
     0.0  0.1  1.0  1.1  2.0  2.1  3.0  3.1
     4.0  4.1  5.0  5.1  6.0  6.1  7.0  7.1
     8.0  8.1  9.0  9.1 10.0 10.1 11.0 11.1
    12.0 12.1 13.0 13.1 14.0 14.1 15.0 15.1
    16.0 16.1 17.0 17.1 18.0 18.1 19.0 19.1
    20.0 20.1 21.0 21.1 22.0 22.1 23.0 23.1
    24.0 24.1 25.0 25.1 26.0 26.1 27.0 27.1
    28.0 28.1 29.0 29.1 30.0 30.1 31.0 31.1
     0.2  0.3  1.2  1.3  2.2  2.3  3.2  3.3
     4.2  4.3  5.2  5.3  6.2  6.3  7.2  7.3
     8.2  8.3  9.2  9.3 10.2 10.3 11.2 11.3
    12.2 12.3 13.2 13.3 14.2 14.3 15.2 15.3
    16.2 16.3 17.2 17.3 18.2 18.3 19.2 19.3
    20.2 20.3 21.2 21.3 22.2 22.3 23.2 23.3
    24.2 24.3 25.2 25.3 26.2 26.3 27.2 27.3
    28.2 28.3 29.2 29.3 30.2 30.3 31.2 31.3
"""
# Swizzle atoms (figures 156 to 163): 8 rows (of M or N in K-major order, of K in MN-major order) of 16-byte chunks, and
# where each chunk lies, in units of 16 bytes.
ATOMS = {
    0: "0\n1\n2\n3\n4\n5\n6\n7",
    32: "0 1\n2 3\n4 5\n6 7\n9 8\n11 10\n13 12\n15 14",
    64: "0 1 2 3\n4 5 6 7\n9 8 11 10\n13 12 15 14\n18 19 16 17\n22 23 20 21\n27 26 25 24\n31 30 29 28",
    128: """0 1 2 3 4 5 6 7
            9 8 11 10 13 12 15 14
            18 19 16 17 22 23 20 21
            27 26 25 24 31 30 29 28
            36 37 38 39 32 33 34 35
            45 44 47 46 41 40 43 42
            54 55 52 53 50 51 48 49
            63 62 61 60 59 58 57 56""",
}
MODES = {0: 0, 128: 1, 64: 2, 32: 3}  # bits 62 and 63 of a descriptor


def atom(swizzle: int) -> np.ndarray:
    return np.array([line.split() for line in ATOMS[swizzle].splitlines()], int)


def address(i: int, k: int, size: int, mn_major: bool, swizzle: int, leading: int, stride: int) -> int:
    """Where element (i, k) lies, by the tables and the manual's two strides."""
    table, per_chunk = atom(swizzle), 16 // size
    width = table.shape[1]
    if mn_major:
        chunk, row, byte = i // per_chunk, k % 8, i % per_chunk * size
        far = chunk // width * (stride if swizzle == 0 else leading) + k // 8 * (leading if swizzle == 0 else stride)
    else:
        chunk, row, byte = k // per_chunk, i % 8, k % per_chunk * size
        far = i // 8 * stride + chunk // width * (leading if swizzle == 0 else 0)
    return far + 16 * int(table[row, chunk % width]) + byte


def cutlass_layout(size: int, mn_major: bool, swizzle: int, leading: int, stride: int, extent: int) -> Any:
    """The canonical layouts of CUTLASS, cute/atom/mma_traits_sm90_gmma.hpp, make_gmma_desc; strides in elements."""
    t, w = 16 // size, {0: 1, 32: 2, 64: 4, 128: 8}[swizzle]
    sbo, lbo = stride // size, leading // size
    k = 2 * t // 8  # groups of 8 along K
    if mn_major:
        if swizzle == 0:
            return ((t, 1, extent // t), (8, k)), ((1, t, sbo), (t, lbo))
        return ((t, w, extent // (t * w)), (8, k)), ((1, t, lbo), (w * t, sbo))
    if swizzle == 0:
        return ((8, extent // 8), (t, 2)), ((t, sbo), (1, lbo))
    return ((8, extent // 8), (t, 2)), ((w * t, sbo), (1, t))


@pytest.mark.parametrize(("size", "mn_major"), [(2, False), (2, True), (4, False), (1, False)])  # others K-major only
@pytest.mark.parametrize("swizzle", [0, 32, 64, 128])
def test_the_tables_of_the_manual_agree_with_cutlass(size, swizzle, mn_major):
    leading, stride, extent = 4096, 2048, 128
    layout = threads_and_values(*cutlass_layout(size, mn_major, swizzle, leading, stride, extent))
    bits = {0: 0, 32: 1, 64: 2, 128: 3}[swizzle]
    assert (len(layout), len(layout[0])) == (extent, 32 // size)
    for i, k in itertools.product(range(extent), range(32 // size)):
        assert swizzled(layout[i][k] * size, bits) == address(i, k, size, mn_major, swizzle, leading, stride)


def fragment(n: int) -> np.ndarray:
    """Return [row, column] -> (thread, register) of D, by the table."""
    block = np.array([[list(map(int, c.split("."))) for c in line.split()] for line in D.strip().splitlines()])
    found = np.tile(block, (4, n // 8, 1))
    found[..., 0] += 32 * (np.arange(64) // 16)[:, None]
    found[..., 1] += 4 * (np.arange(n) // 8)[None, :]
    return found


@pytest.mark.parametrize("n", [8, 24, 256])
def test_the_fragments_of_the_manual_agree_with_cutlass(n):
    """CUTLASS, cute/atom/mma_traits_sm90_gmma.hpp: CLayout_64xN, (thread, value) -> row + 64 * column."""
    layout = threads_and_values(((4, 8, 4), (2, 2, n // 8)), ((128, 1, 16), (64, 8, 512)))
    table = fragment(n)
    for thread, value in itertools.product(range(128), range(n // 2)):
        column, row = divmod(layout[thread][value], 64)
        assert tuple(table[row, column]) == (thread, value)


MULTIPLY = """
template <int N> __device__ void multiply(float* d, unsigned char* s, const unsigned char* a, const uint4* held,
                                          unsigned long long a_bits, unsigned long long b_bits, int step_a, int step_b,
                                          int steps, int add) {
    float sum[N / 2];
    for (int i = 0; i < N / 2; ++i) sum[i] = d[threadIdx.x * (N / 2) + i];
    ptx::wgmma_fence();
    for (int k = 0; k < steps; ++k) {
        unsigned long long b_at = b_bits | ptx::shared_address(s + 65536 + k * step_b) >> 4;
        if (held) {
            uint4 x = held[k * 128 + threadIdx.x];
            unsigned int words[4] = {x.x, x.y, x.z, x.w};
            PRODUCT<ELEMENT, N FROM_REGISTERS>(sum, words, b_at, add || k);
        } else {
            unsigned long long a_at = a_bits | ptx::shared_address(s + k * step_a) >> 4;
            PRODUCT<ELEMENT, N FROM_SHARED>(sum, a_at, b_at, add || k);
        }
    }
    ptx::wgmma_commit_group();
    ptx::wgmma_wait_group<0>();
    for (int i = 0; i < N / 2; ++i) d[threadIdx.x * (N / 2) + i] = sum[i];
}
"""
CALL = """
    extern __shared__ unsigned char s[];
    for (int i = threadIdx.x; i < 131072; i += 128) s[i] = in[i];
    ptx::fence_proxy_async();
    __syncthreads();
"""
PARAMETERS = (
    "float* d, const unsigned char* in, const uint4* held, unsigned long long a_bits, unsigned long long b_bits, "
    "int step_a, int step_b, int steps, int add, int n"
)
ARGUMENTS = "d, s, in, held, a_bits, b_bits, step_a, step_b, steps, add"
TYPES = {"__half": np.float16, "__nv_bfloat16": ml_dtypes.bfloat16, "ptx::tf32": np.float32}
FLOAT8 = {"ptx::e4m3": ml_dtypes.float8_e4m3fn, "ptx::e5m2": ml_dtypes.float8_e5m2}


@pytest.fixture(scope="module")
def multiply(device_ptx_kernel):
    made: dict[Any, Any] = {}

    def make(element: str, ta: int, tb: int, ns: tuple[int, ...]) -> Any:
        key = (element, ta, tb, ns)
        if key not in made:
            calls = "".join(f"if (n == {n}) multiply<{n}>({ARGUMENTS});" for n in ns)
            macros = {"PRODUCT": "ptx::wgmma", "FROM_SHARED": f", {ta}, {tb}", "FROM_REGISTERS": f", {tb}"}
            if "," in element:
                macros = {"PRODUCT": "ptx::wgmma_fp8", "FROM_SHARED": "", "FROM_REGISTERS": ""}
            made[key] = device_ptx_kernel(PARAMETERS, CALL + calls, MULTIPLY, ELEMENT=element, **macros)
        return made[key]

    return make


def strides_of(mn_major: bool, swizzle: int, rows: int) -> tuple[int, int]:
    """Leading and stride offsets with gaps, so that a reading that ignores one is caught."""
    width = max(swizzle // 16, 1)
    if not mn_major:
        return (rows * 16 + 128, 256) if swizzle == 0 else (16, 128 * width)
    if swizzle == 0:
        return rows * 16 + 256, 128 + 16  # from 8 of K to the next; from chunk to chunk of M or N
    return 2 * 128 * width + 1024, 128 * width


def place(buffer: np.ndarray, start: int, tile: np.ndarray, mn_major: bool, swizzle: int) -> tuple[int, int]:
    """Write a (rows, K) tile where the tables say, and return the descriptor's bits without the address."""
    size = tile.itemsize
    leading, stride = strides_of(mn_major, swizzle, len(tile))
    raw = np.ascontiguousarray(tile).view(np.uint8).reshape(*tile.shape, size)
    for i, k in np.ndindex(tile.shape):
        at = start + address(i, k, size, mn_major, swizzle, leading, stride)
        buffer[at : at + size] = raw[i, k]
    return MODES[swizzle] << 62 | (stride >> 4) << 32 | (leading >> 4) << 16, leading if swizzle == 0 else stride


def exact(values: np.ndarray) -> np.ndarray:
    """Return what the tensor core reads, in float64."""
    if values.dtype == np.float32:
        values = (values.view(np.uint32) & 0xFFFFE000).view(np.float32)
    return values.astype(np.float64)


@pytest.mark.parametrize("swizzle", [0, 32, 64, 128])
@pytest.mark.parametrize(("ta", "tb"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_operands_in_shared_memory(multiply, swizzle, ta, tb):
    """K-major and MN-major, each swizzle, N = 64, two steps along K where the layout holds them."""
    element, n = "__nv_bfloat16", 64
    rounds = 1 if swizzle == 32 and not (ta and tb) else 2  # a span of 32 bytes holds one step
    a, b = (rng.normal(size=(rows, 16 * rounds)).astype(ml_dtypes.bfloat16) for rows in (64, n))
    buffer = np.zeros(131072, np.uint8)
    d = rng.normal(size=(128, n // 2)).astype(np.float32)
    where = fragment(n)
    before = d[where[..., 0], where[..., 1]].astype(np.float64)
    steps = []
    for tile, start, transposed in ((a, 0, ta), (b, 65536, tb)):
        leading, stride = strides_of(bool(transposed), swizzle, len(tile))
        bits, _ = place(buffer, start, tile, bool(transposed), swizzle)
        if transposed:  # K advances by 16: two groups of 8
            steps.append((bits, 2 * (leading if swizzle == 0 else stride)))
        else:  # by 32 bytes inside the swizzle's span, by two columns of chunks without one
            steps.append((bits, 2 * leading if swizzle == 0 else 32))
    (a_bits, step_a), (b_bits, step_b) = steps
    kernel = multiply(element, ta, tb, (n,))
    kernel(
        1, 128, d, buffer, None, np.uint64(a_bits), np.uint64(b_bits), step_a, step_b, rounds, 1, n, shared=131072
    )  # fmt: skip
    np.testing.assert_allclose(
        d[where[..., 0], where[..., 1]], before + exact(a) @ exact(b).T, rtol=1e-5, atol=1e-5
    )  # fmt: skip


@pytest.mark.parametrize("element", [*TYPES, *FLOAT8, *(f"{a}, {b}" for a in FLOAT8 for b in FLOAT8)])
@pytest.mark.parametrize("in_registers", [False, True])
def test_types_and_a_in_registers(multiply, element, in_registers):
    n = 24
    types = [{**TYPES, **FLOAT8}[name] for name in element.split(", ")]
    size = np.dtype(types[0]).itemsize
    depth = 32 // size
    a, b = (rng.normal(size=(rows, depth)).astype(dtype) for rows, dtype in ((64, types[0]), (n, types[-1])))
    buffer = np.zeros(131072, np.uint8)
    a_bits, _ = place(buffer, 0, a, False, 128)
    b_bits, _ = place(buffer, 65536, b, False, 64)
    held = None
    if in_registers:  # PTX: of each warp, the A fragment of mma.m16n8k16 (.m16n8k8, .m16n8k32); in 32-bit words
        words = np.ascontiguousarray(a).view(np.uint32)  # (64, 8)
        held = np.zeros((128, 4), np.uint32)
        for thread, register in np.ndindex(128, 4):
            lane, warp = thread % 32, thread // 32
            held[thread, register] = words[warp * 16 + lane // 4 + 8 * (register % 2), lane % 4 + 4 * (register // 2)]
        buffer[:65536] = 255
    d = np.full((128, n // 2), np.nan, np.float32)  # not read: add is 0
    multiply(element, 0, 0, (n,))(
        1, 128, d, buffer, held, np.uint64(a_bits), np.uint64(b_bits), 0, 0, 1, 0, n, shared=131072
    )  # fmt: skip
    where = fragment(n)
    # Of 8-bit floats sm_90 keeps few bits of the sums.
    atol = 2**-11 * np.abs(exact(a)) @ np.abs(exact(b)).T if size == 1 else 1e-5
    assert (np.abs(d[where[..., 0], where[..., 1]] - exact(a) @ exact(b).T) <= atol + 1e-5).all()


def test_the_register_fragment_of_a_agrees_with_cutlass():
    """CUTLASS: ALayout_64x32, ALayout_64x16 and ALayout_64x8, (thread, value) -> row + 64 * column."""
    layouts = {4: ((256, 1, 16), (64, 8, 1024)), 2: ((128, 1, 16), (64, 8, 512)), 1: ((64, 1, 16), (8, 256))}
    for pack, strides in layouts.items():
        shape: Any = ((4, 8, 4), (2, 2) if pack == 1 else (pack, 2, 2))
        layout = threads_and_values(shape, strides)
        for thread, value in itertools.product(range(128), range(4 * pack)):
            column, row = divmod(layout[thread][value], 64)
            lane, register = thread % 32, value // pack
            assert row == thread // 32 * 16 + lane // 4 + 8 * (register % 2)
            assert column == (lane % 4 + 4 * (register // 2)) * pack + value % pack


def test_every_n(multiply):
    ns = tuple(range(8, 257, 8))
    a, b = (rng.normal(size=(rows, 16)).astype(np.float16) for rows in (64, 256))
    buffer = np.zeros(131072, np.uint8)
    a_bits, _ = place(buffer, 0, a, False, 0)
    b_bits, _ = place(buffer, 65536, b, False, 128)
    for n in ns:
        d = np.zeros((128, n // 2), np.float32)
        multiply("__half", 0, 0, ns)(
            1, 128, d, buffer, None, np.uint64(a_bits), np.uint64(b_bits), 0, 0, 1, 1, n, shared=131072
        )  # fmt: skip
        where = fragment(n)
        np.testing.assert_allclose(
            d[where[..., 0], where[..., 1]], exact(a) @ exact(b[:n]).T, rtol=1e-5, atol=1e-5
        )  # fmt: skip


def test_descriptors(device_ptx_kernel):
    """PTX, "Matrix Descriptor Format"; CUTLASS, cute/arch/mma_sm90_desc.hpp."""
    describe = device_ptx_kernel(
        "unsigned long long* out",
        """
    extern __shared__ unsigned char s[];
    unsigned long long at = ptx::shared_address(s) >> 4;
    out[0] = ptx::wgmma_descriptor<0>(s, 128, 256) - at;
    out[1] = ptx::wgmma_descriptor<32>(s + 4096, 16, 256) - at;
    out[2] = ptx::wgmma_descriptor<64>(s, 2048, 512) - at;
    out[3] = ptx::wgmma_descriptor<128>(s + 32, 0, 1024) - at;""",
    )
    out = np.zeros(4, np.uint64)
    describe(1, 1, out, shared=8192)
    assert [hex(value) for value in out] == [
        "0x1000080000",
        "0xc000001000010100",
        "0x8000002000800000",
        "0x4000004000000002",
    ]


LATE = """
    __shared__ alignas(1024) __half a[64 * 8 * 2], b[8 * 8 * 2];
    for (int i = threadIdx.x; i < 64 * 16; i += 128) a[i] = 1.0f;
    if (threadIdx.x < 128) b[threadIdx.x] = 1.0f;
    ptx::fence_proxy_async();
    __syncthreads();
    unsigned long long at_a = ptx::wgmma_descriptor<0>(a, 1024, 128), at_b = ptx::wgmma_descriptor<0>(b, 128, 128);
    float first[4] = {0, 0, 0, 0}, second[4] = {100, 100, 100, 100};
"""


def test_results_arrive_at_the_wait(ptx_kernel):
    """PTX, "wgmma.wait_group": the registers hold nothing of use before, nor those of a later group."""
    late = ptx_kernel(
        "float* out",
        LATE
        + """
    ptx::wgmma_fence();
    ptx::wgmma<__half, 8>(first, at_a, at_b);
    ptx::wgmma<__half, 8>(first, at_a, at_b);
    ptx::wgmma_commit_group();
    ptx::wgmma<__half, 8>(second, at_a, at_b);
    ptx::wgmma_commit_group();
    float* o = out + threadIdx.x * 6;
    o[0] = first[0];
    o[1] = second[3];
    ptx::wgmma_wait_group<1>();
    o[2] = first[0];
    o[3] = second[3];
    if (threadIdx.x == 0) b[0] = 1.0f;
    ptx::wgmma_wait_group<0>();
    o[4] = first[1];
    o[5] = second[3];""",
    )
    out = np.zeros((256, 6), np.float32)
    late(1, 128, out)
    np.testing.assert_array_equal(out[:128], np.tile(np.float32([np.nan, np.nan, 32, np.nan, 32, 116]), (128, 1)))


def test_shared_memory_is_read_late(ptx_kernel):
    overwrite = ptx_kernel(
        "float* out, int wait_first",
        LATE
        + """
    ptx::wgmma_fence();
    ptx::wgmma<__half, 8>(first, at_a, at_b);
    ptx::wgmma_commit_group();
    if (wait_first) ptx::wgmma_wait_group<0>();
    __syncthreads();
    if (threadIdx.x < 128) b[threadIdx.x] = 5.0f;
    __syncthreads();
    ptx::wgmma_wait_group<0>();
    out[threadIdx.x] = first[0];""",
    )
    for wait, value in ((1, 16), (0, 80)):
        out = np.zeros(128, np.float32)
        overwrite(1, 128, out, wait)
        assert (out == value).all()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("ptx::wgmma<__half, 8>(first, at_a, at_b);", "no wgmma.fence before"),
        (
            "ptx::wgmma_fence(); ptx::wgmma<__half, 8>(first, at_a, at_b + (threadIdx.x == 7));",
            "the threads .* disagree",
        ),
        (
            "ptx::wgmma_fence();"
            "ptx::wgmma<__half, 8>(first, at_a, ptx::wgmma_descriptor<128>((char*)a + 128, 0, 1024));",
            "the tile of B at byte [0-9]+ begins in the middle of its swizzle's pattern",
        ),
        (
            "ptx::wgmma_fence(); if (threadIdx.x < 96) { ptx::wgmma<__half, 8>(first, at_a, at_b);"
            "ptx::wgmma_commit_group(); ptx::wgmma_wait_group<0>(); }",
            "96 wait in wgmma.wait_group",
        ),
        (
            "ptx::wgmma_fence(); ptx::wgmma<ptx::tf32, 8, 0, 1>(first, at_a, at_b);",
            "tf32 and fp8 in K-major order alone",
        ),
    ],
)
def test_misuse(ptx_kernel, body, says):
    wrong = ptx_kernel("", LATE + body)
    with pytest.raises(KernelError, match=says):
        wrong(1, 128)
