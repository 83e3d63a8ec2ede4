"""CUDA's integer intrinsics, conversions, vector types and atomics on sim; and that NVRTC knows the same names."""

from __future__ import annotations

import numpy as np
import pytest

from gradlib.backend import Unit, nvrtc

rng = np.random.default_rng(4)
M = 2**32
INTEGER = {
    "__umulhi(a, b)": lambda a, b: a * b >> 32,
    "(unsigned)__mulhi((int)a, (int)b)": lambda a, b: signed(a) * signed(b) >> 32,
    "__popc(a)": lambda a, b: a.bit_count(),
    "__clz(a)": lambda a, b: 32 - a.bit_length(),
    "__ffs(a)": lambda a, b: (a & -a).bit_length(),
    "__brev(a)": lambda a, b: int(f"{a:032b}"[::-1], 2),
    "__byte_perm(a, b, 0x7205)": lambda a, b: permuted(a, b, (5, 0, 2, 7)),
    "__byte_perm(a, b, 0x3)": lambda a, b: permuted(a, b, (3, 0, 0, 0)),
    "(unsigned)(__umul64hi(a * 0x100000001ull, b * 0x100000001ull) >> 32)": lambda a, b: (
        (a * (M + 1)) * (b * (M + 1)) >> 96
    ),
    "(unsigned)__popcll(a * 0x100000001ull)": lambda a, b: 2 * a.bit_count(),
    "(unsigned)__clzll(a)": lambda a, b: 64 - a.bit_length(),
    "(unsigned)(__brevll(a) >> 32)": lambda a, b: int(f"{a:032b}"[::-1], 2),
    "__funnelshift_l(a, b, 5)": lambda a, b: (b << 32 | a) << 5 >> 32,
    "__funnelshift_r(a, b, 37)": lambda a, b: (b << 32 | a) >> 5,
    "min(a, b)": min,
    "max(a, b)": max,
    "(unsigned)min((int)a, (int)b)": lambda a, b: min(signed(a), signed(b)),
    "(unsigned)max((int)a, (int)b)": lambda a, b: max(signed(a), signed(b)),
    "(unsigned)max((int)a, b)": max,
    "(unsigned)(max((long long)a, 5ll))": lambda a, b: max(a, 5),
    "(unsigned)abs((int)a)": lambda a, b: abs(signed(a)),
    "__float_as_uint(__uint_as_float(a))": lambda a, b: a,
    "(unsigned)__double2hiint(__hiloint2double(a, b))": lambda a, b: a,
    "(unsigned)__double_as_longlong(__longlong_as_double((long long)a << 32 | b))": lambda a, b: b,
    "(unsigned)__mul24((int)a, (int)b)": lambda a, b: signed(a << 8 & M - 1) // 256 * (signed(b << 8 & M - 1) // 256),
    "__umul24(a, b)": lambda a, b: (a & 0xFFFFFF) * (b & 0xFFFFFF),
    "__usad(a, b, 7u)": lambda a, b: abs(a - b) + 7,
    "(unsigned)__hadd((int)a, (int)b)": lambda a, b: signed(a) + signed(b) >> 1,
    "__dp4a(a, b, 3u)": lambda a, b: 3 + sum((a >> s & 255) * (b >> s & 255) for s in (0, 8, 16, 24)),
    "(unsigned)(__mul64hi(-(long long)a * 0x100000000ll, (long long)b) )": lambda a, b: (wrap64(-a * M) * b) >> 64,
}


def signed(a: int) -> int:
    return a - M if a >> 31 else a


def wrap64(a: int) -> int:
    return (a + 2**63) % 2**64 - 2**63


def permuted(a: int, b: int, picks: tuple[int, ...]) -> int:
    return sum((((b << 32 | a) >> (8 * pick)) & 255) << (8 * i) for i, pick in enumerate(picks))


INTEGERS = """
extern "C" __global__ void k(const unsigned int* as, const unsigned int* bs, unsigned int* out, int n) {
    int i = threadIdx.x;
    if (i >= n) return;
    unsigned int a = as[i], b = bs[i];
    unsigned int values[] = {EXPRESSIONS};
    for (int j = 0; j < (int)(sizeof(values) / sizeof(values[0])); ++j) out[j * n + i] = values[j];
}""".replace("EXPRESSIONS", ", ".join(INTEGER))


def test_integer_intrinsics(device_kernel):
    edges = [0, 1, 2**31 - 1, 2**31, 2**32 - 1, 0x80FF7F01]
    a = np.concatenate([rng.integers(0, M, 40), edges]).astype(np.uint32)
    b = np.concatenate([rng.integers(0, M, 40), edges[::-1]]).astype(np.uint32)
    out = np.zeros((len(INTEGER), a.size), np.uint32)
    device_kernel(INTEGERS)(1, 64, a, b, out, a.size)
    for (name, reference), got in zip(INTEGER.items(), out, strict=True):
        assert got.tolist() == [reference(int(x), int(y)) % M for x, y in zip(a, b, strict=True)], name


CONVERSIONS = """
extern "C" __global__ void k(const double* x, int* ints, unsigned int* uints, long long* longs, int n) {
    for (int i = 0; i < n; ++i) {
        ints[6 * i] = __double2int_rn(x[i]), ints[6 * i + 1] = __double2int_rz(x[i]);
        ints[6 * i + 2] = __double2int_rd(x[i]), ints[6 * i + 3] = __double2int_ru(x[i]);
        ints[6 * i + 4] = __float2int_rn((float)x[i]), ints[6 * i + 5] = __float2int_rz((float)x[i]);
        uints[i] = __double2uint_rn(x[i]), longs[i] = __double2ll_rz(x[i]);
    }
}"""


def test_conversions_saturate(device_kernel):
    x = np.array([0.5, 1.5, -1.5, 2.5, -0.25, 1e10, -1e10, np.inf, -np.inf, np.nan, 3e9])
    ints, uints, longs = np.zeros((x.size, 6), np.int32), np.zeros(x.size, np.uint32), np.zeros(x.size, np.int64)
    device_kernel(CONVERSIONS)(1, 1, x, ints, uints, longs, x.size)
    finite = np.nan_to_num(x, nan=0, posinf=1e30, neginf=-1e30)
    rounded = [f(finite) for f in (np.rint, np.trunc, np.floor, np.ceil, np.rint, np.trunc)]
    expected = np.clip(np.stack(rounded, 1), -(2**31), 2**31 - 1).astype(np.int64)
    expected[np.isnan(x), :4] = -(2**31)  # NaN in double is the top bit, in float 0
    np.testing.assert_array_equal(ints, expected)
    np.testing.assert_array_equal(uints, np.where(np.isnan(x), 2**31, np.clip(np.rint(finite), 0, 2**32 - 1)))
    assert longs.tolist() == [0, 1, -1, 2, 0, 10**10, -(10**10), 2**63 - 1, -(2**63), -(2**63), 3 * 10**9]


LAYOUT = {
    "char2": (2, 2),
    "char4": (4, 4),
    "uchar3": (3, 1),
    "uchar4": (4, 4),
    "short2": (4, 4),
    "ushort4": (8, 8),
    "int2": (8, 8),
    "int3": (12, 4),
    "int4": (16, 16),
    "uint2": (8, 8),
    "uint4": (16, 16),
    "float1": (4, 4),
    "float2": (8, 8),
    "float3": (12, 4),
    "float4": (16, 16),
    "double2": (16, 16),
    "double3": (24, 8),
    "longlong2": (16, 16),
    "ulonglong2": (16, 16),
    "dim3": (12, 4),
    "__half2": (4, 4),
    "__nv_bfloat162": (4, 4),
    "__half": (2, 2),
    "uint3": (12, 4),
}
VECTORS = """
extern "C" __global__ void k(int* out, const float4* f, const double2* d) {
    int values[] = {SIZES};
    for (int i = 0; i < (int)(sizeof(values) / sizeof(int)); ++i) out[i] = values[i];
    float4 v = *f, w = make_float4(v.w, v.z, v.y, v.x);
    uchar4 bytes = make_uchar4(1, 2, 3, 255);
    float3 three = make_float3(1, 2, 3);
    out[50] = (int)(w.x + w.y * 10 + make_double2(d->y, d->x).x * 100 + __ldg(f).x * 1000);
    out[51] = bytes.w + make_int2(3, 4).y + (int)three.z + (int)make_uint3(1, 2, 3).x + make_longlong2(1, 2).y;
}""".replace("SIZES", ", ".join(f"sizeof({name}), alignof({name})" for name in LAYOUT))


def test_vector_types(device_kernel):
    out = np.zeros(52, np.int32)
    device_kernel(VECTORS)(1, 1, out, np.array([1, 2, 3, 4], np.float32), np.array([5.0, 6.0]))
    assert out[: 2 * len(LAYOUT)].reshape(-1, 2).tolist() == [list(layout) for layout in LAYOUT.values()]
    assert out[50:].tolist() == [4 + 30 + 600 + 1000, 255 + 4 + 3 + 1 + 2]


ATOMICS = """
extern "C" __global__ void k(int* i, unsigned int* u, unsigned long long* l, float* f, double* d, __half* h,
                             __nv_bfloat162* b) {
    int t = threadIdx.x;
    atomicAdd(&i[0], t), atomicSub(&i[1], t), atomicMin(&i[2], -t), atomicMax(&i[3], t);
    atomicAnd(&i[4], ~(1 << t % 32)), atomicOr(&i[5], 1 << t % 32), atomicXor(&i[6], 1 << t % 8), atomicExch(&i[7], 5);
    atomicInc(&u[0], 9u), atomicDec(&u[1], 9u), atomicAdd(&u[2], 1u);
    atomicMin(&u[3], (unsigned int)t), atomicMax(&u[4], (unsigned int)t);
    atomicAdd(&l[0], 1ull << 40), atomicMax(&l[1], (unsigned long long)t), atomicExch(&l[2], 7ull);
    atomicAdd(&f[0], 0.5f), atomicExch(&f[1], 2.0f), atomicAdd(&d[0], 0.25), atomicAdd(&h[0], (__half)1.0f);
    atomicAdd(b, __floats2bfloat162_rn(1.0f, 2.0f));
    unsigned int seen, old = u[5];
    do { seen = old; old = atomicCAS(&u[5], seen, seen + 2); } while (old != seen);
    __threadfence();
    __threadfence_block();
}"""


def test_atomics(device_kernel):
    i, u = np.array([0, 0, 0, 0, -1, 0, 0, 0], np.int32), np.array([0, 0, 0, 99, 0, 0], np.uint32)
    w, f, d = np.zeros(3, np.uint64), np.zeros(2, np.float32), np.zeros(1)
    h, b = np.zeros(2, np.float16), np.zeros(2, np.float16)
    device_kernel(ATOMICS)(4, 64, i, u, w, f, d, h, b)
    total = 4 * 64 * 63 // 2
    assert i.tolist() == [total, -total, -63, 63, 0, -1, 0, 5]
    assert u.tolist() == [256 % 10, (10 - 256 % 10) % 10, 256, 0, 63, 512]
    assert (w.tolist(), f.tolist(), d.tolist(), h.tolist()) == ([256 << 40, 63, 7], [128, 2], [64], [256, 0])
    # bfloat16 has 8 bits: 256 ones sum exactly to 256, and so do the twos
    assert b.view(np.uint16).tolist() == [0x4380, 0x4400]


def test_print(kernel, capfd):
    kernel(r'extern "C" __global__ void k(int x) { if (threadIdx.x == 1) printf("%d and %.2f\n", x, 0.5); }')(1, 2, 7)
    assert capfd.readouterr().out == "7 and 0.50\n"


def test_nvrtc_knows_the_same_names(tmp_path):
    there, reason = nvrtc.available()
    if not there:
        pytest.skip(reason)
    half = "#include <cuda_fp16.h>\n#include <cuda_bf16.h>\n"
    for text in (INTEGERS, CONVERSIONS, half + VECTORS, half + ATOMICS):
        nvrtc.Compiler("sm_90").build(Unit("integers.cu", text, (), (), ("k",)), tmp_path / "k.cubin")
