// wgmma: sm_90a.  Part of ptx.cuh.
#pragma once

namespace ptx {

// ---- PTX: "Asynchronous Warpgroup Level Matrix Instructions" --------------------------------------------------------

GRADLIB_DEVICE void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
GRADLIB_DEVICE void wgmma_commit_group() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int keep> GRADLIB_DEVICE void wgmma_wait_group() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" :: "n"(keep) : "memory");
}

// Lists of registers, 4 at a time: their operand numbers, and the constraints of d.
#define GRADLIB_N4(a, b, c, d) "%" #a ", %" #b ", %" #c ", %" #d
#define GRADLIB_D4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define GRADLIB_N4_ GRADLIB_N4(0, 1, 2, 3)
#define GRADLIB_D4_ GRADLIB_D4(0)
#define GRADLIB_N8_ GRADLIB_N4_ ", " GRADLIB_N4(4, 5, 6, 7)
#define GRADLIB_D8_ GRADLIB_D4_, GRADLIB_D4(4)
#define GRADLIB_N12_ GRADLIB_N8_ ", " GRADLIB_N4(8, 9, 10, 11)
#define GRADLIB_D12_ GRADLIB_D8_, GRADLIB_D4(8)
#define GRADLIB_N16_ GRADLIB_N12_ ", " GRADLIB_N4(12, 13, 14, 15)
#define GRADLIB_D16_ GRADLIB_D12_, GRADLIB_D4(12)
#define GRADLIB_N20_ GRADLIB_N16_ ", " GRADLIB_N4(16, 17, 18, 19)
#define GRADLIB_D20_ GRADLIB_D16_, GRADLIB_D4(16)
#define GRADLIB_N24_ GRADLIB_N20_ ", " GRADLIB_N4(20, 21, 22, 23)
#define GRADLIB_D24_ GRADLIB_D20_, GRADLIB_D4(20)
#define GRADLIB_N28_ GRADLIB_N24_ ", " GRADLIB_N4(24, 25, 26, 27)
#define GRADLIB_D28_ GRADLIB_D24_, GRADLIB_D4(24)
#define GRADLIB_N32_ GRADLIB_N28_ ", " GRADLIB_N4(28, 29, 30, 31)
#define GRADLIB_D32_ GRADLIB_D28_, GRADLIB_D4(28)
#define GRADLIB_N36_ GRADLIB_N32_ ", " GRADLIB_N4(32, 33, 34, 35)
#define GRADLIB_D36_ GRADLIB_D32_, GRADLIB_D4(32)
#define GRADLIB_N40_ GRADLIB_N36_ ", " GRADLIB_N4(36, 37, 38, 39)
#define GRADLIB_D40_ GRADLIB_D36_, GRADLIB_D4(36)
#define GRADLIB_N44_ GRADLIB_N40_ ", " GRADLIB_N4(40, 41, 42, 43)
#define GRADLIB_D44_ GRADLIB_D40_, GRADLIB_D4(40)
#define GRADLIB_N48_ GRADLIB_N44_ ", " GRADLIB_N4(44, 45, 46, 47)
#define GRADLIB_D48_ GRADLIB_D44_, GRADLIB_D4(44)
#define GRADLIB_N52_ GRADLIB_N48_ ", " GRADLIB_N4(48, 49, 50, 51)
#define GRADLIB_D52_ GRADLIB_D48_, GRADLIB_D4(48)
#define GRADLIB_N56_ GRADLIB_N52_ ", " GRADLIB_N4(52, 53, 54, 55)
#define GRADLIB_D56_ GRADLIB_D52_, GRADLIB_D4(52)
#define GRADLIB_N60_ GRADLIB_N56_ ", " GRADLIB_N4(56, 57, 58, 59)
#define GRADLIB_D60_ GRADLIB_D56_, GRADLIB_D4(56)
#define GRADLIB_N64_ GRADLIB_N60_ ", " GRADLIB_N4(60, 61, 62, 63)
#define GRADLIB_D64_ GRADLIB_D60_, GRADLIB_D4(60)
#define GRADLIB_N68_ GRADLIB_N64_ ", " GRADLIB_N4(64, 65, 66, 67)
#define GRADLIB_D68_ GRADLIB_D64_, GRADLIB_D4(64)
#define GRADLIB_N72_ GRADLIB_N68_ ", " GRADLIB_N4(68, 69, 70, 71)
#define GRADLIB_D72_ GRADLIB_D68_, GRADLIB_D4(68)
#define GRADLIB_N76_ GRADLIB_N72_ ", " GRADLIB_N4(72, 73, 74, 75)
#define GRADLIB_D76_ GRADLIB_D72_, GRADLIB_D4(72)
#define GRADLIB_N80_ GRADLIB_N76_ ", " GRADLIB_N4(76, 77, 78, 79)
#define GRADLIB_D80_ GRADLIB_D76_, GRADLIB_D4(76)
#define GRADLIB_N84_ GRADLIB_N80_ ", " GRADLIB_N4(80, 81, 82, 83)
#define GRADLIB_D84_ GRADLIB_D80_, GRADLIB_D4(80)
#define GRADLIB_N88_ GRADLIB_N84_ ", " GRADLIB_N4(84, 85, 86, 87)
#define GRADLIB_D88_ GRADLIB_D84_, GRADLIB_D4(84)
#define GRADLIB_N92_ GRADLIB_N88_ ", " GRADLIB_N4(88, 89, 90, 91)
#define GRADLIB_D92_ GRADLIB_D88_, GRADLIB_D4(88)
#define GRADLIB_N96_ GRADLIB_N92_ ", " GRADLIB_N4(92, 93, 94, 95)
#define GRADLIB_D96_ GRADLIB_D92_, GRADLIB_D4(92)
#define GRADLIB_N100_ GRADLIB_N96_ ", " GRADLIB_N4(96, 97, 98, 99)
#define GRADLIB_D100_ GRADLIB_D96_, GRADLIB_D4(96)
#define GRADLIB_N104_ GRADLIB_N100_ ", " GRADLIB_N4(100, 101, 102, 103)
#define GRADLIB_D104_ GRADLIB_D100_, GRADLIB_D4(100)
#define GRADLIB_N108_ GRADLIB_N104_ ", " GRADLIB_N4(104, 105, 106, 107)
#define GRADLIB_D108_ GRADLIB_D104_, GRADLIB_D4(104)
#define GRADLIB_N112_ GRADLIB_N108_ ", " GRADLIB_N4(108, 109, 110, 111)
#define GRADLIB_D112_ GRADLIB_D108_, GRADLIB_D4(108)
#define GRADLIB_N116_ GRADLIB_N112_ ", " GRADLIB_N4(112, 113, 114, 115)
#define GRADLIB_D116_ GRADLIB_D112_, GRADLIB_D4(112)
#define GRADLIB_N120_ GRADLIB_N116_ ", " GRADLIB_N4(116, 117, 118, 119)
#define GRADLIB_D120_ GRADLIB_D116_, GRADLIB_D4(116)
#define GRADLIB_N124_ GRADLIB_N120_ ", " GRADLIB_N4(120, 121, 122, 123)
#define GRADLIB_D124_ GRADLIB_D120_, GRADLIB_D4(120)
#define GRADLIB_N128_ GRADLIB_N124_ ", " GRADLIB_N4(124, 125, 126, 127)
#define GRADLIB_D128_ GRADLIB_D124_, GRADLIB_D4(124)

// d (64 x N) += a b, or = a b where `add` is 0.  The descriptors tell where a (64 x K) and b (K x N) lie in shared
// memory; or a is in registers.  Elements are __half and __nv_bfloat16 (K = 16, either major order), tf32 (K = 8,
// K-major), and e4m3 and e5m2 in any combination (K = 32, K-major).
template <int columns> struct Wgmma;

#define GRADLIB_SS(shape, types, regs, A, B, add, ...)                                                                \
  asm volatile("{\n\t.reg .pred p;\n\tsetp.ne.b32 p, %" #add ", 0;\n\t"                                              \
               "wgmma.mma_async.sync.aligned.m64n" shape ".f32." types " {" GRADLIB_N##regs##_ "}, %" #A              \
               ", %" #B                                                                                               \
               ", p, 1, 1" __VA_ARGS__
#define GRADLIB_SS_K(shape, types, regs, a0, a1, a2)                                                                  \
  GRADLIB_SS(shape, types, regs, a0, a1, a2) ";\n\t}" : GRADLIB_D##regs##_ : "l"(a), "l"(b), "r"(add))
#define GRADLIB_RS_K(shape, types, regs, a0, a1, a2, a3, a4, a5)                                                      \
  GRADLIB_RS(shape, types, regs, a0, a1, a2, a3, a4, a5) ";\n\t}" : GRADLIB_D##regs##_ : GRADLIB_A, "l"(b), "r"(add))
#define GRADLIB_WGMMA(N, regs, a0, a1, a2, a3, a4, a5, a6)                                                            \
  template <> struct Wgmma<N> {                                                                                       \
    template <class Left, class Right, int a_transposed, int b_transposed>                                             \
    static GRADLIB_DEVICE void multiply(float (&d)[regs], unsigned long long a, unsigned long long b, int add) {      \
      if constexpr (Same<Left, __half>::value) {                                                                       \
        GRADLIB_SS(#N "k16", "f16.f16", regs, a0, a1, a2, ", %" #a3 ", %" #a4) ";\n\t}"                               \
                   : GRADLIB_D##regs##_ : "l"(a), "l"(b), "r"(add), "n"(a_transposed), "n"(b_transposed));            \
      } else if constexpr (Same<Left, __nv_bfloat16>::value) {                                                         \
        GRADLIB_SS(#N "k16", "bf16.bf16", regs, a0, a1, a2, ", %" #a3 ", %" #a4) ";\n\t}"                             \
                   : GRADLIB_D##regs##_ : "l"(a), "l"(b), "r"(add), "n"(a_transposed), "n"(b_transposed));            \
      } else if constexpr (Same<Left, tf32>::value) {                                                                  \
        GRADLIB_SS_K(#N "k8", "tf32.tf32", regs, a0, a1, a2);                                                         \
      } else if constexpr (Same<Left, e4m3>::value) {                                                                  \
        if constexpr (Same<Right, e4m3>::value) GRADLIB_SS_K(#N "k32", "e4m3.e4m3", regs, a0, a1, a2);                \
        else GRADLIB_SS_K(#N "k32", "e4m3.e5m2", regs, a0, a1, a2);                                                   \
      } else {                                                                                                        \
        if constexpr (Same<Right, e4m3>::value) GRADLIB_SS_K(#N "k32", "e5m2.e4m3", regs, a0, a1, a2);                \
        else GRADLIB_SS_K(#N "k32", "e5m2.e5m2", regs, a0, a1, a2);                                                   \
      }                                                                                                               \
    }                                                                                                                 \
    template <class Left, class Right, int b_transposed>                                                               \
    static GRADLIB_DEVICE void multiply(float (&d)[regs], const unsigned (&a)[4], unsigned long long b, int add) {    \
      if constexpr (Same<Left, __half>::value) {                                                                       \
        GRADLIB_RS(#N "k16", "f16.f16", regs, a0, a1, a2, a3, a4, a5, ", %" #a6) ";\n\t}"                             \
                   : GRADLIB_D##regs##_ : GRADLIB_A, "l"(b), "r"(add), "n"(b_transposed));                            \
      } else if constexpr (Same<Left, __nv_bfloat16>::value) {                                                         \
        GRADLIB_RS(#N "k16", "bf16.bf16", regs, a0, a1, a2, a3, a4, a5, ", %" #a6) ";\n\t}"                           \
                   : GRADLIB_D##regs##_ : GRADLIB_A, "l"(b), "r"(add), "n"(b_transposed));                            \
      } else if constexpr (Same<Left, tf32>::value) {                                                                  \
        GRADLIB_RS_K(#N "k8", "tf32.tf32", regs, a0, a1, a2, a3, a4, a5);                                             \
      } else if constexpr (Same<Left, e4m3>::value) {                                                                  \
        if constexpr (Same<Right, e4m3>::value) GRADLIB_RS_K(#N "k32", "e4m3.e4m3", regs, a0, a1, a2, a3, a4, a5);    \
        else GRADLIB_RS_K(#N "k32", "e4m3.e5m2", regs, a0, a1, a2, a3, a4, a5);                                       \
      } else {                                                                                                        \
        if constexpr (Same<Right, e4m3>::value) GRADLIB_RS_K(#N "k32", "e5m2.e4m3", regs, a0, a1, a2, a3, a4, a5);    \
        else GRADLIB_RS_K(#N "k32", "e5m2.e5m2", regs, a0, a1, a2, a3, a4, a5);                                       \
      }                                                                                                               \
    }                                                                                                                 \
  };
#define GRADLIB_A "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3])
#define GRADLIB_RS(shape, types, regs, a0, a1, a2, a3, B, add, ...)                                                   \
  asm volatile("{\n\t.reg .pred p;\n\tsetp.ne.b32 p, %" #add ", 0;\n\t"                                              \
               "wgmma.mma_async.sync.aligned.m64n" shape ".f32." types " {" GRADLIB_N##regs##_ "}, {"                 \
               GRADLIB_N4(a0, a1, a2, a3) "}, %" #B ", p, 1, 1" __VA_ARGS__

template <class Left, class Right> struct Same { static constexpr bool value = false; };
template <class Left> struct Same<Left, Left> { static constexpr bool value = true; };

// N, registers of d, and the numbers of the seven operands behind them.
GRADLIB_WGMMA(8, 4, 4, 5, 6, 7, 8, 9, 10)
GRADLIB_WGMMA(16, 8, 8, 9, 10, 11, 12, 13, 14)
GRADLIB_WGMMA(24, 12, 12, 13, 14, 15, 16, 17, 18)
GRADLIB_WGMMA(32, 16, 16, 17, 18, 19, 20, 21, 22)
GRADLIB_WGMMA(40, 20, 20, 21, 22, 23, 24, 25, 26)
GRADLIB_WGMMA(48, 24, 24, 25, 26, 27, 28, 29, 30)
GRADLIB_WGMMA(56, 28, 28, 29, 30, 31, 32, 33, 34)
GRADLIB_WGMMA(64, 32, 32, 33, 34, 35, 36, 37, 38)
GRADLIB_WGMMA(72, 36, 36, 37, 38, 39, 40, 41, 42)
GRADLIB_WGMMA(80, 40, 40, 41, 42, 43, 44, 45, 46)
GRADLIB_WGMMA(88, 44, 44, 45, 46, 47, 48, 49, 50)
GRADLIB_WGMMA(96, 48, 48, 49, 50, 51, 52, 53, 54)
GRADLIB_WGMMA(104, 52, 52, 53, 54, 55, 56, 57, 58)
GRADLIB_WGMMA(112, 56, 56, 57, 58, 59, 60, 61, 62)
GRADLIB_WGMMA(120, 60, 60, 61, 62, 63, 64, 65, 66)
GRADLIB_WGMMA(128, 64, 64, 65, 66, 67, 68, 69, 70)
GRADLIB_WGMMA(136, 68, 68, 69, 70, 71, 72, 73, 74)
GRADLIB_WGMMA(144, 72, 72, 73, 74, 75, 76, 77, 78)
GRADLIB_WGMMA(152, 76, 76, 77, 78, 79, 80, 81, 82)
GRADLIB_WGMMA(160, 80, 80, 81, 82, 83, 84, 85, 86)
GRADLIB_WGMMA(168, 84, 84, 85, 86, 87, 88, 89, 90)
GRADLIB_WGMMA(176, 88, 88, 89, 90, 91, 92, 93, 94)
GRADLIB_WGMMA(184, 92, 92, 93, 94, 95, 96, 97, 98)
GRADLIB_WGMMA(192, 96, 96, 97, 98, 99, 100, 101, 102)
GRADLIB_WGMMA(200, 100, 100, 101, 102, 103, 104, 105, 106)
GRADLIB_WGMMA(208, 104, 104, 105, 106, 107, 108, 109, 110)
GRADLIB_WGMMA(216, 108, 108, 109, 110, 111, 112, 113, 114)
GRADLIB_WGMMA(224, 112, 112, 113, 114, 115, 116, 117, 118)
GRADLIB_WGMMA(232, 116, 116, 117, 118, 119, 120, 121, 122)
GRADLIB_WGMMA(240, 120, 120, 121, 122, 123, 124, 125, 126)
GRADLIB_WGMMA(248, 124, 124, 125, 126, 127, 128, 129, 130)
GRADLIB_WGMMA(256, 128, 128, 129, 130, 131, 132, 133, 134)

#undef GRADLIB_SS
#undef GRADLIB_SS_K
#undef GRADLIB_RS
#undef GRADLIB_RS_K
#undef GRADLIB_A
#undef GRADLIB_WGMMA

template <class Element, int columns, int a_transposed = 0, int b_transposed = 0>
GRADLIB_DEVICE void wgmma(float (&d)[columns / 2], unsigned long long a, unsigned long long b, int add = 1) {
  Wgmma<columns>::template multiply<Element, Element, a_transposed, b_transposed>(d, a, b, add);
}
template <class Element, int columns, int b_transposed = 0>
GRADLIB_DEVICE void wgmma(float (&d)[columns / 2], const unsigned (&a)[4], unsigned long long b, int add = 1) {
  Wgmma<columns>::template multiply<Element, Element, b_transposed>(d, a, b, add);
}
// Of two kinds of 8-bit floats.  A GPU of sm_90 keeps some 14 bits of their sums, however wide d is.
template <class Left, class Right, int columns>
GRADLIB_DEVICE void wgmma_fp8(float (&d)[columns / 2], unsigned long long a, unsigned long long b, int add = 1) {
  Wgmma<columns>::template multiply<Left, Right, 0, 0>(d, a, b, add);
}
template <class Left, class Right, int columns>
GRADLIB_DEVICE void wgmma_fp8(float (&d)[columns / 2], const unsigned (&a)[4], unsigned long long b, int add = 1) {
  Wgmma<columns>::template multiply<Left, Right, 0>(d, a, b, add);
}

// ---- PTX: "Matrix Descriptor Format" --------------------------------------------------------------------------------

// Where a tile lies: its first byte, its swizzle (0, 32, 64 or 128 bytes), and two strides in bytes.
//   K-major:   stride from 8 rows to the next 8; leading (no swizzle only) from 16 bytes of K to the next 16.
//   MN-major:  swizzled, leading from one swizzle span along M or N to the next, stride from 8 of K to the next 8;
//              without a swizzle the two change places.
template <int swizzle> GRADLIB_DEVICE unsigned long long wgmma_descriptor(const void* shared, int leading, int stride) {
  static_assert(swizzle == 0 || swizzle == 32 || swizzle == 64 || swizzle == 128, "0, 32, 64 or 128 bytes");
  constexpr unsigned long long mode = swizzle == 128 ? 1 : swizzle == 64 ? 2 : swizzle == 32 ? 3 : 0;
  const unsigned long long start = (shared_address(shared) >> 4) & 0x3fff;
  return mode << 62 | (unsigned long long)((stride >> 4) & 0x3fff) << 32 |
         (unsigned long long)((leading >> 4) & 0x3fff) << 16 | start;
}

}  // namespace ptx
