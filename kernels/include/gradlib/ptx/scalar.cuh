// Hardware functions of one number.  Part of ptx.cuh.
#pragma once

namespace ptx {

// ---- PTX: "Floating Point Instructions: ex2, rcp" -------------------------------------------------------------------

// 2^x and 1 / x, to about 2^-22 of themselves; subnormal numbers count as 0.
GRADLIB_DEVICE float ex2_approx(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
GRADLIB_DEVICE float rcp_approx(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

}  // namespace ptx
