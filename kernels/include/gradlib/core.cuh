// Element types, their accumulators and the few scalar helpers that every kernel shares.
// Compiles with NVRTC alone (no host headers) and with the sim device's header in front of it.
// T is the element type's macro in every .cu, so no template in a header may call a parameter T: E is an element type
// here, A an accumulator.  (For the same reason NVRTC must get T as a #define in the text: -DT breaks its own header.)
#pragma once

#ifndef GRADLIB_SIM
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

#define GRADLIB_DEVICE __device__ __forceinline__

// ---- accumulators: float for the reduced precisions, the type itself otherwise --------------------------------------

template <class E> struct Accumulator { using type = E; };
template <> struct Accumulator<__half> { using type = float; };
template <> struct Accumulator<__nv_bfloat16> { using type = float; };
template <class E> using acc_t = typename Accumulator<E>::type;

template <class E> GRADLIB_DEVICE acc_t<E> to_acc(E v) { return v; }
template <> GRADLIB_DEVICE float to_acc<__half>(__half v) { return __half2float(v); }
template <> GRADLIB_DEVICE float to_acc<__nv_bfloat16>(__nv_bfloat16 v) { return __bfloat162float(v); }

// Rounds to nearest even for the reduced precisions.
template <class E> GRADLIB_DEVICE E from_acc(acc_t<E> a) { return a; }
template <> GRADLIB_DEVICE __half from_acc<__half>(float a) { return __float2half_rn(a); }
template <> GRADLIB_DEVICE __nv_bfloat16 from_acc<__nv_bfloat16>(float a) { return __float2bfloat16_rn(a); }

// ---- bounds: the neutral elements of max and min (infinities where the type has them) -------------------------------

template <class A> struct Bounds {  // integers
  static constexpr bool is_signed = A(-1) < A(1);
  static constexpr A max = is_signed ? A((1ull << (8 * sizeof(A) - 1)) - 1) : A(~0ull);
  static GRADLIB_DEVICE A high() { return max; }
  static GRADLIB_DEVICE A low() { return is_signed ? A(-max - 1) : A(0); }
};
template <> struct Bounds<bool> {
  static GRADLIB_DEVICE bool high() { return true; }
  static GRADLIB_DEVICE bool low() { return false; }
};
template <> struct Bounds<float> {
  static GRADLIB_DEVICE float high() { return __int_as_float(0x7f800000); }
  static GRADLIB_DEVICE float low() { return -high(); }
};
template <> struct Bounds<double> {
  static GRADLIB_DEVICE double high() { return __longlong_as_double(0x7ff0000000000000ll); }
  static GRADLIB_DEVICE double low() { return -high(); }
};

template <class A> GRADLIB_DEVICE A lowest() { return Bounds<A>::low(); }
template <class A> GRADLIB_DEVICE A highest() { return Bounds<A>::high(); }

// ---- arithmetic -----------------------------------------------------------------------------------------------------

template <class I> GRADLIB_DEVICE constexpr I ceil_div(I a, I b) { return (a + b - 1) / b; }
template <class A> GRADLIB_DEVICE constexpr A smaller(A a, A b) { return b < a ? b : a; }
template <class A> GRADLIB_DEVICE constexpr A larger(A a, A b) { return a < b ? b : a; }

// c + a * b.  Integers go through an unsigned type of at least 32 bits: they wrap as NumPy's do, and signed overflow
// stays out of the optimizer's sight; bool gives (c or (a and b)), as NumPy's product does.
template <class A> GRADLIB_DEVICE A mul_add(A a, A b, A c) {
  if (sizeof(A) > 4) return A((unsigned long long)c + (unsigned long long)a * (unsigned long long)b);
  return A((unsigned int)c + (unsigned int)a * (unsigned int)b);
}
template <> GRADLIB_DEVICE float mul_add<float>(float a, float b, float c) { return fmaf(a, b, c); }
template <> GRADLIB_DEVICE double mul_add<double>(double a, double b, double c) { return fma(a, b, c); }

// Index of this thread in the whole one-dimensional grid, and the grid's size (for grid-stride loops).
GRADLIB_DEVICE long long global_index() { return (long long)blockIdx.x * blockDim.x + threadIdx.x; }
GRADLIB_DEVICE long long global_size() { return (long long)gridDim.x * blockDim.x; }

// The C functions by one name for both precisions: a float argument must never be computed in double.
namespace fn {
#define GRADLIB_FN(name)                                         \
  GRADLIB_DEVICE float name(float v) { return ::name##f(v); }    \
  GRADLIB_DEVICE double name(double v) { return ::name(v); }
GRADLIB_FN(exp)
GRADLIB_FN(expm1)
GRADLIB_FN(log)
GRADLIB_FN(log1p)
GRADLIB_FN(sqrt)
GRADLIB_FN(tanh)
GRADLIB_FN(erf)
GRADLIB_FN(erfc)
GRADLIB_FN(fabs)
#undef GRADLIB_FN
}  // namespace fn
