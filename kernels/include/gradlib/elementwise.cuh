// Elementwise kernels: the loops over one to three operands, and the scalar functions that expressions may use.
// The kernels themselves are generated from the ops' C expressions (gradlib/kernel/elementwise.py).
#pragma once

#include "gradlib/activation.cuh"
#include "gradlib/pack.cuh"

// ---- loops ----------------------------------------------------------------------------------------------------------

template <class A> struct Four {
  A at[4];
};

// An array as long as the result (step 1) or a single element (step 0).
template <class E> struct Operand {
  const E* x;
  long long step;
  GRADLIB_DEVICE bool aligned() const { return step == 0 || aligned4(x); }
  GRADLIB_DEVICE Four<acc_t<E>> fetch(long long i, int count, bool whole) const {
    Four<acc_t<E>> v;
    if (step) {
      load4(x, i, count, whole, v.at);
    } else {
      acc_t<E> a = to_acc(x[0]);
#pragma unroll
      for (int k = 0; k < 4; ++k) v.at[k] = a;
    }
    return v;
  }
};

template <class E> GRADLIB_DEVICE Operand<E> operand(const E* x, long long step = 1) { return {x, step}; }

template <class B, class F, class... V> GRADLIB_DEVICE void apply4(B (&out)[4], const F& f, const V&... v) {
#pragma unroll
  for (int k = 0; k < 4; ++k) out[k] = f(v.at[k]...);
}

GRADLIB_DEVICE bool all_of() { return true; }
template <class... Bools> GRADLIB_DEVICE bool all_of(bool first, Bools... others) { return first && all_of(others...); }

// y[i] = f(x[i]...) for i < n: four neighbours a thread, in one access where the addresses allow it.
template <class R, class F, class... E> GRADLIB_DEVICE void map(R* y, long long n, const F& f, Operand<E>... x) {
  bool aligned = all_of(aligned4(y), x.aligned()...);
  for (long long i = 4 * global_index(); i < n; i += 4 * global_size()) {
    int count = (int)smaller<long long>(n - i, 4);
    bool whole = aligned && count == 4;
    acc_t<R> out[4];
    apply4(out, f, x.fetch(i, count, whole)...);
    store4(y, i, count, whole, out);
  }
}

// A contiguous array that is repeated along axes of the result where its stride is 0; sizes and strides of up to four
// axes, after neighbours that behave alike were joined.
struct Place {
  unsigned int at[4];
};
template <class E> struct Repeated {
  const E* x;
  Place stride;
  GRADLIB_DEVICE acc_t<E> operator()(const Place& p) const {
    return to_acc(x[p.at[0] * stride.at[0] + p.at[1] * stride.at[1] + p.at[2] * stride.at[2] + p.at[3] * stride.at[3]]);
  }
};

template <class E>
GRADLIB_DEVICE Repeated<E> repeated(const E* x, unsigned int s0, unsigned int s1, unsigned int s2, unsigned int s3) {
  return {x, {{s0, s1, s2, s3}}};
}

// The same for operands that broadcast; fewer than 2^31 elements.  n1, n2, n3 are the sizes of all axes but the first.
template <class R, class F, class... E>
GRADLIB_DEVICE void map_repeated(R* y, unsigned int n, unsigned int n1, unsigned int n2, unsigned int n3, const F& f,
                                 Repeated<E>... x) {
  for (unsigned int i = (unsigned int)global_index(); i < n; i += (unsigned int)global_size()) {
    Place p = {{i, 0, 0, 0}};
    if (n3 > 1) p.at[3] = p.at[0] % n3, p.at[0] /= n3;
    if (n2 > 1) p.at[2] = p.at[0] % n2, p.at[0] /= n2;
    if (n1 > 1) p.at[1] = p.at[0] % n1, p.at[0] /= n1;
    y[i] = from_acc<R>(f(x(p)...));
  }
}

// ---- functions ------------------------------------------------------------------------------------------------------

namespace fn {
#define GRADLIB_FN(name)                                      \
  GRADLIB_DEVICE float name(float v) { return ::name##f(v); } \
  GRADLIB_DEVICE double name(double v) { return ::name(v); }
GRADLIB_FN(log2)
GRADLIB_FN(log10)
GRADLIB_FN(sin)
GRADLIB_FN(cos)
GRADLIB_FN(tan)
GRADLIB_FN(asin)
GRADLIB_FN(acos)
GRADLIB_FN(atan)
GRADLIB_FN(sinh)
GRADLIB_FN(cosh)
GRADLIB_FN(asinh)
GRADLIB_FN(acosh)
GRADLIB_FN(atanh)
// Whole numbers are rounded already.
#define GRADLIB_ROUNDING(name) \
  GRADLIB_FN(name)             \
  template <class I> GRADLIB_DEVICE I name(I v) { return v; }
GRADLIB_ROUNDING(floor)
GRADLIB_ROUNDING(ceil)
GRADLIB_ROUNDING(trunc)
GRADLIB_ROUNDING(rint)
#undef GRADLIB_ROUNDING
#undef GRADLIB_FN
#define GRADLIB_FN(name)                                                  \
  GRADLIB_DEVICE float name(float a, float b) { return ::name##f(a, b); } \
  GRADLIB_DEVICE double name(double a, double b) { return ::name(a, b); }
GRADLIB_FN(atan2)
GRADLIB_FN(fmod)
GRADLIB_FN(pow)
GRADLIB_FN(copysign)
GRADLIB_FN(hypot)
#undef GRADLIB_FN
}  // namespace fn

template <class A> GRADLIB_DEVICE A sign_of(A x) { return x > A(0) ? A(1) : x < A(0) ? A(-1) : x; }

template <class A> GRADLIB_DEVICE A inverted(A x) { return A(~x); }
template <> GRADLIB_DEVICE bool inverted<bool>(bool x) { return !x; }

// By b >= 0 bits; what the shift operators leave undefined is what remains when all bits have gone.
template <class A> GRADLIB_DEVICE A shifted_left(A a, A b) {
  return (unsigned long long)b < 8 * sizeof(A) ? A((unsigned long long)a << b) : A(0);
}
template <class A> GRADLIB_DEVICE A shifted_right(A a, A b) {
  return (unsigned long long)b < 8 * sizeof(A) ? A(a >> b) : a < A(0) ? A(-1) : A(0);
}

// The quotient rounded down, and what it leaves, which has b's sign: Python's // and %.  Whole numbers over 0 give 0.
template <class A> struct Division {
  static constexpr bool is_signed = A(-1) < A(1);
  static GRADLIB_DEVICE A remainder(A a, A b) {
    if (b == A(0) || (is_signed && b == A(-1))) return A(0);
    A r = A(a % b);
    return r != A(0) && (r < A(0)) != (b < A(0)) ? A(r + b) : r;
  }
  static GRADLIB_DEVICE A quotient(A a, A b) {
    if (b == A(0)) return A(0);
    if (is_signed && b == A(-1)) return A(0ull - (unsigned long long)a);
    A q = A(a / b);
    return a % b != A(0) && (a < A(0)) != (b < A(0)) ? A(q - 1) : q;
  }
};
template <class A> struct RealDivision {
  static GRADLIB_DEVICE A remainder(A a, A b) {
    A r = fn::fmod(a, b);
    if (r == A(0)) return fn::copysign(A(0), b);
    return (r < A(0)) != (b < A(0)) ? r + b : r;
  }
  static GRADLIB_DEVICE A quotient(A a, A b) {  // from the exact remainder: a / b may round up to a whole number
    if (b == A(0)) return a / b;
    A r = fn::fmod(a, b), q = (a - r) / b;
    if (r != A(0) && (r < A(0)) != (b < A(0))) q -= A(1);
    if (q == A(0)) return fn::copysign(A(0), a / b);
    A whole = fn::floor(q);
    return q - whole > A(0.5) ? whole + A(1) : whole;
  }
};
template <> struct Division<float> : RealDivision<float> {};
template <> struct Division<double> : RealDivision<double> {};

template <class A> GRADLIB_DEVICE A floor_divide(A a, A b) { return Division<A>::quotient(a, b); }
template <class A> GRADLIB_DEVICE A remainder_of(A a, A b) { return Division<A>::remainder(a, b); }

template <class A> GRADLIB_DEVICE A power(A a, A b) {  // whole numbers: by squaring, wrapping; 1 / a^-b rounds to 0
  if (b < A(0)) return a == A(1) ? A(1) : a == A(-1) ? (b % A(2) ? A(-1) : A(1)) : A(0);
  unsigned long long result = 1, factor = (unsigned long long)a;
  for (unsigned long long e = (unsigned long long)b; e; e >>= 1, factor *= factor) {
    if (e & 1) result *= factor;
  }
  return A(result);
}
template <> GRADLIB_DEVICE float power<float>(float a, float b) { return fn::pow(a, b); }
template <> GRADLIB_DEVICE double power<double>(double a, double b) { return fn::pow(a, b); }
