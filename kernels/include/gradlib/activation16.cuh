// Activations whose results are rounded to 16 bits anyway, from hardware functions: as cheap as the epilogue of a product
// on tensor cores needs them.
#pragma once

#include "gradlib/activation.cuh"
#include "gradlib/ptx.cuh"

namespace act {

// The normal distribution's tail Phi(-t) for t >= 0, to 2.6e-5 of itself, is e p(u) with e = exp(-t^2 / 2),
// u = 1 / (1 + c t) and p fitted to erfcx(t / sqrt 2) / 2 by weighted least squares (relative minimax) over [0, 9].
// t u is (1 - u) / c, so that nothing infinite is multiplied by zero.
struct gelu_16 {
  static constexpr bool reads_output = false, is_identity = false;
  static constexpr float c = 0.36f;
  static constexpr float p1 = 0.14224855f, p2 = 0.15979205f, p3 = 0.05269691f, p4 = 0.23800520f, p5 = -0.09272988f;
  static GRADLIB_DEVICE float bell(float x) { return ptx::ex2_approx(-0.72134752f * (x * x)); }
  static GRADLIB_DEVICE float f(float x) {  // max(x, 0) - t Phi(-t), t = |x|
    const float u = ptx::rcp_approx(fmaf(c, fabsf(x), 1.0f));
    float q = fmaf(u, -p5 / c, (p5 - p4) / c);
    q = fmaf(u, q, (p4 - p3) / c);
    q = fmaf(u, q, (p3 - p2) / c);
    q = fmaf(u, q, (p2 - p1) / c);
    q = fmaf(u, q, p1 / c);
    return fmaxf(x, 0.0f) - bell(x) * q;
  }
  static GRADLIB_DEVICE float df(float z) {  // Phi(z) + z phi(z)
    const float t = fabsf(z), u = ptx::rcp_approx(fmaf(c, t, 1.0f)), e = bell(z);
    float p = fmaf(u, p5, p4);
    p = fmaf(u, p, p3);
    p = fmaf(u, p, p2);
    p = fmaf(u, p, p1);
    const float tail = e * (u * p - 0.39894228f * (t < 64.0f ? t : 0.0f));  // of -t; e is 0 long before 64
    return z < 0.0f ? tail : 1.0f - tail;
  }
};

// F as it is computed for results of element type E.
template <class E, class F> struct For { using type = F; };
template <> struct For<__half, gelu> { using type = gelu_16; };
template <> struct For<__nv_bfloat16, gelu> { using type = gelu_16; };

}  // namespace act
