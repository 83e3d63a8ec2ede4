// ldmatrix, stmatrix and mma.sync: the last lane of a warp to come computes for all.  Layouts as in the PTX manual,
// sections "Matrix Fragments for mma.m16n8k16 ..." and "ldmatrix".
#include "checker.h"
#include "engine.h"

namespace gradlib_sim {

// ---- numbers

static float half_value(unsigned short h) {
    unsigned sign = (unsigned)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3ff, bits;
    if (exponent == 0) {
        float f = (float)fraction * 0x1p-24f;
        return sign ? -f : f;
    }
    bits = sign | (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23) | fraction << 13;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

float value(ElementKind kind, const void* from) {
    unsigned bits;
    unsigned short low;
    float f;
    memcpy(&low, from, 2);
    if (kind == element_half) return half_value(low);
    bits = (unsigned)low << 16;
    if (kind == element_tf32) {
        memcpy(&bits, from, 4);
        bits &= 0xffffe000;  // the tensor core ignores the other bits
    }
    memcpy(&f, &bits, 4);
    return f;
}

// Rounded to nearest even.
unsigned short half_of(double x) {
    if (x != x) return 0x7fff;
    const unsigned short sign = __builtin_signbit(x) ? 0x8000 : 0;
    double size = __builtin_fabs(x);
    if (size >= 65520) return sign | 0x7c00;
    int exponent;
    __builtin_frexp(size, &exponent);  // size = 0.1... * 2^exponent
    if (exponent < -13) exponent = -13;
    const unsigned units = (unsigned)__builtin_nearbyint(__builtin_ldexp(size, 11 - exponent));  // up to 2^11
    return (unsigned short)(sign | (units + (unsigned)((exponent + 13) << 10)));
}

static void warp_call(WarpCall& call, const Site& site) {
    running().collective(collective_call, ~0u, reinterpret_cast<unsigned long long>(&call), 0, site);
}

static void check_equal(bool equal) {
    if (!equal) running().fault("the lanes of one warp are in different instructions of the whole warp,");
}

// ---- 8 x 8 matrices of 16-bit elements

struct MatrixCall : WarpCall {
    unsigned short row[8];  // that this lane points to
    unsigned* registers;
    int n;
    bool transposed, store;
};

static void move_matrices(WarpCall* const* lanes) {
    const MatrixCall& first = *static_cast<MatrixCall*>(lanes[0]);
    const int n = first.n;
    for (int l = 0; l < 32; ++l) {
        const MatrixCall& lane = *static_cast<MatrixCall*>(lanes[l]);
        check_equal(lane.n == n && lane.transposed == first.transposed && lane.store == first.store);
    }
    for (int i = 0; i < n; ++i) {
        for (int l = 0; l < 32; ++l) {
            MatrixCall& lane = *static_cast<MatrixCall*>(lanes[l]);
            unsigned short held[2];
            memcpy(held, &lane.registers[i], 4);
            for (int e = 0; e < 2; ++e) {
                int row = l / 4, column = l % 4 * 2 + e;
                if (lane.transposed) std::swap(row, column);
                unsigned short& element = static_cast<MatrixCall*>(lanes[8 * i + row])->row[column];
                if (lane.store) {
                    element = held[e];
                } else {
                    held[e] = element;
                }
            }
            if (!lane.store) memcpy(&lane.registers[i], held, 4);
        }
    }
}

// ---- products: a[16][depth] by rows, b[depth][8] by columns, summed in double and rounded once

struct ProductCall : WarpCall {
    WarpProduct kind;
    const unsigned *a, *b;
    unsigned* d;
};

static double element(WarpProduct kind, const unsigned* registers, int index) {
    switch (kind) {
        case product_s8: return reinterpret_cast<const signed char*>(registers)[index];
        case product_tf32: return value(element_tf32, registers + index);
        case product_bf16: return value(element_bfloat16, reinterpret_cast<const unsigned short*>(registers) + index);
        default: return value(element_half, reinterpret_cast<const unsigned short*>(registers) + index);
    }
}

static void multiply(WarpCall* const* lanes) {
    const WarpProduct kind = static_cast<ProductCall*>(lanes[0])->kind;
    const int pack = kind == product_s8 ? 4 : kind == product_tf32 ? 1 : 2, depth = 8 * pack;  // elements in a register
    double a[16][32], b[32][8], d[16][8] = {};
    for (int l = 0; l < 32; ++l) {
        const ProductCall& call = *static_cast<ProductCall*>(lanes[l]);
        check_equal(call.kind == kind);
        for (int i = 0; i < 4 * pack; ++i) {
            int r = i / pack, k = l % 4 * pack + r / 2 * 4 * pack + i % pack;
            a[l / 4 + r % 2 * 8][k] = element(kind, call.a, i);
        }
        for (int i = 0; i < 2 * pack; ++i) {
            b[l % 4 * pack + i / pack * 4 * pack + i % pack][l / 4] = element(kind, call.b, i);
        }
    }
    for (int i = 0; i < 16; ++i)
        for (int k = 0; k < depth; ++k)
            for (int j = 0; j < 8; ++j) d[i][j] += a[i][k] * b[k][j];
    for (int l = 0; l < 32; ++l) {
        unsigned* out = static_cast<ProductCall*>(lanes[l])->d;
        for (int r = 0; r < 4; ++r) {
            double sum = d[l / 4 + r / 2 * 8][l % 4 * 2 + r % 2];
            if (kind == product_s8) {
                out[r] += (unsigned)(long long)sum;  // wraps
            } else if (kind == product_f16_sums) {
                unsigned short* half = reinterpret_cast<unsigned short*>(out) + r;
                *half = half_of(value(element_half, half) + sum);
            } else {
                float f;
                memcpy(&f, out + r, 4);
                f = (float)(f + sum);
                memcpy(out + r, &f, 4);
            }
        }
    }
}

}  // namespace gradlib_sim

using namespace gradlib_sim;
extern "C" {
void gradlib_sim_matrix(void* row, unsigned* registers, int n, bool transposed, bool store, const Site& site) {
    MatrixCall call;
    call.compute = move_matrices;
    call.registers = registers;
    call.n = n;
    call.transposed = transposed;
    call.store = store;
    const bool points = (int)(gradlib_sim_context.linear % 32) < 8 * n;
    if (points) {
        if (running().engine().shared_offset(row, 16, site) % 16) {
            running().fault_at("misaligned", nullptr, "%s at %s:%d: a row that is not aligned to 16 bytes, thread %u",
                               site.what, site.file, site.line, gradlib_sim_context.linear);
        }
        if (Checker* checker = running().checker()) {
            checker->access(reinterpret_cast<Address>(row), 16, store ? plain_write : plain_read, 16,
                            reinterpret_cast<Address>(__builtin_return_address(0)));
        }
        if (!store) memcpy(call.row, row, 16);
    }
    warp_call(call, site);
    if (points && store) memcpy(row, call.row, 16);
}

void gradlib_sim_warp_product(WarpProduct kind, const unsigned* a, const unsigned* b, void* d, const Site& site) {
    ProductCall call;
    call.compute = multiply;
    call.kind = kind;
    call.a = a;
    call.b = b;
    call.d = static_cast<unsigned*>(d);
    warp_call(call, site);
}
}
