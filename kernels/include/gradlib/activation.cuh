// The activations, once for all kernels.  -DACT=relu selects act::relu as act::ACT.
// f(x) is the value; df(s) its derivative, where s is the output y if `reads_output`, else the pre-activation z.
// `is_identity` lets a kernel skip reading s altogether.  Parameters are PyTorch's defaults.
// Every formula is finite wherever the true value is, for any finite x.
#pragma once

#include "gradlib/core.cuh"

#ifndef ACT
#define ACT none
#endif

namespace act {

#define GRADLIB_ACT template <class A> static GRADLIB_DEVICE A

// 1 / (1 + exp(-x)); the exponent is never positive, so nothing overflows.
GRADLIB_ACT logistic(A x) {
  A e = fn::exp(-fn::fabs(x));
  return (x < A(0) ? e : A(1)) / (A(1) + e);
}

// log(1 + exp(x)), PyTorch's threshold of 20.
GRADLIB_ACT log1p_exp(A x) { return x > A(20) ? x : fn::log1p(fn::exp(x)); }

struct none {
  static constexpr bool reads_output = true, is_identity = true;
  GRADLIB_ACT f(A x) { return x; }
  GRADLIB_ACT df(A) { return A(1); }
};

struct relu {  // written so that NaN passes through
  static constexpr bool reads_output = true, is_identity = false;
  GRADLIB_ACT f(A x) { return x < A(0) ? A(0) : x; }
  GRADLIB_ACT df(A y) { return y > A(0) ? A(1) : A(0); }
};

struct leaky_relu {
  static constexpr bool reads_output = true, is_identity = false;
  GRADLIB_ACT f(A x) { return x > A(0) ? x : A(0.01) * x; }
  GRADLIB_ACT df(A y) { return y > A(0) ? A(1) : A(0.01); }
};

struct relu6 {
  static constexpr bool reads_output = true, is_identity = false;
  GRADLIB_ACT f(A x) { return x < A(0) ? A(0) : x > A(6) ? A(6) : x; }
  GRADLIB_ACT df(A y) { return y > A(0) && y < A(6) ? A(1) : A(0); }
};

struct elu {  // y = exp(x) - 1 below 0, so dy/dx = y + 1
  static constexpr bool reads_output = true, is_identity = false;
  GRADLIB_ACT f(A x) { return x > A(0) ? x : fn::expm1(x); }
  GRADLIB_ACT df(A y) { return y > A(0) ? A(1) : y + A(1); }
};

struct selu {  // Klambauer et al. 2017
  static constexpr bool reads_output = true, is_identity = false;
  static constexpr double alpha = 1.6732632423543772848170429916717;
  static constexpr double scale = 1.0507009873554804934193349852946;
  GRADLIB_ACT f(A x) { return x > A(0) ? A(scale) * x : A(scale * alpha) * fn::expm1(x); }
  GRADLIB_ACT df(A y) { return y > A(0) ? A(scale) : y + A(scale * alpha); }
};

// Sigmoid and tanh could read their outputs, y (1 - y) and 1 - y y.  But where they saturate, y rounded to 11 or 8 bits
// leaves few digits of these differences, so they read z, and subtract nothing.
struct sigmoid {
  static constexpr bool reads_output = false, is_identity = false;
  GRADLIB_ACT f(A x) { return logistic(x); }
  GRADLIB_ACT df(A z) {
    A e = fn::exp(-fn::fabs(z));
    return e / ((A(1) + e) * (A(1) + e));
  }
};

struct tanh {
  static constexpr bool reads_output = false, is_identity = false;
  GRADLIB_ACT f(A x) { return fn::tanh(x); }
  GRADLIB_ACT df(A z) {
    A e = fn::exp(A(-2) * fn::fabs(z));
    return A(4) * e / ((A(1) + e) * (A(1) + e));
  }
};

struct gelu {  // x Phi(x), exact; erfc keeps the digits of the left tail that 1 + erf loses
  static constexpr bool reads_output = false, is_identity = false;
  static constexpr double sqrt_half = 0.70710678118654752440, inv_sqrt_two_pi = 0.39894228040143267794;
  GRADLIB_ACT f(A x) { return A(0.5) * x * fn::erfc(A(-sqrt_half) * x); }
  GRADLIB_ACT df(A z) {
    return A(0.5) * fn::erfc(A(-sqrt_half) * z) + A(inv_sqrt_two_pi) * z * fn::exp(A(-0.5) * z * z);
  }
};

struct silu {
  static constexpr bool reads_output = false, is_identity = false;
  GRADLIB_ACT f(A x) { return x * logistic(x); }
  GRADLIB_ACT df(A z) {
    A p = logistic(z);
    return p * (A(1) + z * (A(1) - p));
  }
};

struct softplus {
  static constexpr bool reads_output = false, is_identity = false;
  GRADLIB_ACT f(A x) { return log1p_exp(x); }
  GRADLIB_ACT df(A z) { return z > A(20) ? A(1) : logistic(z); }
};

struct hardswish {  // x relu6(x + 3) / 6
  static constexpr bool reads_output = false, is_identity = false;
  GRADLIB_ACT f(A x) { return x * relu6::f(x + A(3)) / A(6); }
  GRADLIB_ACT df(A z) { return z <= A(-3) ? A(0) : z < A(3) ? z / A(3) + A(0.5) : A(1); }
};

struct mish {  // x tanh(softplus(x))
  static constexpr bool reads_output = false, is_identity = false;
  GRADLIB_ACT f(A x) { return x * fn::tanh(log1p_exp(x)); }
  GRADLIB_ACT df(A z) {
    A t = fn::tanh(log1p_exp(z));
    return t + z * (A(1) - t * t) * logistic(z);
  }
};

#undef GRADLIB_ACT

}  // namespace act
