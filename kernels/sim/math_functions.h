// CUDA's mathematical functions, float and double, and the fast-math intrinsics (as accurate here as the plain ones).
#pragma once

// name(double), namef(float) of the host's libm, and the overloads CUDA's C++ adds: name(float), name(integer).
#define GRADLIB_SIM_UNARY(name)                                                                                    \
    extern "C" double name(double) noexcept;                                                                       \
    extern "C" float name##f(float) noexcept;                                                                      \
    inline float name(float x) { return name##f(x); }                                                              \
    template <class I>                                                                                             \
    inline typename gradlib_sim::enable<gradlib_sim::is_integer<I>, double>::type name(I x) { return name((double)x); }
#define GRADLIB_SIM_BINARY(name)                                                                                   \
    extern "C" double name(double, double) noexcept;                                                               \
    extern "C" float name##f(float, float) noexcept;                                                               \
    inline float name(float x, float y) { return name##f(x, y); }                                                  \
    inline double name(float x, double y) { return name((double)x, y); }                                           \
    inline double name(double x, float y) { return name(x, (double)y); }
// Functions of CUDA that libm lacks, from an expression in R (float or double).
#define GRADLIB_SIM_DERIVED(name, expression)                                                                      \
    inline double name(double x) { typedef double R; return expression; }                                          \
    inline float name##f(float x) { typedef float R; return expression; }                                          \
    inline float name(float x) { return name##f(x); }

GRADLIB_SIM_UNARY(exp) GRADLIB_SIM_UNARY(exp2) GRADLIB_SIM_UNARY(expm1)
GRADLIB_SIM_UNARY(log) GRADLIB_SIM_UNARY(log2) GRADLIB_SIM_UNARY(log10) GRADLIB_SIM_UNARY(log1p) GRADLIB_SIM_UNARY(logb)
GRADLIB_SIM_UNARY(sqrt) GRADLIB_SIM_UNARY(cbrt)
GRADLIB_SIM_UNARY(sin) GRADLIB_SIM_UNARY(cos) GRADLIB_SIM_UNARY(tan)
GRADLIB_SIM_UNARY(asin) GRADLIB_SIM_UNARY(acos) GRADLIB_SIM_UNARY(atan)
GRADLIB_SIM_UNARY(sinh) GRADLIB_SIM_UNARY(cosh) GRADLIB_SIM_UNARY(tanh)
GRADLIB_SIM_UNARY(asinh) GRADLIB_SIM_UNARY(acosh) GRADLIB_SIM_UNARY(atanh)
GRADLIB_SIM_UNARY(erf) GRADLIB_SIM_UNARY(erfc) GRADLIB_SIM_UNARY(lgamma) GRADLIB_SIM_UNARY(tgamma)
GRADLIB_SIM_UNARY(floor) GRADLIB_SIM_UNARY(ceil) GRADLIB_SIM_UNARY(trunc) GRADLIB_SIM_UNARY(round)
GRADLIB_SIM_UNARY(rint) GRADLIB_SIM_UNARY(nearbyint) GRADLIB_SIM_UNARY(fabs)
GRADLIB_SIM_BINARY(pow) GRADLIB_SIM_BINARY(atan2) GRADLIB_SIM_BINARY(fmod) GRADLIB_SIM_BINARY(remainder)
GRADLIB_SIM_BINARY(hypot) GRADLIB_SIM_BINARY(copysign) GRADLIB_SIM_BINARY(nextafter) GRADLIB_SIM_BINARY(fdim)
inline float pow(float x, int n) { return powf(x, (float)n); }
inline double pow(double x, int n) { return pow(x, (double)n); }

extern "C" {
double fma(double, double, double) noexcept;
float fmaf(float, float, float) noexcept;
double ldexp(double, int) noexcept;
float ldexpf(float, int) noexcept;
double scalbn(double, int) noexcept;
float scalbnf(float, int) noexcept;
double frexp(double, int*) noexcept;
float frexpf(float, int*) noexcept;
double modf(double, double*) noexcept;
float modff(float, float*) noexcept;
int ilogb(double) noexcept;
int ilogbf(float) noexcept;
long lrint(double) noexcept;
long lrintf(float) noexcept;
long lround(double) noexcept;
long lroundf(float) noexcept;
long long llrint(double) noexcept;
long long llrintf(float) noexcept;
long long llround(double) noexcept;
long long llroundf(float) noexcept;
int abs(int) noexcept;
long labs(long) noexcept;
long long llabs(long long) noexcept;
}
inline float fma(float x, float y, float z) { return fmaf(x, y, z); }
inline float ldexp(float x, int n) { return ldexpf(x, n); }
inline float scalbn(float x, int n) { return scalbnf(x, n); }
inline float frexp(float x, int* exponent) { return frexpf(x, exponent); }
inline float modf(float x, float* whole) { return modff(x, whole); }
inline int ilogb(float x) { return ilogbf(x); }
inline long lrint(float x) { return lrintf(x); }
inline long lround(float x) { return lroundf(x); }
inline long long llrint(float x) { return llrintf(x); }
inline long long llround(float x) { return llroundf(x); }
inline long abs(long x) { return labs(x); }
inline long long abs(long long x) { return llabs(x); }
inline float abs(float x) { return fabsf(x); }
inline double abs(double x) { return fabs(x); }

GRADLIB_SIM_DERIVED(rsqrt, R(1) / sqrt(x))
GRADLIB_SIM_DERIVED(rcbrt, R(1) / cbrt(x))
GRADLIB_SIM_DERIVED(exp10, R(pow(10.0, (double)x)))
GRADLIB_SIM_DERIVED(normcdf, R(0.5 * erfc(-0.70710678118654752440 * (double)x)))
GRADLIB_SIM_DERIVED(erfcx, R(exp((double)x * (double)x) * erfc((double)x)))
// Reduced exactly first: x - 2 rint(x / 2) loses no bit.
GRADLIB_SIM_DERIVED(sinpi, R(sin(3.14159265358979323846 * (double)(x - 2 * rint(x / 2)))))
GRADLIB_SIM_DERIVED(cospi, R(cos(3.14159265358979323846 * (double)(x - 2 * rint(x / 2)))))
inline void sincos(double x, double* s, double* c) { *s = sin(x); *c = cos(x); }
inline void sincosf(float x, float* s, float* c) { *s = sinf(x); *c = cosf(x); }
inline void sincos(float x, float* s, float* c) { sincosf(x, s, c); }
inline float norm3df(float x, float y, float z) { return (float)sqrt((double)x * x + (double)y * y + (double)z * z); }
inline float rhypotf(float x, float y) { return 1.0f / hypotf(x, y); }
inline double rhypot(double x, double y) { return 1.0 / hypot(x, y); }

// A NaN loses to a number and -0 to +0, as in IEEE 754's maximumNumber.  Written out, because libm's are calls.
#define GRADLIB_SIM_EXTREME(name, type, compare, zero)                                                             \
    inline type name(type a, type b) {                                                                             \
        type r = a compare b ? a : b;                                                                              \
        r = a == b ? (zero) : r;                                                                                   \
        return b != b ? a : r;                                                                                     \
    }
namespace gradlib_sim {
inline float both_signs(float a, float b) { return bit_cast<float>(bit_cast<unsigned>(a) & bit_cast<unsigned>(b)); }
inline float either_sign(float a, float b) { return bit_cast<float>(bit_cast<unsigned>(a) | bit_cast<unsigned>(b)); }
inline double both_signs(double a, double b) {
    return bit_cast<double>(bit_cast<unsigned long long>(a) & bit_cast<unsigned long long>(b));
}
inline double either_sign(double a, double b) {
    return bit_cast<double>(bit_cast<unsigned long long>(a) | bit_cast<unsigned long long>(b));
}
}  // namespace gradlib_sim
GRADLIB_SIM_EXTREME(fmax, double, >, gradlib_sim::both_signs(a, b))
GRADLIB_SIM_EXTREME(fmin, double, <, gradlib_sim::either_sign(a, b))
GRADLIB_SIM_EXTREME(fmaxf, float, >, gradlib_sim::both_signs(a, b))
GRADLIB_SIM_EXTREME(fminf, float, <, gradlib_sim::either_sign(a, b))
inline float fmax(float a, float b) { return fmaxf(a, b); }
inline float fmin(float a, float b) { return fminf(a, b); }

// min and max of mixed types, as CUDA declares them: the type both convert to.
#define GRADLIB_SIM_MINMAX(a_type, b_type, type)                                                                   \
    inline type max(a_type a, b_type b) { return (type)a > (type)b ? (type)a : (type)b; }                          \
    inline type min(a_type a, b_type b) { return (type)a < (type)b ? (type)a : (type)b; }
#define GRADLIB_SIM_MINMAX_SIGNS(s, u)                                                                             \
    GRADLIB_SIM_MINMAX(s, s, s) GRADLIB_SIM_MINMAX(u, u, u) GRADLIB_SIM_MINMAX(s, u, u) GRADLIB_SIM_MINMAX(u, s, u)
GRADLIB_SIM_MINMAX_SIGNS(int, unsigned)
GRADLIB_SIM_MINMAX_SIGNS(long, unsigned long)
GRADLIB_SIM_MINMAX_SIGNS(long long, unsigned long long)
inline float max(float a, float b) { return fmaxf(a, b); }
inline float min(float a, float b) { return fminf(a, b); }
inline double max(double a, double b) { return fmax(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(float a, double b) { return fmax((double)a, b); }
inline double min(float a, double b) { return fmin((double)a, b); }
inline double max(double a, float b) { return fmax(a, (double)b); }
inline double min(double a, float b) { return fmin(a, (double)b); }

#define GRADLIB_SIM_CLASSIFY(type)                                                                                 \
    inline bool isnan(type x) { return x != x; }                                                                   \
    inline bool isinf(type x) { return __builtin_isinf(x); }                                                       \
    inline bool isfinite(type x) { return __builtin_isfinite(x); }                                                 \
    inline bool signbit(type x) { return __builtin_signbit(x); }
GRADLIB_SIM_CLASSIFY(float)
GRADLIB_SIM_CLASSIFY(double)

inline float __saturatef(float x) { return x != x ? 0.0f : x < 0.0f ? 0.0f : x > 1.0f ? 1.0f : x; }

// Fast-math intrinsics.  A GPU's are coarser (a few ulp to 2^-21 absolute): no test may hold them tighter than that.
inline float __expf(float x) { return expf(x); }
inline float __exp10f(float x) { return exp10f(x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __log10f(float x) { return log10f(x); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __tanf(float x) { return tanf(x); }
inline void __sincosf(float x, float* s, float* c) { sincosf(x, s, c); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __fdividef(float x, float y) { return x / y; }
inline float fdividef(float x, float y) { return x / y; }
inline float __frsqrt_rn(float x) { return (float)(1.0 / sqrt((double)x)); }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float __fadd_rn(float x, float y) { return x + y; }
inline float __fsub_rn(float x, float y) { return x - y; }
inline float __fmul_rn(float x, float y) { return x * y; }
inline float __fdiv_rn(float x, float y) { return x / y; }
inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
inline double __drcp_rn(double x) { return 1.0 / x; }
inline double __dsqrt_rn(double x) { return sqrt(x); }
inline double __dadd_rn(double x, double y) { return x + y; }
inline double __dsub_rn(double x, double y) { return x - y; }
inline double __dmul_rn(double x, double y) { return x * y; }
inline double __ddiv_rn(double x, double y) { return x / y; }
inline double __fma_rn(double x, double y, double z) { return fma(x, y, z); }

// Conversions saturate, and NaN becomes the top bit alone (0 from float to 32 bits and less), as on the device.
namespace gradlib_sim {
template <class To, class From>
inline To saturate_cast(From x) {
    constexpr bool is_signed = (To)-1 < (To)0;
    constexpr To most = is_signed ? (To)(((unsigned long long)1 << (8 * sizeof(To) - 1)) - 1) : (To)-1;
    constexpr To least = is_signed ? (To)(-most - 1) : (To)0;
    constexpr bool is_wide = sizeof(To) == 8 || (sizeof(From) == 8 && sizeof(To) == 4);
    if (x != x) return is_wide ? (To)((unsigned long long)1 << (8 * sizeof(To) - 1)) : (To)0;
    if (x >= (From)most) return most;
    return x <= (From)least ? least : (To)x;
}
}  // namespace gradlib_sim
#define GRADLIB_SIM_TO_INTEGER(prefix, from, suffix, to)                                                           \
    inline to __##prefix##2##suffix##_rn(from x) { return gradlib_sim::saturate_cast<to>(rint(x)); }               \
    inline to __##prefix##2##suffix##_rz(from x) { return gradlib_sim::saturate_cast<to>(trunc(x)); }              \
    inline to __##prefix##2##suffix##_rd(from x) { return gradlib_sim::saturate_cast<to>(floor(x)); }              \
    inline to __##prefix##2##suffix##_ru(from x) { return gradlib_sim::saturate_cast<to>(ceil(x)); }
#define GRADLIB_SIM_CONVERT(suffix, type)                                                                          \
    GRADLIB_SIM_TO_INTEGER(float, float, suffix, type)                                                             \
    GRADLIB_SIM_TO_INTEGER(double, double, suffix, type)                                                           \
    inline float __##suffix##2float_rn(type x) { return (float)x; }
GRADLIB_SIM_CONVERT(int, int) GRADLIB_SIM_CONVERT(uint, unsigned)
GRADLIB_SIM_CONVERT(ll, long long) GRADLIB_SIM_CONVERT(ull, unsigned long long)
inline double __int2double_rn(int x) { return x; }
inline double __uint2double_rn(unsigned x) { return x; }
inline double __ll2double_rn(long long x) { return (double)x; }
inline double __ull2double_rn(unsigned long long x) { return (double)x; }
inline float __double2float_rn(double x) { return (float)x; }

#undef GRADLIB_SIM_UNARY
#undef GRADLIB_SIM_BINARY
#undef GRADLIB_SIM_DERIVED
#undef GRADLIB_SIM_EXTREME
#undef GRADLIB_SIM_MINMAX
#undef GRADLIB_SIM_MINMAX_SIGNS
#undef GRADLIB_SIM_CLASSIFY
#undef GRADLIB_SIM_TO_INTEGER
#undef GRADLIB_SIM_CONVERT
