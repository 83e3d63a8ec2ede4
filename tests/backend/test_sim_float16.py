"""The 16-bit types of sim: every conversion and operation rounded to nearest even, once."""

from __future__ import annotations

from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

TYPES = {"half": ("__half", np.dtype(np.float16)), "bfloat16": ("__nv_bfloat16", np.dtype(ml_dtypes.bfloat16))}
ALL_BITS = np.arange(65536, dtype=np.uint16)
rng = np.random.default_rng(1)

CONVERT = """
extern "C" __global__ void k(const float* x, unsigned short* down, unsigned short* portable, int n,
                             const double* wide, unsigned short* narrowed, int n_wide,
                             const unsigned short* bits, float* up, float* portable_up) {
    int first = blockIdx.x * blockDim.x + threadIdx.x, step = gridDim.x * blockDim.x;
    for (int i = first; i < n; i += step) {
        down[i] = AS_USHORT(FROM_FLOAT(x[i]));
        portable[i] = DOWN_PORTABLE(x[i]);
    }
    for (int i = first; i < n_wide; i += step) narrowed[i] = AS_USHORT(TYPE(wide[i]));
    for (int i = first; i < 65536; i += step) {
        up[i] = TO_FLOAT(FROM_USHORT(bits[i]));
        portable_up[i] = UP_PORTABLE(bits[i]);
    }
}"""


def convert_macros(name: str, device: str = "sim") -> dict[str, str]:
    """Names of one type; what sim does without the host's own instructions stands beside what it does with them."""
    suffix = "_portable" if name == "half" else ""
    portable = {
        "DOWN_PORTABLE": f"gradlib_sim::{name}_from_float{suffix}",
        "UP_PORTABLE": f"gradlib_sim::float_from_{name}{suffix}",
    }
    if device == "cuda":
        portable = {"DOWN_PORTABLE(x)": f"__{name}_as_ushort(__float2{name}(x))"}
        portable["UP_PORTABLE(x)"] = f"__{name}2float(__ushort_as_{name}(x))"
    return {
        "TYPE": TYPES[name][0],
        "FROM_FLOAT": f"__float2{name}",
        "TO_FLOAT": f"__{name}2float",
        "AS_USHORT": f"__{name}_as_ushort",
        "FROM_USHORT": f"__ushort_as_{name}",
        **portable,
    }


def assert_same(bits: np.ndarray, expected: np.ndarray) -> None:
    """Equal to the bit, where NaN equals NaN."""
    nan = np.isnan(expected.astype(np.float32))
    assert np.isnan(bits.view(expected.dtype).astype(np.float32)[nan]).all()
    np.testing.assert_array_equal(bits[~nan], expected.view(np.uint16)[~nan])


@pytest.mark.parametrize("name", TYPES)
def test_every_conversion(device_kernel, name):
    dtype = TYPES[name][1]
    values = ALL_BITS.view(dtype).astype(np.float32)
    finite = np.sort(values[np.isfinite(values)]).astype(np.float64)
    ties = (finite[1:] + finite[:-1]) / 2
    beyond = finite[-1] + (finite[-1] - finite[-2]) / 2  # the tie between the largest number and infinity
    ties = np.concatenate([ties, [beyond, -beyond]])
    near = np.concatenate([ties, np.nextafter(ties, np.inf), np.nextafter(ties, -np.inf)])
    with np.errstate(over="ignore"):
        x = np.concatenate([values, near.astype(np.float32), np.nextafter(ties.astype(np.float32), np.float32(np.inf))])
    x = np.concatenate([x, rng.integers(0, 2**32, 200_000, dtype=np.uint32).view(np.float32)])
    down, portable = np.zeros(x.size, np.uint16), np.zeros(x.size, np.uint16)
    narrowed, up, portable_up = np.zeros(near.size, np.uint16), np.zeros(65536, np.float32), np.zeros(65536, np.float32)
    convert = device_kernel(CONVERT, macros=convert_macros(name, device_kernel.device))
    convert(8, 64, x, down, portable, x.size, near, narrowed, near.size, ALL_BITS, up, portable_up)
    np.testing.assert_array_equal(up, values)
    np.testing.assert_array_equal(portable_up, values)
    with np.errstate(over="ignore", invalid="ignore"):
        expected = x.astype(dtype)
    assert_same(down, expected)
    assert_same(portable, expected)
    # From double the neighbours of a tie go to its sides, and the tie to the even one: never rounded twice.
    n = len(ties)
    low = np.concatenate([finite[:-1], [finite[-1], -np.inf]]).astype(dtype)
    high = np.concatenate([finite[1:], [np.inf, finite[0]]]).astype(dtype)
    even = np.where(low.view(np.uint16) % 2 == 0, low.view(np.uint16), high.view(np.uint16))
    zero = (low.astype(np.float64) == 0) | (high.astype(np.float64) == 0)  # -0 and 0: checked by value
    as_values = narrowed.view(dtype).astype(np.float64)
    np.testing.assert_array_equal(narrowed[:n][~zero], even[~zero])
    np.testing.assert_array_equal(as_values[n : 2 * n], high.astype(np.float64))
    np.testing.assert_array_equal(as_values[2 * n :], low.astype(np.float64))


@pytest.mark.parametrize("name", TYPES)
def test_conversions_of_integers(device_kernel, name):
    convert = device_kernel(
        """
extern "C" __global__ void k(const long long* x, unsigned short* out, unsigned short* small, int n,
                             const unsigned short* bits, int* truncated, int* rounded, unsigned char* bytes) {
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        out[i] = AS_USHORT(TYPE(x[i]));
        small[i] = AS_USHORT(TYPE((int)x[i]));
    }
    for (int i = threadIdx.x; i < 65536; i += blockDim.x) {
        TYPE v = FROM_USHORT(bits[i]);
        truncated[i] = (int)v;
        rounded[i] = ROUND(v);
        bytes[i] = (unsigned char)v;
    }
}""",
        macros={**convert_macros(name), "ROUND": f"__{name}2int_rn"},
    )
    dtype = TYPES[name][1]
    tie = 2**62 + 2**54  # half way between two bfloat16
    x = np.array([0, 1, -1, 2049, 2051, 65519, 65520, -65520, 257, 259, 2**31 - 1, tie, tie + 1, tie - 1, -tie - 1])
    out, small = np.zeros(x.size, np.uint16), np.zeros(x.size, np.uint16)
    truncated, rounded, chars = np.zeros(65536, np.int32), np.zeros(65536, np.int32), np.zeros(65536, np.uint8)
    convert(1, 32, x, out, small, x.size, ALL_BITS, truncated, rounded, chars)
    for value, bits in [*zip(x, out, strict=True), *zip(x.astype(np.int32), small, strict=True)]:
        assert bits.view(dtype) == nearest(Fraction(int(value)), dtype)
    v = np.nan_to_num(ALL_BITS.view(dtype).astype(np.float32), nan=0).astype(np.float64)  # NaN becomes 0
    for got, function in ((truncated, np.trunc), (rounded, np.rint)):
        np.testing.assert_array_equal(got, np.clip(function(v), -(2**31), 2**31 - 1))
    np.testing.assert_array_equal(chars, np.clip(np.trunc(v), 0, 255))


def nearest(exact: Fraction, dtype: np.dtype) -> np.generic:
    """The 16-bit number nearest to `exact`, the even one of two: by comparing with all of them."""
    values = ALL_BITS.view(dtype)
    singles = values.astype(np.float32)
    numbers = np.where(np.isfinite(singles), singles, np.float32(np.inf)).astype(np.float64)
    largest = float(numbers[np.isfinite(numbers)].max())
    step = largest - float(np.sort(np.unique(numbers[np.isfinite(numbers)]))[-2])
    if abs(exact) >= Fraction(largest) + Fraction(step) / 2:
        return np.array(np.inf if exact > 0 else -np.inf).astype(dtype)[()]
    close = np.argsort(np.abs(numbers - float(exact)), kind="stable")[:6]
    best = min(close, key=lambda i: (abs(Fraction(float(numbers[i])) - exact), int(i) % 2))
    return values[best]


OPERATE = """
extern "C" __global__ void k(const TYPE* a, const TYPE* b, TYPE* out, unsigned char* compared, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    TYPE results[] = {a[i] + b[i], a[i] - b[i], a[i] * b[i], a[i] / b[i], -a[i], __habs(a[i]), hsqrt(a[i]),
                      __hmax(a[i], b[i]), __hmin(a[i], b[i])};
    for (int j = 0; j < 9; ++j) out[(long long)j * n + i] = results[j];
    compared[i] = (a[i] < b[i]) | (a[i] <= b[i]) << 1 | (a[i] == b[i]) << 2 | (a[i] != b[i]) << 3 | (a[i] > b[i]) << 4 |
                  __hne(a[i], b[i]) << 5 | __hisnan(a[i]) << 6 | (bool)a[i] << 7;
}"""


@pytest.mark.parametrize("name", TYPES)
def test_operations_round_every_result(device_kernel, name):
    type_name, dtype = TYPES[name]
    a = np.concatenate([ALL_BITS, ALL_BITS]).view(dtype)
    b = np.concatenate([rng.permutation(ALL_BITS), ALL_BITS]).view(dtype)
    n = a.size
    out, compared = np.zeros((9, n), np.uint16), np.zeros(n, np.uint8)
    device_kernel(OPERATE, macros={"TYPE": type_name})((n + 255) // 256, 256, a, b, out, compared, n)
    x, y = a.astype(np.float32), b.astype(np.float32)
    with np.errstate(all="ignore"):
        results = [x + y, x - y, x * y, x / y, -x, np.abs(x), np.sqrt(x), np.fmax(x, y), np.fmin(x, y)]
        for bits, expected in zip(out, results, strict=True):
            expected = expected.astype(dtype)
            zero = expected.astype(np.float32) == 0
            assert_same(np.where(zero, bits & 0x7FFF, bits), np.where(zero, np.array(0, dtype), expected))
        flags = [x < y, x <= y, x == y, x != y, x > y, (x < y) | (x > y), np.isnan(x), x != 0]
    np.testing.assert_array_equal(compared, sum(flag.astype(np.uint8) << i for i, flag in enumerate(flags)))


@pytest.mark.parametrize("name", TYPES)
def test_fused_multiply_add_rounds_once(device_kernel, name):
    type_name, dtype = TYPES[name]
    fma = device_kernel(
        """
extern "C" __global__ void k(const TYPE##2* a, const TYPE##2* b, const TYPE##2* c, TYPE##2* out) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    out[i] = __hfma2(a[i], b[i], c[i]);
}""".replace("TYPE##2", type_name + "2")
    )
    tiny, one = np.finfo(np.float16).smallest_subnormal, 1.0
    hard = [(32768, 2 * (one + 2**-10), 2**-24), (1 + 2**-7, 1 + 2**-7, 2**-14), (tiny, tiny, 1 + 2**-7)]
    hard += [(256, 256, tiny), (-(1 + 2**-7), 1 + 2**-7, 2**-14), (257, 255, -65280), (2.0**-14, 0.5, tiny)]
    a, b, c = np.array(hard).T.astype(dtype)
    random = rng.normal(size=(3, 57)).astype(dtype)
    a, b, c = (np.concatenate([x, y]) for x, y in zip((a, b, c), random, strict=True))
    out = np.zeros(64, dtype)
    fma(1, 32, a, b, c, out)
    for x, y, z, got in zip(a, b, c, out, strict=True):
        assert got == nearest(Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z)), dtype), (x, y, z)


def test_pairs(device_kernel):
    pairs = device_kernel("""
extern "C" __global__ void k(const __half2* a, const __nv_bfloat162* b, float* out) {
    __half2 h = __hadd2(a[0], __float2half2_rn(1.0f));
    __nv_bfloat162 g = b[0] * __floats2bfloat162_rn(2.0f, 3.0f);
    float2 f = __half22float2(h), e = __bfloat1622float2(g);
    out[0] = f.x, out[1] = f.y, out[2] = e.x, out[3] = e.y;
    out[4] = __low2float(a[0]), out[5] = __high2float(a[0]);
    out[6] = (float)__high2half(__lowhigh2highlow(a[0])), out[7] = (float)__low2bfloat16(b[0]);
    h += __halves2half2(1, 2), out[8] = h.y;
    out[9] = sizeof(__half2) + 10 * alignof(__half2) + 100 * sizeof(__nv_bfloat16);
}""")
    out = np.zeros(10, np.float32)
    pairs(1, 1, np.array([1.5, -2], np.float16), np.array([0.5, 4], ml_dtypes.bfloat16), out)
    np.testing.assert_array_equal(out, [2.5, -1, 1, 12, 1.5, -2, 1.5, 0.5, 1, 244])
