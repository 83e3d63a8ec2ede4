// __nv_fp8_e4m3 and __nv_fp8_e5m2, and their pairs and fours: what a kernel gets that includes <cuda_fp8.h>.
// Conversions round to nearest even; those of the types saturate to the largest finite number.
#pragma once

typedef unsigned char __nv_fp8_storage_t;
typedef unsigned short __nv_fp8x2_storage_t;
typedef unsigned __nv_fp8x4_storage_t;
enum __nv_saturation_t { __NV_NOSAT, __NV_SATFINITE };
enum __nv_fp8_interpretation_t { __NV_E4M3, __NV_E5M2 };

inline __nv_fp8_storage_t __nv_cvt_double_to_fp8(double x, __nv_saturation_t saturate, __nv_fp8_interpretation_t kind) {
    const bool narrow = kind == __NV_E4M3;  // in its range; it has no infinities
    const int fraction_bits = narrow ? 3 : 2, least = narrow ? -6 : -14, largest = narrow ? 0x7e : 0x7b;
    const unsigned long long bits = gradlib_sim::bit_cast<unsigned long long>(x);
    const int sign = (int)(bits >> 56 & 0x80);
    if (x != x) return (__nv_fp8_storage_t)(sign | (narrow ? 0x7f : 0x7e | (int)(bits >> 50 & 3)));
    int exponent = (int)(bits >> 52 & 0x7ff) - 1023;
    if (exponent < least) exponent = least;  // subnormal
    int code = largest + 1;
    if (exponent < 64) {
        const double unit = gradlib_sim::bit_cast<double>((unsigned long long)(exponent - fraction_bits + 1023) << 52);
        code = ((exponent - least) << fraction_bits) + (int)__builtin_rint((x < 0 ? -x : x) / unit);
    }
    if (code > largest) code = saturate == __NV_SATFINITE ? largest : narrow ? 0x7f : 0x7c;
    return (__nv_fp8_storage_t)(sign | code);
}
inline __nv_fp8_storage_t __nv_cvt_float_to_fp8(float x, __nv_saturation_t saturate, __nv_fp8_interpretation_t kind) {
    return x != x ? 0x7f : __nv_cvt_double_to_fp8(x, saturate, kind);
}
inline __nv_fp8_storage_t __nv_cvt_halfraw_to_fp8(__half_raw x, __nv_saturation_t saturate,
                                                  __nv_fp8_interpretation_t kind) {
    return __nv_cvt_float_to_fp8((float)__half(x), saturate, kind);
}
inline __nv_fp8_storage_t __nv_cvt_bfloat16raw_to_fp8(__nv_bfloat16_raw x, __nv_saturation_t saturate,
                                                      __nv_fp8_interpretation_t kind) {
    return __nv_cvt_float_to_fp8((float)__nv_bfloat16(x), saturate, kind);
}
inline __nv_fp8x2_storage_t __nv_cvt_float2_to_fp8x2(float2 x, __nv_saturation_t saturate,
                                                     __nv_fp8_interpretation_t kind) {
    return (__nv_fp8x2_storage_t)(__nv_cvt_float_to_fp8(x.x, saturate, kind) |
                                  __nv_cvt_float_to_fp8(x.y, saturate, kind) << 8);
}
inline __nv_fp8x2_storage_t __nv_cvt_double2_to_fp8x2(double2 x, __nv_saturation_t saturate,
                                                      __nv_fp8_interpretation_t kind) {
    return (__nv_fp8x2_storage_t)(__nv_cvt_double_to_fp8(x.x, saturate, kind) |
                                  __nv_cvt_double_to_fp8(x.y, saturate, kind) << 8);
}

namespace gradlib_sim {

inline float float_from_fp8(__nv_fp8_storage_t x, __nv_fp8_interpretation_t kind) {
    if (kind == __NV_E5M2) return float_from_half((unsigned short)(x << 8));  // the upper half of one
    const unsigned sign = (unsigned)(x & 0x80) << 24, magnitude = x & 0x7f;
    if (magnitude == 0x7f) return bit_cast<float>(sign | 0x7fffffffu);
    return bit_cast<float>(sign | bit_cast<unsigned>(bit_cast<float>(magnitude << 20) * 0x1p120f));
}

}  // namespace gradlib_sim

inline __half_raw __nv_cvt_fp8_to_halfraw(__nv_fp8_storage_t x, __nv_fp8_interpretation_t kind) {
    return __half(gradlib_sim::float_from_fp8(x, kind));
}
inline __nv_bfloat16_raw __nv_cvt_fp8_to_bf16raw(__nv_fp8_storage_t x, __nv_fp8_interpretation_t kind) {
    return __nv_bfloat16(gradlib_sim::float_from_fp8(x, kind));
}

// The two types differ in their interpretation alone.  All their conversions are explicit, as in CUDA's header.
#define GRADLIB_SIM_FLOAT8(kind, interpretation)                                                                   \
    struct __nv_fp8_##kind {                                                                                       \
        __nv_fp8_storage_t __x;                                                                                    \
        __nv_fp8_##kind() = default;                                                                               \
        explicit __nv_fp8_##kind(float v) : __x(__nv_cvt_float_to_fp8(v, __NV_SATFINITE, interpretation)) {}       \
        explicit __nv_fp8_##kind(double v) : __x(__nv_cvt_double_to_fp8(v, __NV_SATFINITE, interpretation)) {}     \
        explicit __nv_fp8_##kind(__half v) : __nv_fp8_##kind((float)v) {}                                          \
        explicit __nv_fp8_##kind(__nv_bfloat16 v) : __nv_fp8_##kind((float)v) {}                                   \
        template <class V, class = typename gradlib_sim::enable<gradlib_sim::is_integer<V>>::type>                 \
        explicit __nv_fp8_##kind(V v) : __nv_fp8_##kind((float)v) {}                                               \
        explicit operator float() const { return gradlib_sim::float_from_fp8(__x, interpretation); }               \
        explicit operator double() const { return (float)*this; }                                                  \
        explicit operator __half() const { return __half((float)*this); }                                          \
        explicit operator __nv_bfloat16() const { return __nv_bfloat16((float)*this); }                            \
        explicit operator bool() const { return (__x & 0x7f) != 0; }                                               \
        template <class V, class = typename gradlib_sim::enable<gradlib_sim::is_integer<V>>::type>                 \
        explicit operator V() const { return gradlib_sim::saturate_cast<V>((float)*this); }                        \
    };                                                                                                             \
    struct alignas(2) __nv_fp8x2_##kind {                                                                          \
        __nv_fp8x2_storage_t __x;                                                                                  \
        __nv_fp8x2_##kind() = default;                                                                             \
        explicit __nv_fp8x2_##kind(float2 v) : __x(__nv_cvt_float2_to_fp8x2(v, __NV_SATFINITE, interpretation)) {} \
        explicit __nv_fp8x2_##kind(double2 v)                                                                      \
            : __x(__nv_cvt_double2_to_fp8x2(v, __NV_SATFINITE, interpretation)) {}                                 \
        explicit __nv_fp8x2_##kind(__half2 v) : __nv_fp8x2_##kind(__half22float2(v)) {}                            \
        explicit __nv_fp8x2_##kind(__nv_bfloat162 v) : __nv_fp8x2_##kind(__bfloat1622float2(v)) {}                 \
        explicit operator float2() const {                                                                         \
            return float2{gradlib_sim::float_from_fp8((__nv_fp8_storage_t)__x, interpretation),                    \
                          gradlib_sim::float_from_fp8((__nv_fp8_storage_t)(__x >> 8), interpretation)};            \
        }                                                                                                          \
        explicit operator __half2() const { return __float22half2_rn((float2)*this); }                             \
        explicit operator __nv_bfloat162() const { return __float22bfloat162_rn((float2)*this); }                  \
    };                                                                                                             \
    struct alignas(4) __nv_fp8x4_##kind {                                                                          \
        __nv_fp8x4_storage_t __x;                                                                                  \
        __nv_fp8x4_##kind() = default;                                                                             \
        __nv_fp8x4_##kind(__nv_fp8x2_##kind low, __nv_fp8x2_##kind high)                                           \
            : __x(low.__x | (__nv_fp8x4_storage_t)high.__x << 16) {}                                               \
        explicit __nv_fp8x4_##kind(float4 v)                                                                       \
            : __nv_fp8x4_##kind(__nv_fp8x2_##kind(float2{v.x, v.y}), __nv_fp8x2_##kind(float2{v.z, v.w})) {}       \
        explicit __nv_fp8x4_##kind(__half2 low, __half2 high)                                                      \
            : __nv_fp8x4_##kind(__nv_fp8x2_##kind(low), __nv_fp8x2_##kind(high)) {}                                \
        explicit __nv_fp8x4_##kind(__nv_bfloat162 low, __nv_bfloat162 high)                                        \
            : __nv_fp8x4_##kind(__nv_fp8x2_##kind(low), __nv_fp8x2_##kind(high)) {}                                \
        explicit operator float4() const {                                                                         \
            __nv_fp8x2_##kind low, high;                                                                           \
            low.__x = (__nv_fp8x2_storage_t)__x;                                                                   \
            high.__x = (__nv_fp8x2_storage_t)(__x >> 16);                                                          \
            const float2 l = (float2)low, h = (float2)high;                                                        \
            return float4{l.x, l.y, h.x, h.y};                                                                     \
        }                                                                                                          \
    };
GRADLIB_SIM_FLOAT8(e4m3, __NV_E4M3)
GRADLIB_SIM_FLOAT8(e5m2, __NV_E5M2)
#undef GRADLIB_SIM_FLOAT8
