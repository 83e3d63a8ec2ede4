"""8-bit floats: conversions of <cuda_fp8.h> against ml_dtypes, and against the definition of the formats."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

KINDS = {"e4m3": ml_dtypes.float8_e4m3fn, "e5m2": ml_dtypes.float8_e5m2}
LARGEST = {"e4m3": 448.0, "e5m2": 57344.0}


def value(kind: str, code: int) -> float:
    """PTX, "Alternate Floating-Point Data Formats": sign, exponent, fraction; e4m3 has no infinities and one NaN."""
    exponent_bits, fraction_bits = (4, 3) if kind == "e4m3" else (5, 2)
    sign, magnitude = code >> 7, code & 0x7F
    exponent, fraction = magnitude >> fraction_bits, magnitude & ((1 << fraction_bits) - 1)
    bias = (1 << (exponent_bits - 1)) - 1
    if kind == "e4m3" and magnitude == 0x7F:
        return float("nan")
    if kind == "e5m2" and exponent == 31:
        return float("nan") if fraction else (-1) ** sign * float("inf")
    scale = 2.0 ** ((exponent or 1) - bias - fraction_bits)
    return (-1) ** sign * ((fraction if exponent == 0 else fraction + (1 << fraction_bits)) * scale)


CONVERT = """
#include <cuda_fp8.h>
extern "C" __global__ void k(const float* x, const double* wide, unsigned char* from_float, unsigned char* from_double,
                             unsigned char* from_half, unsigned char* free, unsigned short* pairs, unsigned* fours) {
    int i = threadIdx.x + blockIdx.x * blockDim.x;
    from_float[i] = __nv_fp8_KIND(x[i]).__x;
    from_double[i] = __nv_fp8_KIND(wide[i]).__x;
    from_half[i] = __nv_fp8_KIND(__float2half(x[i])).__x;
    free[i] = __nv_cvt_float_to_fp8(x[i], __NV_NOSAT, NAME);
    pairs[i] = __nv_fp8x2_KIND(make_float2(x[i], -x[i])).__x;
    fours[i] = __nv_fp8x4_KIND(make_float4(x[i], 1.0f, -x[i], 0.5f)).__x;
}
extern "C" __global__ void back(const unsigned char* code, float* y, float* halves, float2* pairs) {
    int i = threadIdx.x + blockIdx.x * blockDim.x;
    __nv_fp8_KIND v;
    v.__x = code[i];
    y[i] = (float)v;
    halves[i] = (float)__half(__nv_cvt_fp8_to_halfraw(code[i], NAME));
    __nv_fp8x2_KIND pair;
    pair.__x = code[i] | 0x3800;
    pairs[i] = (float2)pair;
}"""


def source(kind: str) -> str:
    return CONVERT.replace("KIND", kind).replace("NAME", f"__NV_{kind.upper()}")


@pytest.mark.parametrize("kind", KINDS)
def test_rounding(device_kernel, kind):
    """To nearest even, saturating: every code, every tie between two and its neighbours, far out, subnormal, NaN."""
    finite = np.unique([value(kind, code) for code in range(256) if np.isfinite(value(kind, code))])
    ties = (finite[1:] + finite[:-1]) / 2
    x = np.concatenate([finite, ties, np.nextafter(ties.astype(np.float32), np.float32(np.inf)),
                        np.nextafter(ties.astype(np.float32), np.float32(-np.inf)),
                        [np.nan, np.inf, -np.inf, 1e30, -1e30, LARGEST[kind] * 1.04, 1e-12, -0.0]])  # fmt: skip
    x = np.resize(x, -(-len(x) // 64) * 64).astype(np.float32)
    out = [np.zeros(len(x), np.uint8) for _ in range(4)]
    pairs, fours = np.zeros(len(x), np.uint16), np.zeros(len(x), np.uint32)
    device_kernel(source(kind))(len(x) // 64, 64, x, x.astype(np.float64), *out, pairs, fours)
    clipped = np.clip(x, -LARGEST[kind], LARGEST[kind])
    expected = clipped.astype(KINDS[kind]).view(np.uint8)
    nan = np.isnan(x)
    for got in (out[0], out[1]):
        np.testing.assert_array_equal(got[~nan], expected[~nan])
        assert np.isnan(got[nan].view(KINDS[kind]).astype(np.float32)).all()
    assert (out[0][nan] == 0x7F).all()
    with np.errstate(over="ignore"):
        through = np.clip(x.astype(np.float16).astype(np.float32), -LARGEST[kind], LARGEST[kind])
    np.testing.assert_array_equal(out[2][~nan], through.astype(KINDS[kind]).view(np.uint8)[~nan])
    beyond = np.abs(x.astype(np.float64)) > LARGEST[kind] * (464 / 448 if kind == "e4m3" else 61439 / 57344)
    sign = np.signbit(x).astype(np.uint8) << 7
    unbounded = np.where(beyond, sign | (0x7F if kind == "e4m3" else 0x7C), expected)
    np.testing.assert_array_equal(out[3][~nan], unbounded[~nan])
    negative = (expected ^ 0x80).astype(np.uint32)
    np.testing.assert_array_equal(pairs[~nan], (expected | negative << 8)[~nan])
    one, half = (np.float32(v).astype(KINDS[kind]).view(np.uint8).astype(np.uint32) for v in (1, 0.5))
    np.testing.assert_array_equal(fours[~nan], (expected | one << 8 | negative << 16 | half << 24)[~nan])


@pytest.mark.parametrize("kind", KINDS)
def test_values_of_all_codes(device_kernel, kind):
    codes = np.arange(256, dtype=np.uint8)
    expected = np.array([value(kind, code) for code in range(256)], np.float32)
    np.testing.assert_array_equal(codes.view(KINDS[kind]).astype(np.float32), expected)
    y, halves, pairs = np.zeros(256, np.float32), np.zeros(256, np.float32), np.zeros((256, 2), np.float32)
    device_kernel(source(kind), "back")(4, 64, codes, y, halves, pairs)
    for got in (y, halves, pairs[:, 0]):
        np.testing.assert_array_equal(got, expected)
    assert (pairs[:, 1] == value(kind, 0x38)).all()
