// Matrices of a warp: ldmatrix, stmatrix, mma.sync.  Part of ptx.cuh.
#pragma once

namespace ptx {

// ---- PTX: "Warp-level matrix load instruction: ldmatrix" ------------------------------------------------------------

// Load `n` matrices of 8 x 8 16-bit elements.  Lane 8 i + r gives the address of row r of matrix i (16 bytes); lane l
// receives in d[i] elements 2 (l % 4) and the next of row l / 4 of matrix i, or of its transpose.
template <int n, bool transposed = false> GRADLIB_DEVICE void ldmatrix(unsigned (&d)[n], const void* shared_row) {
  static_assert(n == 1 || n == 2 || n == 4, "ldmatrix loads 1, 2 or 4 matrices");
  const unsigned row = shared_address(shared_row);
#define GRADLIB_LDMATRIX(trans)                                                                                     \
  if constexpr (n == 1) {                                                                                           \
    asm volatile("ldmatrix.sync.aligned.m8n8.x1" trans ".shared.b16 {%0}, [%1];"                                    \
                 : "=r"(d[0]) : "r"(row) : "memory");                                                               \
  } else if constexpr (n == 2) {                                                                                    \
    asm volatile("ldmatrix.sync.aligned.m8n8.x2" trans ".shared.b16 {%0, %1}, [%2];"                                \
                 : "=r"(d[0]), "=r"(d[1]) : "r"(row) : "memory");                                                   \
  } else {                                                                                                          \
    asm volatile("ldmatrix.sync.aligned.m8n8.x4" trans ".shared.b16 {%0, %1, %2, %3}, [%4];"                        \
                 : "=r"(d[0]), "=r"(d[1]), "=r"(d[n - 2]), "=r"(d[n - 1]) : "r"(row) : "memory");                   \
  }
  if constexpr (transposed) {
    GRADLIB_LDMATRIX(".trans")
  } else {
    GRADLIB_LDMATRIX("")
  }
#undef GRADLIB_LDMATRIX
}

#if __CUDA_ARCH__ >= 900
// The reverse of ldmatrix.
template <int n, bool transposed = false> GRADLIB_DEVICE void stmatrix(void* shared_row, const unsigned (&d)[n]) {
  static_assert(n == 1 || n == 2 || n == 4, "stmatrix stores 1, 2 or 4 matrices");
  const unsigned row = shared_address(shared_row);
#define GRADLIB_STMATRIX(trans)                                                                                     \
  if constexpr (n == 1) {                                                                                           \
    asm volatile("stmatrix.sync.aligned.m8n8.x1" trans ".shared.b16 [%0], {%1};"                                    \
                 :: "r"(row), "r"(d[0]) : "memory");                                                                \
  } else if constexpr (n == 2) {                                                                                    \
    asm volatile("stmatrix.sync.aligned.m8n8.x2" trans ".shared.b16 [%0], {%1, %2};"                                \
                 :: "r"(row), "r"(d[0]), "r"(d[1]) : "memory");                                                     \
  } else {                                                                                                          \
    asm volatile("stmatrix.sync.aligned.m8n8.x4" trans ".shared.b16 [%0], {%1, %2, %3, %4};"                        \
                 :: "r"(row), "r"(d[0]), "r"(d[1]), "r"(d[n - 2]), "r"(d[n - 1]) : "memory");                       \
  }
  if constexpr (transposed) {
    GRADLIB_STMATRIX(".trans")
  } else {
    GRADLIB_STMATRIX("")
  }
#undef GRADLIB_STMATRIX
}
#endif

// ---- PTX: "Matrix multiply-accumulate operation using mma instruction" ----------------------------------------------
// d += a b with a (16 x k) by rows and b (k x 8) by columns, in the fragments that ldmatrix gives.

template <class Element>
GRADLIB_DEVICE void mma_m16n8k16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]);
#define GRADLIB_MMA(element, name)                                                                                   \
  template <> GRADLIB_DEVICE void mma_m16n8k16<element>(float (&d)[4], const unsigned (&a)[4],                       \
                                                        const unsigned (&b)[2]) {                                    \
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." name "." name ".f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "  \
                 "{%8, %9}, {%0, %1, %2, %3};"                                                                       \
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])                                                    \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));                                \
  }
GRADLIB_MMA(__half, "f16")
GRADLIB_MMA(__nv_bfloat16, "bf16")
#undef GRADLIB_MMA

// Half precision throughout: d is four halves.
GRADLIB_DEVICE void mma_m16n8k16_f16(unsigned (&d)[2], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {%0, %1}, {%2, %3, %4, %5}, {%6, %7}, {%0, %1};"
               : "+r"(d[0]), "+r"(d[1])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// The bits of floats, of which the product reads the upper 19; to_tf32 rounds to those.
GRADLIB_DEVICE void mma_m16n8k8_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
               "{%0, %1, %2, %3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
GRADLIB_DEVICE unsigned to_tf32(float x) {
  unsigned bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return bits;
}

#if __CUDA_ARCH__ >= 890
// 8-bit floats, four to a register.
template <class Left, class Right>
GRADLIB_DEVICE void mma_m16n8k32_fp8(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]);
#define GRADLIB_MMA(left, right)                                                                                      \
  template <> GRADLIB_DEVICE void mma_m16n8k32_fp8<left, right>(float (&d)[4], const unsigned (&a)[4],                \
                                                                const unsigned (&b)[2]) {                             \
    asm volatile("mma.sync.aligned.m16n8k32.row.col.f32." #left "." #right ".f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, " \
                 "{%8, %9}, {%0, %1, %2, %3};"                                                                        \
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])                                                     \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));                                 \
  }
GRADLIB_MMA(e4m3, e4m3)
GRADLIB_MMA(e4m3, e5m2)
GRADLIB_MMA(e5m2, e4m3)
GRADLIB_MMA(e5m2, e5m2)
#undef GRADLIB_MMA
#endif

// Doubles: a (8 x 4) by rows and b (4 x 8) by columns, one element of each a lane.
GRADLIB_DEVICE void mma_m8n8k4_f64(double (&d)[2], double a, double b) {
  asm volatile("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0, %1}, {%2}, {%3}, {%0, %1};"
               : "+d"(d[0]), "+d"(d[1])
               : "d"(a), "d"(b));
}

// Signed 8-bit integers, four to a register.
GRADLIB_DEVICE void mma_m16n8k32_s8(int (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
               "{%0, %1, %2, %3};"
               : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

}  // namespace ptx
