// Arithmetic of one 16-bit type, F16, and of its pair, F16_PAIR; included once for each (hence no include guard).
// +, -, *, / and sqrt computed in float and rounded again are correctly rounded, because 24 >= 2 * 11 + 2 bits.

#define GRADLIB_SIM_OPERATOR(op, name)                                                                             \
    inline F16 operator op(const F16& a, const F16& b) { return F16((float)a op(float) b); }                       \
    inline F16& operator op##=(F16& a, const F16& b) { return a = a op b; }                                        \
    inline F16 name(F16 a, F16 b) { return a op b; }                                                               \
    inline F16_PAIR operator op(const F16_PAIR& a, const F16_PAIR& b) { return F16_PAIR(a.x op b.x, a.y op b.y); } \
    inline F16_PAIR& operator op##=(F16_PAIR& a, const F16_PAIR& b) { return a = a op b; }
GRADLIB_SIM_OPERATOR(+, __hadd)
GRADLIB_SIM_OPERATOR(-, __hsub)
GRADLIB_SIM_OPERATOR(*, __hmul)
GRADLIB_SIM_OPERATOR(/, __hdiv)
#undef GRADLIB_SIM_OPERATOR

#define GRADLIB_SIM_COMPARE(op, name)                                                                              \
    inline bool operator op(const F16& a, const F16& b) { return (float)a op(float) b; }                           \
    inline bool name(F16 a, F16 b) { return a op b; }                                                              \
    inline bool operator op(const F16_PAIR& a, const F16_PAIR& b) { return a.x op b.x && a.y op b.y; }
GRADLIB_SIM_COMPARE(==, __heq)
GRADLIB_SIM_COMPARE(!=, __hneu)
GRADLIB_SIM_COMPARE(<, __hlt)
GRADLIB_SIM_COMPARE(<=, __hle)
GRADLIB_SIM_COMPARE(>, __hgt)
GRADLIB_SIM_COMPARE(>=, __hge)
#undef GRADLIB_SIM_COMPARE
inline bool __hne(F16 a, F16 b) { return a < b || a > b; }  // false where either is NaN, unlike !=

inline F16 operator+(const F16& a) { return a; }
inline F16_PAIR operator+(const F16_PAIR& a) { return a; }
inline F16 __hneg(F16 a) { a.__x ^= 0x8000; return a; }
inline F16 __habs(F16 a) { a.__x &= 0x7fff; return a; }
inline F16 operator-(const F16& a) { return __hneg(a); }
inline F16_PAIR operator-(const F16_PAIR& a) { return F16_PAIR(-a.x, -a.y); }
inline F16& operator++(F16& a) { return a += F16(1.0f); }
inline F16& operator--(F16& a) { return a -= F16(1.0f); }
inline F16 operator++(F16& a, int) { F16 old = a; ++a; return old; }
inline F16 operator--(F16& a, int) { F16 old = a; --a; return old; }

inline F16 __hadd_rn(F16 a, F16 b) { return a + b; }
inline F16 __hsub_rn(F16 a, F16 b) { return a - b; }
inline F16 __hmul_rn(F16 a, F16 b) { return a * b; }
inline F16 __hfma(F16 a, F16 b, F16 c) { return F16(gradlib_sim::odd_fma(a, b, c)); }
inline F16 __hmax(F16 a, F16 b) { return F16(fmaxf(a, b)); }
inline F16 __hmin(F16 a, F16 b) { return F16(fminf(a, b)); }
inline F16 __hmax_nan(F16 a, F16 b) { return a != a ? a : b != b ? b : __hmax(a, b); }
inline F16 __hmin_nan(F16 a, F16 b) { return a != a ? a : b != b ? b : __hmin(a, b); }
inline F16 __hadd_sat(F16 a, F16 b) { return F16(__saturatef(a + b)); }
inline F16 __hsub_sat(F16 a, F16 b) { return F16(__saturatef(a - b)); }
inline F16 __hmul_sat(F16 a, F16 b) { return F16(__saturatef(a * b)); }
inline F16 __hfma_sat(F16 a, F16 b, F16 c) { return F16(__saturatef(__hfma(a, b, c))); }
inline F16 __hfma_relu(F16 a, F16 b, F16 c) { F16 r = __hfma(a, b, c); return r < F16(0.0f) ? F16(0.0f) : r; }
inline bool __hisnan(F16 a) { return a != a; }
inline int __hisinf(F16 a) { return isinf((float)a) ? ((float)a < 0 ? -1 : 1) : 0; }

inline float __low2float(F16_PAIR a) { return a.x; }
inline float __high2float(F16_PAIR a) { return a.y; }
inline F16_PAIR __lowhigh2highlow(F16_PAIR a) { return F16_PAIR(a.y, a.x); }

#define GRADLIB_SIM_PAIRWISE1(name, scalar) \
    inline F16_PAIR name(F16_PAIR a) { return F16_PAIR(scalar(a.x), scalar(a.y)); }
#define GRADLIB_SIM_PAIRWISE2(name, scalar) \
    inline F16_PAIR name(F16_PAIR a, F16_PAIR b) { return F16_PAIR(scalar(a.x, b.x), scalar(a.y, b.y)); }
#define GRADLIB_SIM_PAIRWISE3(name, scalar)                           \
    inline F16_PAIR name(F16_PAIR a, F16_PAIR b, F16_PAIR c) {        \
        return F16_PAIR(scalar(a.x, b.x, c.x), scalar(a.y, b.y, c.y)); \
    }
GRADLIB_SIM_PAIRWISE2(__hadd2, __hadd) GRADLIB_SIM_PAIRWISE2(__hsub2, __hsub) GRADLIB_SIM_PAIRWISE2(__hmul2, __hmul)
GRADLIB_SIM_PAIRWISE2(__hadd2_rn, __hadd) GRADLIB_SIM_PAIRWISE2(__hsub2_rn, __hsub)
GRADLIB_SIM_PAIRWISE2(__hmul2_rn, __hmul) GRADLIB_SIM_PAIRWISE2(__h2div, __hdiv)
GRADLIB_SIM_PAIRWISE2(__hmax2, __hmax) GRADLIB_SIM_PAIRWISE2(__hmin2, __hmin)
GRADLIB_SIM_PAIRWISE2(__hmax2_nan, __hmax_nan) GRADLIB_SIM_PAIRWISE2(__hmin2_nan, __hmin_nan)
GRADLIB_SIM_PAIRWISE2(__hadd2_sat, __hadd_sat) GRADLIB_SIM_PAIRWISE2(__hmul2_sat, __hmul_sat)
GRADLIB_SIM_PAIRWISE1(__hneg2, __hneg) GRADLIB_SIM_PAIRWISE1(__habs2, __habs)
GRADLIB_SIM_PAIRWISE3(__hfma2, __hfma) GRADLIB_SIM_PAIRWISE3(__hfma2_sat, __hfma_sat)
GRADLIB_SIM_PAIRWISE3(__hfma2_relu, __hfma_relu)
#define GRADLIB_SIM_COMPARE2(name, scalar)                                          \
    inline F16_PAIR name(F16_PAIR a, F16_PAIR b) {                                  \
        return F16_PAIR(F16((float)scalar(a.x, b.x)), F16((float)scalar(a.y, b.y))); \
    }
GRADLIB_SIM_COMPARE2(__heq2, __heq) GRADLIB_SIM_COMPARE2(__hne2, __hne) GRADLIB_SIM_COMPARE2(__hlt2, __hlt)
GRADLIB_SIM_COMPARE2(__hle2, __hle) GRADLIB_SIM_COMPARE2(__hgt2, __hgt) GRADLIB_SIM_COMPARE2(__hge2, __hge)

#define GRADLIB_SIM_FUNCTION(name, function)                              \
    inline F16 h##name(F16 a) { return F16(function((float)a)); }         \
    inline F16_PAIR h2##name(F16_PAIR a) { return F16_PAIR(h##name(a.x), h##name(a.y)); }
GRADLIB_SIM_FUNCTION(exp, expf) GRADLIB_SIM_FUNCTION(exp2, exp2f) GRADLIB_SIM_FUNCTION(exp10, exp10f)
GRADLIB_SIM_FUNCTION(log, logf) GRADLIB_SIM_FUNCTION(log2, log2f) GRADLIB_SIM_FUNCTION(log10, log10f)
GRADLIB_SIM_FUNCTION(sqrt, sqrtf) GRADLIB_SIM_FUNCTION(rsqrt, rsqrtf) GRADLIB_SIM_FUNCTION(rcp, __frcp_rn)
GRADLIB_SIM_FUNCTION(sin, sinf) GRADLIB_SIM_FUNCTION(cos, cosf) GRADLIB_SIM_FUNCTION(tanh, tanhf)
GRADLIB_SIM_FUNCTION(floor, floorf) GRADLIB_SIM_FUNCTION(ceil, ceilf)
GRADLIB_SIM_FUNCTION(trunc, truncf) GRADLIB_SIM_FUNCTION(rint, rintf)

#undef GRADLIB_SIM_PAIRWISE1
#undef GRADLIB_SIM_PAIRWISE2
#undef GRADLIB_SIM_PAIRWISE3
#undef GRADLIB_SIM_COMPARE2
#undef GRADLIB_SIM_FUNCTION
#undef F16
#undef F16_PAIR
