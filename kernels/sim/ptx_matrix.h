// ldmatrix, stmatrix and mma.sync on the host; the runtime (matrix.cpp) computes.
#pragma once

namespace ptx {

template <int n, bool transposed = false>
inline void ldmatrix(unsigned (&d)[n], const void* shared_row, GRADLIB_SIM_AT) {
    static_assert(n == 1 || n == 2 || n == 4, "ldmatrix loads 1, 2 or 4 matrices");
    gradlib_sim_matrix(const_cast<void*>(shared_row), d, n, transposed, false, GRADLIB_SIM_SITE("ldmatrix"));
}
template <int n, bool transposed = false>
inline void stmatrix(void* shared_row, const unsigned (&d)[n], GRADLIB_SIM_AT) {
    static_assert(n == 1 || n == 2 || n == 4, "stmatrix stores 1, 2 or 4 matrices");
    gradlib_sim_matrix(shared_row, const_cast<unsigned*>(d), n, transposed, true, GRADLIB_SIM_SITE("stmatrix"));
}

template <class Element>
inline void mma_m16n8k16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], GRADLIB_SIM_AT) {
    static_assert(gradlib_sim::one_of<Element, __half, __nv_bfloat16>, "mma_m16n8k16 takes __half or __nv_bfloat16");
    constexpr bool half = gradlib_sim::same<Element, __half>;
    gradlib_sim_warp_product(half ? gradlib_sim::product_f16 : gradlib_sim::product_bf16, a, b, d,
                             GRADLIB_SIM_SITE("mma.sync.m16n8k16"));
}
inline void mma_m16n8k16_f16(unsigned (&d)[2], const unsigned (&a)[4], const unsigned (&b)[2], GRADLIB_SIM_AT) {
    gradlib_sim_warp_product(gradlib_sim::product_f16_sums, a, b, d, GRADLIB_SIM_SITE("mma.sync.m16n8k16.f16"));
}
inline void mma_m16n8k8_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], GRADLIB_SIM_AT) {
    gradlib_sim_warp_product(gradlib_sim::product_tf32, a, b, d, GRADLIB_SIM_SITE("mma.sync.m16n8k8.tf32"));
}
inline void mma_m16n8k32_s8(int (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], GRADLIB_SIM_AT) {
    gradlib_sim_warp_product(gradlib_sim::product_s8, a, b, d, GRADLIB_SIM_SITE("mma.sync.m16n8k32.s8"));
}
// Round to nearest, ties away from zero (PTX, "cvt": .rna), to 10 bits of fraction.
inline unsigned to_tf32(float x) {
    unsigned bits = __float_as_uint(x);
    if ((bits & 0x7f800000) == 0x7f800000) return bits & 0x7fffff ? 0x7fffffff : bits;
    return (bits + 0x1000) & 0xffffe000;
}

}  // namespace ptx
