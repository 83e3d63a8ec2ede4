"""CUDA's mathematical functions on sim, against NumPy; and that NVRTC knows the same names."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradlib.backend import Unit, nvrtc

rng = np.random.default_rng(3)

# Expressions in x (and y), with what they should be; each is computed in float and in double.
UNARY = {
    "exp(x)": np.exp,
    "exp2(x)": np.exp2,
    "exp10(x)": lambda x: 10.0**x,
    "expm1(x)": np.expm1,
    "log(fabs(x))": lambda x: np.log(np.abs(x)),
    "log2(abs(x))": lambda x: np.log2(np.abs(x)),
    "log10(fabs(x))": lambda x: np.log10(np.abs(x)),
    "log1p(fabs(x))": lambda x: np.log1p(np.abs(x)),
    "sqrt(fabs(x))": lambda x: np.sqrt(np.abs(x)),
    "rsqrt(fabs(x))": lambda x: 1 / np.sqrt(np.abs(x)),
    "cbrt(x)": np.cbrt,
    "rcbrt(x)": lambda x: 1 / np.cbrt(x),
    "sin(x)": np.sin,
    "cos(x)": np.cos,
    "tan(x)": np.tan,
    "asin(x / 9)": lambda x: np.arcsin(x / 9),
    "acos(x / 9)": lambda x: np.arccos(x / 9),
    "atan(x)": np.arctan,
    "sinh(x)": np.sinh,
    "cosh(x)": np.cosh,
    "tanh(x)": np.tanh,
    "asinh(x)": np.arcsinh,
    "acosh(1 + fabs(x))": lambda x: np.arccosh(1 + np.abs(x)),
    "atanh(x / 9)": lambda x: np.arctanh(x / 9),
    "erf(x)": np.vectorize(math.erf),
    "erfc(x)": np.vectorize(math.erfc),
    "lgamma(x)": np.vectorize(math.lgamma),
    "tgamma(x)": np.vectorize(math.gamma),
    "normcdf(x)": np.vectorize(lambda x: math.erfc(-x / math.sqrt(2)) / 2),
    "floor(x)": np.floor,
    "ceil(x)": np.ceil,
    "trunc(x)": np.trunc,
    "rint(2 * x)": lambda x: np.rint(2 * x),
    "round(2 * x)": lambda x: np.trunc(2 * x + np.copysign(0.5, x)),
    "nearbyint(x)": np.rint,
    "fabs(x)": np.abs,
    "sinpi(x)": lambda x: np.sin(np.pi * x),
    "cospi(x)": lambda x: np.cos(np.pi * x),
    "ldexp(x, 3)": lambda x: 8 * x,
    "scalbn(x, -2)": lambda x: x / 4,
    "(R)ilogb(x)": lambda x: np.floor(np.log2(np.abs(x))),
    "pow(x, 3)": lambda x: x**3,
    "(R)llrint(x)": np.rint,
    "(R)lround(x)": lambda x: np.trunc(x + np.copysign(0.5, x)),
    "(R)isnan(x)": np.isnan,
    "(R)isfinite(1 / x)": lambda x: np.isfinite(1 / x),
    "(R)signbit(x)": np.signbit,
    "logb(x)": lambda x: np.floor(np.log2(np.abs(x))),
    "erfcx(x / 4)": lambda x: np.exp(x * x / 16) * np.vectorize(math.erfc)(x / 4),
}
BINARY = {
    "pow(fabs(x), y)": lambda x, y: np.abs(x) ** y,
    "atan2(x, y)": np.arctan2,
    "fmod(x, y)": np.fmod,
    "hypot(x, y)": np.hypot,
    "remainder(x, y)": np.vectorize(math.remainder),
    "copysign(x, y)": np.copysign,
    "fdim(x, y)": lambda x, y: np.maximum(x - y, 0),
    "fmax(x, y)": np.fmax,
    "fmin(x, y)": np.fmin,
    "max(x, y)": np.fmax,
    "min(x, y)": np.fmin,
    "fma(x, y, x)": lambda x, y: x * y + x,
}
FAST = {
    "__expf(x)": np.exp,
    "__logf(fabsf(x))": lambda x: np.log(np.abs(x)),
    "__sinf(x)": np.sin,
    "__cosf(x)": np.cos,
    "__powf(fabsf(x), 2.5f)": lambda x: np.abs(x) ** 2.5,
    "__fdividef(x, 3.0f)": lambda x: x / 3,
    "__frcp_rn(x)": lambda x: 1 / x,
    "__fsqrt_rn(fabsf(x))": lambda x: np.sqrt(np.abs(x)),
    "__frsqrt_rn(fabsf(x))": lambda x: 1 / np.sqrt(np.abs(x)),
    "__fmaf_rn(x, x, 1.0f)": lambda x: x * x + 1,
    "__fadd_rn(x, 2.0f)": lambda x: x + 2,
    "__fmul_rn(x, x)": lambda x: x * x,
    "__saturatef(x)": lambda x: np.clip(x, 0, 1),
    "__exp10f(x)": lambda x: 10.0**x,
    "__log2f(fabsf(x))": lambda x: np.log2(np.abs(x)),
    "__tanf(x)": np.tan,
    "__fsub_rn(x, 1.0f)": lambda x: x - 1,
    "__fdiv_rn(x, 3.0f)": lambda x: x / 3,
    "__log10f(fabsf(x))": lambda x: np.log10(np.abs(x)),
    "norm3df(x, 2.0f, 3.0f)": lambda x: np.sqrt(x * x + 13),
}

EVALUATE = """
extern "C" __global__ void k(const R* xs, const R* ys, R* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    R x = xs[i], y = ys[i];
    R values[] = {EXPRESSIONS};
    for (int j = 0; j < (int)(sizeof(values) / sizeof(R)); ++j) out[j * n + i] = values[j];
}"""


@pytest.mark.parametrize("real", ["float", "double"])
def test_functions(device_kernel, real):
    dtype = np.dtype(np.float32 if real == "float" else np.float64)
    expressions = [*UNARY, *BINARY, *(FAST if real == "float" else ())]
    x = np.concatenate([rng.uniform(-6, 6, 90), [0.5, -0.5, 1.5, -2.5, 1e-3]]).astype(dtype)
    y = rng.uniform(-3, 3, x.size).astype(dtype)
    out = np.zeros((len(expressions), x.size), dtype)
    device_kernel(EVALUATE.replace("EXPRESSIONS", ", ".join(expressions)), macros={"R": real})(2, 64, x, y, out, x.size)
    wide_x, wide_y = x.astype(np.float64), y.astype(np.float64)
    tolerance = 1e-5 if real == "float" else 3e-14
    rough = 1e-4 if device_kernel.device == "cuda" else tolerance  # the hardware's own functions, in absolute terms
    for name, got in zip(expressions, out, strict=True):
        expected = BINARY[name](wide_x, wide_y) if name in BINARY else {**UNARY, **FAST}[name](wide_x)
        allowed = rough if name in FAST else tolerance
        np.testing.assert_allclose(got, expected, rtol=allowed, atol=allowed, err_msg=name)


def test_extremes_of_zeros_and_nan(device_kernel):
    text = EVALUATE.replace("EXPRESSIONS", "fmaxf(x, y), fminf(x, y), (float)fmax((double)x, (double)y)")
    x = np.array([0.0, -0.0, np.nan, 1.0, np.nan, np.inf], np.float32)
    y = np.array([-0.0, 0.0, 2.0, np.nan, np.nan, -np.inf], np.float32)
    out = np.zeros((3, 6), np.float32)
    device_kernel(text, macros={"R": "float"})(1, 6, x, y, out, 6)
    largest, smallest = [0.0, 0.0, 2, 1, np.nan, np.inf], [-0.0, -0.0, 2, 1, np.nan, -np.inf]
    for got, expected in zip(out, [largest, smallest, largest], strict=True):
        np.testing.assert_array_equal(got, expected)
        np.testing.assert_array_equal(np.signbit(got[:2]), np.signbit(expected[:2]))


@pytest.mark.parametrize("real", ["float", "double"])
def test_nvrtc_knows_the_same_functions(tmp_path, real):
    there, reason = nvrtc.available()
    if not there:
        pytest.skip(reason)
    expressions = [*UNARY, *BINARY, *(FAST if real == "float" else ())]
    text = f"#define R {real}\n" + EVALUATE.replace("EXPRESSIONS", ", ".join(expressions))
    nvrtc.Compiler("sm_90").build(Unit("functions.cu", text, (), (), ("k",)), tmp_path / "k.cubin")


def test_approximate_functions(device_ptx_kernel):
    """PTX, "ex2" and "rcp" with .approx.ftz: to 2^-22 of the value and a little; subnormal numbers count as 0."""
    compute = device_ptx_kernel(
        "const float* x, float* e, float* r, int n",
        "for (int i = threadIdx.x; i < n; i += 32) { e[i] = ptx::ex2_approx(x[i]); r[i] = ptx::rcp_approx(x[i]); }",
    )
    x = np.concatenate([rng.uniform(-30, 30, 500), [0, -0.0, 1e-40, -1e-40, np.inf, -np.inf, np.nan, 200, -200, -130]])
    x = x.astype(np.float32)
    e, r = np.zeros_like(x), np.zeros_like(x)
    compute(1, 32, x, e, r, len(x))
    least = np.finfo(np.float32).tiny
    wide = np.where(abs(x) < least, np.copysign(0.0, x), x).astype(np.float64)
    with np.errstate(divide="ignore", over="ignore"):
        power, inverse = np.exp2(wide), 1 / wide
        power = np.where(power > np.finfo(np.float32).max, np.inf, np.where(power < least, 0, power))
    np.testing.assert_allclose(e, power, rtol=2.0**-21)
    np.testing.assert_allclose(r, inverse, rtol=2.0**-21)
