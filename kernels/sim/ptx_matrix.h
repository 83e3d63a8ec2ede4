// ldmatrix, stmatrix and mma.sync on the host: the last lane of a warp to come computes for all.  Layouts as in the PTX
// manual, sections "Matrix Fragments for mma.m16n8k16 ...", "... mma.m8n8k4 with .f64 floating point type" and "ldmatrix".
#pragma once

namespace gradlib_sim {

template <class Call>
inline void warp_call(Call& call, const Site& site) {
    gradlib_sim_collective(collective_call, ~0u, reinterpret_cast<unsigned long long>(static_cast<WarpCall*>(&call)), 0,
                           site);
}

// ---- 8 x 8 matrices of 16-bit elements

struct MatrixCall : WarpCall {
    unsigned short* row;  // that this lane points to
    unsigned* registers;
};

// Pairs (element in memory, element in a register) of matrix i: act(element of a row, element of the lane's register).
// The checked build takes each access for that of the lane whose register it is.
template <int n, bool transposed, class Act>
inline void for_matrix_elements(WarpCall* const* lanes, Act act) {
    const unsigned me = gradlib_sim_context.linear;
    for (int i = 0; i < n; ++i) {
        for (int l = 0; l < 32; ++l) {
            gradlib_sim_context.linear = me / 32 * 32 + (unsigned)l;
            unsigned short* held =
                reinterpret_cast<unsigned short*>(&static_cast<MatrixCall*>(lanes[l])->registers[i]);
            for (int e = 0; e < 2; ++e) {
                int row = l / 4, column = l % 4 * 2 + e;
                if (transposed) {
                    int swap = row;
                    row = column;
                    column = swap;
                }
                act(static_cast<MatrixCall*>(lanes[8 * i + row])->row[column], held[e]);
            }
        }
    }
    gradlib_sim_context.linear = me;
}

template <int n>
inline void matrix_call(MatrixCall& call, const void* row, unsigned* registers, const Site& site) {
    call.row = static_cast<unsigned short*>(const_cast<void*>(row));
    call.registers = registers;
    if (lane() < 8 * n && gradlib_sim_shared_offset(row, 16, site) % 16) {
        gradlib_sim_fault("a row that is not aligned to 16 bytes in ", site.what, site.file, site.line);
    }
    warp_call(call, site);
}

// ---- products: a[16][depth], b[depth][8], d[16][8], summed exactly enough (double) and rounded once

struct ProductCall : WarpCall {
    const unsigned *a, *b;
    void* d;
};

// Types by which PTX names what registers hold, and what holds one element of it.
template <class Element>
struct Stored { typedef Element type; };
template <>
struct Stored<ptx::e4m3> { typedef __nv_fp8_e4m3 type; };
template <>
struct Stored<ptx::e5m2> { typedef __nv_fp8_e5m2 type; };

template <class Element>
inline double element(const unsigned* registers, int index) {
    typename Stored<Element>::type value;
    __builtin_memcpy(&value, reinterpret_cast<const char*>(registers) + index * (int)sizeof value, sizeof value);
    if constexpr (sizeof value == 4) value = __uint_as_float(__float_as_uint(value) & 0xffffe000);  // tf32
    return (float)value;
}

// A register holds `pack` elements; depth = 8 * pack, two registers deep.
template <class Left, class Right, class Sum>
inline void multiply_warp(WarpCall* const* lanes) {
    constexpr int pack = 4 / (int)sizeof(Left), depth = 8 * pack;
    double a[16][depth], b[depth][8];
    for (int l = 0; l < 32; ++l) {
        const ProductCall& call = *static_cast<ProductCall*>(lanes[l]);
        for (int r = 0; r < 4; ++r)
            for (int e = 0; e < pack; ++e)
                a[l / 4 + r % 2 * 8][l % 4 * pack + r / 2 * 4 * pack + e] = element<Left>(call.a, r * pack + e);
        for (int r = 0; r < 2; ++r)
            for (int e = 0; e < pack; ++e)
                b[l % 4 * pack + r * 4 * pack + e][l / 4] = element<Right>(call.b, r * pack + e);
    }
    double d[16][8] = {};
    for (int i = 0; i < 16; ++i)
        for (int k = 0; k < depth; ++k)
            for (int j = 0; j < 8; ++j) d[i][j] += a[i][k] * b[k][j];
    for (int l = 0; l < 32; ++l) {
        Sum* out = static_cast<Sum*>(static_cast<ProductCall*>(lanes[l])->d);
        for (int r = 0; r < 4; ++r) {
            double sum = d[l / 4 + r / 2 * 8][l % 4 * 2 + r % 2];
            if constexpr (same<Sum, int>) {
                out[r] = (int)((long long)out[r] + (long long)sum);  // wraps
            } else {
                out[r] = Sum((double)(float)out[r] + sum);
            }
        }
    }
}

template <class Left, class Right, class Sum>
inline void product_call(const unsigned* a, const unsigned* b, void* d, const Site& site) {
    ProductCall call;
    call.compute = multiply_warp<Left, Right, Sum>;
    call.a = a;
    call.b = b;
    call.d = d;
    warp_call(call, site);
}

// ---- products of doubles: a[8][4], b[4][8], d[8][8], a fused multiplication and addition each, in the order of k

struct DoubleCall : WarpCall {
    double a, b;
    double* d;
};

inline void multiply_doubles(WarpCall* const* lanes) {
    const auto at = [&](int lane) -> DoubleCall& { return *static_cast<DoubleCall*>(lanes[lane]); };
    for (int l = 0; l < 32; ++l)
        for (int r = 0; r < 2; ++r)
            for (int k = 0; k < 4; ++k)
                at(l).d[r] = __builtin_fma(at(l / 4 * 4 + k).a, at((l % 4 * 2 + r) * 4 + k).b, at(l).d[r]);
}

}  // namespace gradlib_sim

namespace ptx {

template <int n, bool transposed = false>
inline void ldmatrix(unsigned (&d)[n], const void* shared_row, GRADLIB_SIM_AT) {
    static_assert(n == 1 || n == 2 || n == 4, "ldmatrix loads 1, 2 or 4 matrices");
    gradlib_sim::MatrixCall call;
    call.compute = [](gradlib_sim::WarpCall* const* lanes) {
        gradlib_sim::for_matrix_elements<n, transposed>(lanes, [](unsigned short& m, unsigned short& r) { r = m; });
    };
    gradlib_sim::matrix_call<n>(call, shared_row, d, GRADLIB_SIM_SITE("ldmatrix"));
}
template <int n, bool transposed = false>
inline void stmatrix(void* shared_row, const unsigned (&d)[n], GRADLIB_SIM_AT) {
    static_assert(n == 1 || n == 2 || n == 4, "stmatrix stores 1, 2 or 4 matrices");
    gradlib_sim::MatrixCall call;
    call.compute = [](gradlib_sim::WarpCall* const* lanes) {
        gradlib_sim::for_matrix_elements<n, transposed>(lanes, [](unsigned short& m, unsigned short& r) { m = r; });
    };
    gradlib_sim::matrix_call<n>(call, shared_row, const_cast<unsigned*>(d), GRADLIB_SIM_SITE("stmatrix"));
}

template <class Element>
inline void mma_m16n8k16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], GRADLIB_SIM_AT) {
    static_assert(gradlib_sim::one_of<Element, __half, __nv_bfloat16>, "mma_m16n8k16 takes __half or __nv_bfloat16");
    gradlib_sim::product_call<Element, Element, float>(a, b, d, GRADLIB_SIM_SITE("mma.sync.m16n8k16"));
}
inline void mma_m16n8k16_f16(unsigned (&d)[2], const unsigned (&a)[4], const unsigned (&b)[2], GRADLIB_SIM_AT) {
    gradlib_sim::product_call<__half, __half, __half>(a, b, d, GRADLIB_SIM_SITE("mma.sync.m16n8k16.f16"));
}
inline void mma_m16n8k8_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], GRADLIB_SIM_AT) {
    gradlib_sim::product_call<float, float, float>(a, b, d, GRADLIB_SIM_SITE("mma.sync.m16n8k8.tf32"));
}
template <class Left, class Right>
inline void mma_m16n8k32_fp8(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], GRADLIB_SIM_AT) {
    static_assert(gradlib_sim::one_of<Left, e4m3, e5m2> && gradlib_sim::one_of<Right, e4m3, e5m2>, "e4m3 or e5m2");
    gradlib_sim::product_call<Left, Right, float>(a, b, d, GRADLIB_SIM_SITE("mma.sync.m16n8k32.fp8"));
}
inline void mma_m16n8k32_s8(int (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], GRADLIB_SIM_AT) {
    gradlib_sim::product_call<signed char, signed char, int>(a, b, d, GRADLIB_SIM_SITE("mma.sync.m16n8k32.s8"));
}
inline void mma_m8n8k4_f64(double (&d)[2], double a, double b, GRADLIB_SIM_AT) {
    gradlib_sim::DoubleCall call;
    call.compute = gradlib_sim::multiply_doubles;
    call.a = a;
    call.b = b;
    call.d = d;
    gradlib_sim::warp_call(call, GRADLIB_SIM_SITE("mma.sync.m8n8k4.f64"));
}
// Round to nearest, ties away from zero (PTX, "cvt": .rna), to 10 bits of fraction.
inline unsigned to_tf32(float x) {
    unsigned bits = __float_as_uint(x);
    if ((bits & 0x7f800000) == 0x7f800000) return bits & 0x7fffff ? 0x7fffffff : bits;
    return (bits + 0x1000) & 0xffffe000;
}

}  // namespace ptx
