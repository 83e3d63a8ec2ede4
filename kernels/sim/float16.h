// __half and __nv_bfloat16: storage of 16 bits, every conversion and every result rounded to nearest even.
#pragma once

namespace gradlib_sim {

// IEEE binary16 in integer arithmetic: for hosts without an instruction, and the reference the tests hold that one to.
inline unsigned short half_from_float_portable(float x) {
    unsigned bits = bit_cast<unsigned>(x), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) return (unsigned short)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
    if (magnitude >= 0x477ff000) return (unsigned short)(sign | 0x7c00);  // 65520 and more round to infinity
    if (magnitude < 0x38800000) {  // below 2^-14: adding 0.5 leaves the subnormal, rounded, in the low bits
        float shifted = bit_cast<float>(magnitude) + 0.5f;
        return (unsigned short)(sign | (bit_cast<unsigned>(shifted) - 0x3f000000));
    }
    unsigned rounded = magnitude + 0xfff + (magnitude >> 13 & 1) - (112u << 23);
    return (unsigned short)(sign | rounded >> 13);
}
inline float float_from_half_portable(unsigned short h) {
    unsigned sign = (unsigned)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3ff;
    if (exponent == 31) return bit_cast<float>(sign | 0x7f800000 | (fraction ? 0x400000 : 0) | fraction << 13);
    if (exponent == 0) return bit_cast<float>(sign | bit_cast<unsigned>((float)fraction * 0x1p-24f));
    return bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
}

#if defined(__F16C__)
typedef float Float4 __attribute__((vector_size(16)));
typedef short Short8 __attribute__((vector_size(16)));
inline unsigned short half_from_float(float x) { return (unsigned short)__builtin_ia32_vcvtps2ph(Float4{x}, 0)[0]; }
inline float float_from_half(unsigned short h) { return __builtin_ia32_vcvtph2ps(Short8{(short)h})[0]; }
#elif defined(__aarch64__)
inline unsigned short half_from_float(float x) { return bit_cast<unsigned short>((__fp16)x); }
inline float float_from_half(unsigned short h) { return (float)bit_cast<__fp16>(h); }
#else
inline unsigned short half_from_float(float x) { return half_from_float_portable(x); }
inline float float_from_half(unsigned short h) { return float_from_half_portable(h); }
#endif

inline unsigned short bfloat16_from_float(float x) {
    unsigned bits = bit_cast<unsigned>(x);
    return x != x ? (unsigned short)(bits >> 16 | 0x40) : (unsigned short)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
inline float float_from_bfloat16(unsigned short h) { return bit_cast<float>((unsigned)h << 16); }

// Round to odd: a float that rounds on to 16 bits as the double itself would (24 bits >= 11 + 2, no double rounding).
inline float odd_float(double x) {
    float f = (float)x;
    if ((double)f == x || x != x) return f;
    unsigned bits = bit_cast<unsigned>(f);
    if ((f < 0 ? -(double)f : (double)f) > (x < 0 ? -x : x)) --bits;
    return bit_cast<float>(bits | 1);
}
// a * b + c with a, b, c of 16 bits: the product is exact in double, the sum is rounded to odd.
inline float odd_fma(float a, float b, float c) {
    double product = (double)a * b, sum = product + c, part = sum - product;
    double error = (product - (sum - part)) + (c - part);  // exact (Knuth's two-sum)
    if (error != 0 && error == error) {
        unsigned long long bits = bit_cast<unsigned long long>(sum);
        if (!(bits & 1)) bits += (error > 0) == (sum > 0) ? 1 : -1;
        sum = bit_cast<double>(bits);
    }
    return odd_float(sum);
}
// 64-bit integers of more than 53 bits: the lost bits are kept as one sticky bit.
inline double sticky_double(unsigned long long x) {
    return (double)(x >> 53 == 0 ? x : (x & ~0x7ffull) | ((x & 0x7ff) != 0 ? 0x800 : 0));
}
inline double sticky_double(long long x) {
    return x < 0 ? -sticky_double(0 - (unsigned long long)x) : sticky_double((unsigned long long)x);
}

}  // namespace gradlib_sim

// The two scalar types differ in their conversion alone.  Their implicit conversions are those of CUDA's headers.
#define GRADLIB_SIM_FLOAT16(type, name, raw, from_float, to_float)                                                 \
    struct raw { unsigned short x; };                                                                              \
    struct type {                                                                                                  \
        unsigned short __x;                                                                                        \
        type() = default;                                                                                          \
        constexpr type(raw r) : __x(r.x) {}                                                                        \
        type(float v) : __x(gradlib_sim::from_float(v)) {}                                                         \
        type(double v) : __x(gradlib_sim::from_float(gradlib_sim::odd_float(v))) {}                                \
        type(short v) : type((float)v) {}                                                                          \
        type(unsigned short v) : type((float)v) {}                                                                 \
        type(int v) : type((double)v) {}                                                                           \
        type(unsigned v) : type((double)v) {}                                                                      \
        type(long v) : type(gradlib_sim::sticky_double((long long)v)) {}                                           \
        type(unsigned long v) : type(gradlib_sim::sticky_double((unsigned long long)v)) {}                         \
        type(long long v) : type(gradlib_sim::sticky_double(v)) {}                                                 \
        type(unsigned long long v) : type(gradlib_sim::sticky_double(v)) {}                                        \
        operator float() const { return gradlib_sim::to_float(__x); }                                              \
        operator raw() const { return raw{__x}; }                                                                  \
        operator bool() const { return (__x & 0x7fff) != 0; }                                                      \
        operator signed char() const { return gradlib_sim::saturate_cast<signed char>((float)*this); }             \
        operator unsigned char() const { return gradlib_sim::saturate_cast<unsigned char>((float)*this); }         \
        operator char() const { return gradlib_sim::saturate_cast<char>((float)*this); }                           \
        operator short() const { return gradlib_sim::saturate_cast<short>((float)*this); }                         \
        operator unsigned short() const { return gradlib_sim::saturate_cast<unsigned short>((float)*this); }       \
        operator int() const { return gradlib_sim::saturate_cast<int>((float)*this); }                             \
        operator unsigned() const { return gradlib_sim::saturate_cast<unsigned>((float)*this); }                   \
        operator long() const { return gradlib_sim::saturate_cast<long>((float)*this); }                           \
        operator unsigned long() const { return gradlib_sim::saturate_cast<unsigned long>((float)*this); }         \
        operator long long() const { return gradlib_sim::saturate_cast<long long>((float)*this); }                 \
        operator unsigned long long() const {                                                                      \
            return gradlib_sim::saturate_cast<unsigned long long>((float)*this);                                   \
        }                                                                                                          \
        template <class V, class = typename gradlib_sim::enable<                                                   \
                               gradlib_sim::is_integer<V> || gradlib_sim::one_of<V, float, double>>::type>         \
        type& operator=(V v) { return *this = type(v); }                                                           \
    };                                                                                                             \
    struct alignas(4) type##2 {                                                                                    \
        type x, y;                                                                                                 \
        type##2() = default;                                                                                       \
        type##2(const type& x_, const type& y_) : x(x_), y(y_) {}                                                  \
    };                                                                                                             \
    inline type __float2##name(float v) { return type(v); }                                                        \
    inline type __float2##name##_rn(float v) { return type(v); }                                                   \
    inline type __double2##name(double v) { return type(v); }                                                      \
    inline type __int2##name##_rn(int v) { return type(v); }                                                       \
    inline type __uint2##name##_rn(unsigned v) { return type(v); }                                                 \
    inline type __short2##name##_rn(short v) { return type(v); }                                                   \
    inline type __ushort2##name##_rn(unsigned short v) { return type(v); }                                         \
    inline type __ll2##name##_rn(long long v) { return type(v); }                                                  \
    inline type __ull2##name##_rn(unsigned long long v) { return type(v); }                                        \
    inline float __##name##2float(type v) { return (float)v; }                                                     \
    inline int __##name##2int_rz(type v) { return __float2int_rz(v); }                                             \
    inline int __##name##2int_rn(type v) { return __float2int_rn(v); }                                             \
    inline unsigned __##name##2uint_rz(type v) { return __float2uint_rz(v); }                                      \
    inline unsigned __##name##2uint_rn(type v) { return __float2uint_rn(v); }                                      \
    inline long long __##name##2ll_rz(type v) { return __float2ll_rz(v); }                                         \
    inline long long __##name##2ll_rn(type v) { return __float2ll_rn(v); }                                         \
    inline unsigned long long __##name##2ull_rz(type v) { return __float2ull_rz(v); }                              \
    inline unsigned long long __##name##2ull_rn(type v) { return __float2ull_rn(v); }                              \
    inline short __##name##_as_short(type v) { return (short)v.__x; }                                              \
    inline unsigned short __##name##_as_ushort(type v) { return v.__x; }                                           \
    inline type __short_as_##name(short bits) { return type(raw{(unsigned short)bits}); }                          \
    inline type __ushort_as_##name(unsigned short bits) { return type(raw{bits}); }                                \
    inline type##2 __float2##name##2_rn(float v) { return type##2(type(v), type(v)); }                             \
    inline type##2 __floats2##name##2_rn(float x, float y) { return type##2(type(x), type(y)); }                   \
    inline type##2 __##name##2##name##2(type v) { return type##2(v, v); }

GRADLIB_SIM_FLOAT16(__half, half, __half_raw, half_from_float, float_from_half)
GRADLIB_SIM_FLOAT16(__nv_bfloat16, bfloat16, __nv_bfloat16_raw, bfloat16_from_float, float_from_bfloat16)
#undef GRADLIB_SIM_FLOAT16

typedef __half half;
typedef __half2 half2;
typedef __nv_bfloat16 nv_bfloat16;
typedef __nv_bfloat162 nv_bfloat162;

// CUDA's names of the pair functions are not formed alike for the two types.
inline __half2 __float22half2_rn(float2 v) { return __half2(v.x, v.y); }
inline float2 __half22float2(__half2 v) { return float2{(float)v.x, (float)v.y}; }
inline __half2 make_half2(__half x, __half y) { return __half2(x, y); }
inline __nv_bfloat162 __float22bfloat162_rn(float2 v) { return __nv_bfloat162(v.x, v.y); }
inline float2 __bfloat1622float2(__nv_bfloat162 v) { return float2{(float)v.x, (float)v.y}; }
inline __nv_bfloat162 make_bfloat162(__nv_bfloat16 x, __nv_bfloat16 y) { return __nv_bfloat162(x, y); }
inline __half2 __halves2half2(__half a, __half b) { return __half2(a, b); }
inline __nv_bfloat162 __halves2bfloat162(__nv_bfloat16 a, __nv_bfloat16 b) { return __nv_bfloat162(a, b); }
inline __half __low2half(__half2 v) { return v.x; }
inline __half __high2half(__half2 v) { return v.y; }
inline __half2 __low2half2(__half2 v) { return __half2(v.x, v.x); }
inline __half2 __high2half2(__half2 v) { return __half2(v.y, v.y); }
inline __half2 __lows2half2(__half2 a, __half2 b) { return __half2(a.x, b.x); }
inline __half2 __highs2half2(__half2 a, __half2 b) { return __half2(a.y, b.y); }
inline __nv_bfloat16 __low2bfloat16(__nv_bfloat162 v) { return v.x; }
inline __nv_bfloat16 __high2bfloat16(__nv_bfloat162 v) { return v.y; }
inline __nv_bfloat162 __low2bfloat162(__nv_bfloat162 v) { return __nv_bfloat162(v.x, v.x); }
inline __nv_bfloat162 __high2bfloat162(__nv_bfloat162 v) { return __nv_bfloat162(v.y, v.y); }
inline __nv_bfloat162 __lows2bfloat162(__nv_bfloat162 a, __nv_bfloat162 b) { return __nv_bfloat162(a.x, b.x); }
inline __nv_bfloat162 __highs2bfloat162(__nv_bfloat162 a, __nv_bfloat162 b) { return __nv_bfloat162(a.y, b.y); }

#define F16 __half
#define F16_PAIR __half2
#include "float16_arithmetic.h"
#define F16 __nv_bfloat16
#define F16_PAIR __nv_bfloat162
#include "float16_arithmetic.h"
