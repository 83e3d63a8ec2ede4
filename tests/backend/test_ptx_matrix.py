"""ldmatrix, stmatrix and mma.sync of sim: layouts as the PTX manual prints them, and as CUTLASS writes them."""

from __future__ import annotations

import itertools
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from gradlib.errors import KernelError

from .layouts import threads_and_values

rng = np.random.default_rng(5)

# PTX ISA 9.2, "Matrix Fragments for mma.m16n8k8" (9.7.14.5.7), "... for mma.m16n8k16 with floating point type" (.8) and
# "... for mma.m16n8k32" (.10), figures: which lane holds which 32-bit register ("lane.register").  Columns of A and
# rows of B are registers, so one table serves 8-, 16- and 32-bit elements; columns of C are elements.
A = """
      0.0  1.0  2.0  3.0  0.2  1.2  2.2  3.2
     4.0  5.0  6.0  7.0  4.2  5.2  6.2  7.2
     8.0  9.0 10.0 11.0  8.2  9.2 10.2 11.2
    12.0 13.0 14.0 15.0 12.2 13.2 14.2 15.2
    16.0 17.0 18.0 19.0 16.2 17.2 18.2 19.2
    20.0 21.0 22.0 23.0 20.2 21.2 22.2 23.2
    24.0 25.0 26.0 27.0 24.2 25.2 26.2 27.2
    28.0 29.0 30.0 31.0 28.2 29.2 30.2 31.2
     0.1  1.1  2.1  3.1  0.3  1.3  2.3  3.3
     4.1  5.1  6.1  7.1  4.3  5.3  6.3  7.3
     8.1  9.1 10.1 11.1  8.3  9.3 10.3 11.3
    12.1 13.1 14.1 15.1 12.3 13.3 14.3 15.3
    16.1 17.1 18.1 19.1 16.3 17.3 18.3 19.3
    20.1 21.1 22.1 23.1 20.3 21.3 22.3 23.3
    24.1 25.1 26.1 27.1 24.3 25.3 26.3 27.3
    28.1 29.1 30.1 31.1 28.3 29.3 30.3 31.3
"""
B = """
      0.0  4.0  8.0 12.0 16.0 20.0 24.0 28.0
     1.0  5.0  9.0 13.0 17.0 21.0 25.0 29.0
     2.0  6.0 10.0 14.0 18.0 22.0 26.0 30.0
     3.0  7.0 11.0 15.0 19.0 23.0 27.0 31.0
     0.1  4.1  8.1 12.1 16.1 20.1 24.1 28.1
     1.1  5.1  9.1 13.1 17.1 21.1 25.1 29.1
     2.1  6.1 10.1 14.1 18.1 22.1 26.1 30.1
     3.1  7.1 11.1 15.1 19.1 23.1 27.1 31.1
"""
C = """
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

# CUTLASS, cute/atom/mma_traits_sm80.hpp, of 8-bit floats mma_traits_sm89.hpp: (thread, value) -> row + rows * column;
# B is given as (n, k).
CUTLASS: dict[str, dict[str, Any]] = {
    "m16n8k16": {
        "A": (((4, 8), (2, 2, 2)), ((32, 1), (16, 8, 128))),
        "B": (((4, 8), (2, 2)), ((16, 1), (8, 64))),
        "C": (((4, 8), (2, 2)), ((32, 1), (16, 8))),
    },
    "m16n8k8": {
        "A": (((4, 8), (2, 2)), ((16, 1), (8, 64))),
        "B": (((4, 8), (2,)), ((8, 1), (32,))),
        "C": (((4, 8), (2, 2)), ((32, 1), (16, 8))),
    },
    "m16n8k32": {
        "A": (((4, 8), (4, 2, 2)), ((64, 1), (16, 8, 256))),
        "B": (((4, 8), (4, 2)), ((32, 1), (8, 128))),
        "C": (((4, 8), (2, 2)), ((32, 1), (16, 8))),
    },
}


def parse(table: str) -> np.ndarray:
    """Return [row, column] -> (lane, register)."""
    return np.array([[list(map(int, cell.split("."))) for cell in line.split()] for line in table.strip().splitlines()])


def places(table: str, pack: int, axis: int) -> np.ndarray:
    """Return [row, column] -> (lane, element), with `pack` elements along `axis` in each register of the table."""
    by_register = np.repeat(parse(table), pack, axis=axis)
    within = np.arange(by_register.shape[axis]) % pack
    element = by_register[..., 1] * pack + (within[:, None] if axis == 0 else within[None, :])
    return np.stack([by_register[..., 0], element], -1)


@pytest.mark.parametrize(("shape", "pack"), [("m16n8k16", 2), ("m16n8k8", 1), ("m16n8k32", 4)])
def test_the_tables_of_the_manual_agree_with_cutlass(shape, pack):
    tables = {"A": places(A, pack, 1), "B": places(B, pack, 0).swapaxes(0, 1), "C": places(C, 1, 1)}
    for name, (layout_shape, stride) in CUTLASS[shape].items():
        table = tables[name]
        layout = threads_and_values(layout_shape, stride)
        assert len(layout) * len(layout[0]) == table.shape[0] * table.shape[1]
        for thread, value in itertools.product(range(32), range(len(layout[0]))):
            column, row = divmod(layout[thread][value], table.shape[0])
            assert tuple(table[row, column]) == (thread, value), (name, thread, value)


# The same in the manual's formulas below those figures: element i of a lane lies in (row, column).
FORMULAS: dict[str, dict[str, Any]] = {
    "m16n8k16": {
        "A": lambda group, thread, i: (group + 8 * (not (i < 2 or 4 <= i < 6)), thread * 2 + (i & 1) + 8 * (i >= 4)),
        "B": lambda group, thread, i: (thread * 2 + (i & 1) + 8 * (i >= 2), group),
        "C": lambda group, thread, i: (group + 8 * (i >= 2), thread * 2 + (i & 1)),
    },
    "m16n8k8": {  # .tf32
        "A": lambda group, thread, i: (group + 8 * (i in (1, 3)), thread + 4 * (i >= 2)),
        "B": lambda group, thread, i: (thread + 4 * i, group),
        "C": lambda group, thread, i: (group + 8 * (i >= 2), thread * 2 + (i & 1)),
    },
    "m16n8k32": {
        "A": lambda group, thread, i: (group + 8 * (not (i < 4 or 8 <= i < 12)), thread * 4 + (i & 3) + 16 * (i >= 8)),
        "B": lambda group, thread, i: (thread * 4 + (i & 3) + 16 * (i >= 4), group),
        "C": lambda group, thread, i: (group + 8 * (i >= 2), thread * 2 + (i & 1)),
    },
}


@pytest.mark.parametrize(("shape", "pack"), [("m16n8k16", 2), ("m16n8k8", 1), ("m16n8k32", 4)])
def test_the_tables_agree_with_the_formulas_of_the_manual(shape, pack):
    for name, table in {"A": places(A, pack, 1), "B": places(B, pack, 0), "C": places(C, 1, 1)}.items():
        elements = table.shape[0] * table.shape[1] // 32
        for lane, i in itertools.product(range(32), range(elements)):
            assert tuple(table[FORMULAS[shape][name](lane >> 2, lane % 4, i)]) == (lane, i), (name, lane, i)


def distribute(matrix: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Put each element where the table says: [lane, element]."""
    held = np.zeros((32, matrix.size // 32), matrix.dtype)
    held[where[..., 0], where[..., 1]] = matrix
    return held


PRODUCTS = {  # call, type of A and B, type of D
    "f16": ("ptx::mma_m16n8k16<__half>(d, a, b)", np.float16, np.float32, "float"),
    "bf16": ("ptx::mma_m16n8k16<__nv_bfloat16>(d, a, b)", ml_dtypes.bfloat16, np.float32, "float"),
    "f16 sums": ("ptx::mma_m16n8k16_f16(d, a, b)", np.float16, np.float16, "unsigned int"),
    "tf32": ("ptx::mma_m16n8k8_tf32(d, a, b)", np.float32, np.float32, "float"),
    "s8": ("ptx::mma_m16n8k32_s8(d, a, b)", np.int8, np.int32, "int"),
}
FLOAT8 = {"e4m3": ml_dtypes.float8_e4m3fn, "e5m2": ml_dtypes.float8_e5m2}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_of_a_warp(device_ptx_kernel, name):
    """PTX, "mma": d = a b + d."""
    call, dtype, result, c_type = PRODUCTS[name]
    registers = 2 if name == "f16 sums" else 4
    multiply = device_ptx_kernel(
        "const uint4* as, const uint2* bs, REGISTER* ds",
        f"""
    uint4 x = as[threadIdx.x];
    uint2 y = bs[threadIdx.x];
    unsigned int a[4] = {{x.x, x.y, x.z, x.w}}, b[2] = {{y.x, y.y}};
    REGISTER d[{registers}];
    for (int i = 0; i < {registers}; ++i) d[i] = ds[threadIdx.x * {registers} + i];
    for (int times = 0; times < 2; ++times) {call};
    for (int i = 0; i < {registers}; ++i) ds[threadIdx.x * {registers} + i] = d[i];""",
        REGISTER=c_type,
    )
    pack = 4 // np.dtype(dtype).itemsize
    if name == "s8":
        a, b = (rng.integers(-128, 128, shape).astype(dtype) for shape in ((16, 32), (32, 8)))
        c = rng.integers(-1000, 1000, (16, 8)).astype(result)
        c[0, 0] = 2**31 - 1  # wraps: there is no .satfinite
    else:
        a, b = (rng.normal(size=shape).astype(dtype) for shape in ((16, 8 * pack), (8 * pack, 8)))
        c = rng.normal(size=(16, 8)).astype(result)
    where = places(C, 1, 1)
    d = distribute(c, where)
    multiply(1, 32, distribute(a, places(A, pack, 1)), distribute(b, places(B, pack, 0)), d)
    if name == "tf32":  # the lower 13 bits are not looked at
        a, b = ((x.view(np.uint32) & 0xFFFFE000).view(np.float32) for x in (a, b))
    got = d[where[..., 0], where[..., 1]]
    if name == "s8":
        expected: Any = (c + 2 * (a.astype(np.int64) @ b.astype(np.int64))).astype(np.uint32).view(np.int32)
        np.testing.assert_array_equal(got, expected)
    else:
        once = (c.astype(np.float64) + a.astype(np.float64) @ b.astype(np.float64)).astype(result)
        expected = (once.astype(np.float64) + a.astype(np.float64) @ b.astype(np.float64)).astype(result)
        # A tensor core aligns the products of a step to the largest and cuts off what falls below its last bit.
        cut = 2.0**-22 * (abs(a.astype(np.float64)) @ abs(b.astype(np.float64))) if multiply.device == "cuda" else 0
        off = abs(got.astype(np.float64) - expected.astype(np.float64))
        assert (off <= 2 * np.finfo(result).eps * abs(expected.astype(np.float64)) + cut).all()


# PTX ISA 9.2, "Matrix Fragments for mma.m8n8k4 with .f64 floating point type", figures: which lane holds which element.
A64 = """
      0.0  1.0  2.0  3.0
     4.0  5.0  6.0  7.0
     8.0  9.0 10.0 11.0
    12.0 13.0 14.0 15.0
    16.0 17.0 18.0 19.0
    20.0 21.0 22.0 23.0
    24.0 25.0 26.0 27.0
    28.0 29.0 30.0 31.0
"""
B64 = """
     0.0  4.0  8.0 12.0 16.0 20.0 24.0 28.0
     1.0  5.0  9.0 13.0 17.0 21.0 25.0 29.0
     2.0  6.0 10.0 14.0 18.0 22.0 26.0 30.0
     3.0  7.0 11.0 15.0 19.0 23.0 27.0 31.0
"""
C64 = """
     0.0  0.1  1.0  1.1  2.0  2.1  3.0  3.1
     4.0  4.1  5.0  5.1  6.0  6.1  7.0  7.1
     8.0  8.1  9.0  9.1 10.0 10.1 11.0 11.1
    12.0 12.1 13.0 13.1 14.0 14.1 15.0 15.1
    16.0 16.1 17.0 17.1 18.0 18.1 19.0 19.1
    20.0 20.1 21.0 21.1 22.0 22.1 23.0 23.1
    24.0 24.1 25.0 25.1 26.0 26.1 27.0 27.1
    28.0 28.1 29.0 29.1 30.0 30.1 31.0 31.1
"""


def test_the_tables_of_doubles_agree_with_cutlass():
    """mma_traits_sm80.hpp, SM80_8x8x4_F64F64F64F64_TN: SM80_8x4 for A and for B as (n, k), SM80_8x8_Row for C."""
    small, square = (((4, 8), 1), ((8, 1), 0)), (((4, 8), 2), ((16, 1), 8))
    for table, layout in ((parse(A64), small), (parse(B64).swapaxes(0, 1), small), (parse(C64), square)):
        for thread, values in enumerate(threads_and_values(*layout)):
            for value, place in enumerate(values):
                column, row = divmod(place, 8)
                assert tuple(table[row, column]) == (thread, value)


def test_products_of_doubles(device_ptx_kernel):
    """PTX, "mma": .m8n8k4 of .f64, d = a b + d."""
    multiply = device_ptx_kernel(
        "const double* as, const double* bs, double2* ds",
        """
    double d[2] = {ds[threadIdx.x].x, ds[threadIdx.x].y};
    for (int times = 0; times < 2; ++times) ptx::mma_m8n8k4_f64(d, as[threadIdx.x], bs[threadIdx.x]);
    ds[threadIdx.x] = make_double2(d[0], d[1]);""",
    )
    where = parse(C64)
    for exact in (True, False):
        a, b, c = (rng.normal(size=shape) for shape in ((8, 4), (4, 8), (8, 8)))
        if exact:  # integers: no sum is rounded
            a, b, c = (np.rint(2**20 * x) for x in (a, b, c))
        d = distribute(c, where)
        multiply(1, 32, distribute(a, parse(A64)), distribute(b, parse(B64)), d)
        wide = [x.astype(np.longdouble) for x in (a, b, c)]
        off = abs(d[where[..., 0], where[..., 1]] - (wide[2] + 2 * (wide[0] @ wide[1])))
        assert (off <= (0 if exact else 2.0**-51 * (abs(c) + 2 * abs(a) @ abs(b)))).all()


@pytest.mark.parametrize("right", FLOAT8)
@pytest.mark.parametrize("left", FLOAT8)
def test_products_of_8_bit_floats(device_ptx_kernel, left, right):
    """PTX, "mma": .m16n8k32 of .e4m3 and .e5m2, summed in float."""
    multiply = device_ptx_kernel(
        "const uint4* as, const uint2* bs, float4* ds",
        """
    uint4 x = as[threadIdx.x];
    uint2 y = bs[threadIdx.x];
    unsigned int a[4] = {x.x, x.y, x.z, x.w}, b[2] = {y.x, y.y};
    float d[4] = {ds[threadIdx.x].x, ds[threadIdx.x].y, ds[threadIdx.x].z, ds[threadIdx.x].w};
    ptx::mma_m16n8k32_fp8<ptx::LEFT, ptx::RIGHT>(d, a, b);
    ds[threadIdx.x] = make_float4(d[0], d[1], d[2], d[3]);""",
        LEFT=left,
        RIGHT=right,
    )
    a, b = (rng.normal(size=shape).astype(FLOAT8[k]) for shape, k in (((16, 32), left), ((32, 8), right)))
    a[0, 0], b[5, 2] = 2.0**-9, 2.0**-16  # smallest of e4m3, and of e5m2
    c = rng.normal(size=(16, 8)).astype(np.float32)
    where = places(C, 1, 1)
    d = distribute(c, where)
    multiply(1, 32, distribute(a, places(A, 4, 1)), distribute(b, places(B, 4, 0)), d)
    a, b = a.astype(np.float64), b.astype(np.float64)
    got, expected = d[where[..., 0], where[..., 1]], c.astype(np.float64) + a @ b
    # sm_90 keeps few bits of these sums.
    assert (np.abs(got - expected) <= 2**-11 * (np.abs(c) + np.abs(a) @ np.abs(b))).all()
    if multiply.device == "sim":
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


def test_rounding_to_tf32(device_ptx_kernel):
    """PTX, "cvt": .rna rounds to nearest, ties away from zero."""
    convert = device_ptx_kernel("const float* x, unsigned int* y", "y[threadIdx.x] = ptx::to_tf32(x[threadIdx.x]);")
    x = np.array([1, 1 + 2**-11, 1 + 2**-11 - 2**-23, -1 - 2**-11, 1 + 3 * 2**-11, np.inf, 2.0**-130], np.float32)
    y = np.zeros(len(x), np.uint32)
    convert(1, len(x), x, y)
    expected = [1, 1 + 2**-10, 1, -1 - 2**-10, 1 + 2**-9, np.inf, 2.0**-130]
    np.testing.assert_array_equal(y.view(np.float32), np.array(expected, np.float32))


MOVE = """
    __shared__ alignas(16) unsigned short tile[N * 64];
    for (int i = threadIdx.x; i < N * 64; i += 32) tile[i] = from[i];
    __syncwarp();
    unsigned int d[N];
    MOVE_IT
    __syncwarp();"""


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("n", [1, 2, 4])
def test_matrices_between_shared_memory_and_registers(device_ptx_kernel, n, transposed):
    """PTX, "ldmatrix": lane l receives elements 2 (l mod 4), + 1 of row l / 4 of each matrix, or of its transpose."""
    t = "true" if transposed else "false"
    row = "tile + (threadIdx.x % (8 * N)) * 8"
    load = device_ptx_kernel(
        "const unsigned short* from, unsigned int* to",
        MOVE.replace("MOVE_IT", f"ptx::ldmatrix<N, {t}>(d, {row});")
        + "for (int i = 0; i < N; ++i) to[threadIdx.x * N + i] = d[i];",
        N=str(n),
    )
    store = device_ptx_kernel(
        "const unsigned short* from, const unsigned int* held, unsigned short* to",
        MOVE.replace(
            "MOVE_IT", f"for (int i = 0; i < N; ++i) d[i] = held[threadIdx.x * N + i]; ptx::stmatrix<N, {t}>({row}, d);"
        )
        + "for (int i = threadIdx.x; i < N * 64; i += 32) to[i] = tile[i];",
        N=str(n),
    )
    matrices = rng.integers(0, 2**16, (n, 8, 8)).astype(np.uint16)
    held = np.zeros((32, n, 2), np.uint16)
    load(1, 32, matrices, held)
    seen = matrices.swapaxes(1, 2) if transposed else matrices
    for lane, i, e in itertools.product(range(32), range(n), range(2)):
        assert held[lane, i, e] == seen[i, lane // 4, lane % 4 * 2 + e]
    # CUTLASS, cute/atom/copy_traits_sm75.hpp, SM75_U32x4_LDSM_N and SM75_U16x8_LDSM_T: bit of the source.
    shape, stride = (
        (((4, 8), (16, 2, n)), ((256, 16), (1, 128, 1024))) if transposed else ((32, (32, n)), (32, (1, 1024)))
    )
    bits = threads_and_values(shape if transposed else ((32,), shape[1]), stride if transposed else ((32,), stride[1]))
    for lane in range(32):
        elements = [bit // 16 for bit in bits[lane][::16]]
        np.testing.assert_array_equal(held[lane].ravel(), matrices.ravel()[elements])
    back = np.zeros_like(matrices)
    store(1, 32, np.zeros_like(matrices), held, back)
    np.testing.assert_array_equal(back, matrices)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("ptx::ldmatrix(d, (char*)tile + 8);", "not aligned to 16 bytes in ldmatrix"),
        ("ptx::ldmatrix(d, from);", "ldmatrix at test.cu:5: the address is not in the block's shared memory"),
        ("if (threadIdx.x < 16) ptx::ldmatrix(d, tile); else __syncthreads();", "16 wait in ldmatrix at test.cu:5"),
        ("if (threadIdx.x < 16) ptx::ldmatrix(d, tile); else ptx::stmatrix(tile, d);", "in different instructions"),
    ],
)
def test_what_a_warp_does_wrong(ptx_kernel, body, says):
    wrong = ptx_kernel(
        "unsigned short* from", f"__shared__ alignas(16) unsigned short tile[64]; unsigned int d[1] = {{0}};\n{body}"
    )
    with pytest.raises(KernelError, match=says):
        wrong(1, 32, np.zeros(64, np.uint16))
