// 8-bit floats: to and from the accumulators of the others.  A value too large becomes NaN in e4m3, which has no
// infinity, and infinity in e5m2, as a cast of NumPy's has it.
#pragma once

#include "gradlib/ptx.cuh"
#include <cuda_fp8.h>

template <> struct ptx::Float8Of<__nv_fp8_e4m3> { using type = e4m3; };
template <> struct ptx::Float8Of<__nv_fp8_e5m2> { using type = e5m2; };
template <> struct Accumulator<__nv_fp8_e4m3> { using type = float; };
template <> struct Accumulator<__nv_fp8_e5m2> { using type = float; };

template <> GRADLIB_DEVICE float to_acc<__nv_fp8_e4m3>(__nv_fp8_e4m3 v) { return float(v); }
template <> GRADLIB_DEVICE float to_acc<__nv_fp8_e5m2>(__nv_fp8_e5m2 v) { return float(v); }

// Rounds a float or a double to nearest even, once.
template <class E> struct Float8;
template <> struct Float8<__nv_fp8_e4m3> { static constexpr __nv_fp8_interpretation_t kind = __NV_E4M3; };
template <> struct Float8<__nv_fp8_e5m2> { static constexpr __nv_fp8_interpretation_t kind = __NV_E5M2; };
template <class E> GRADLIB_DEVICE E to_float8(float v) {
  E e;
  e.__x = __nv_cvt_float_to_fp8(v, __NV_NOSAT, Float8<E>::kind);
  return e;
}
template <class E> GRADLIB_DEVICE E to_float8(double v) {
  E e;
  e.__x = __nv_cvt_double_to_fp8(v, __NV_NOSAT, Float8<E>::kind);
  return e;
}
