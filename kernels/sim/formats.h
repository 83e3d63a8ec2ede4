// Floating formats of 16 and 8 bits, for the runtime (a kernel has float16.h and float8.h).
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace gradlib_sim {

inline float from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, 4);
    return value;
}
inline uint32_t to_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return bits;
}

inline float half_value(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3ff;
    if (exponent == 0) return from_bits(sign | to_bits((float)fraction * 0x1p-24f));
    return from_bits(sign | (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23) | fraction << 13);
}
inline float bfloat16_value(uint16_t h) { return from_bits((uint32_t)h << 16); }

// To nearest, ties to even.
inline uint16_t half_bits(float x) {
    const uint32_t sign = std::signbit(x) ? 0x8000 : 0;
    const float magnitude = std::fabs(x);
    if (std::isnan(x)) return (uint16_t)(sign | 0x7fff);
    if (magnitude >= 65520) return (uint16_t)(sign | 0x7c00);
    if (magnitude < 0x1p-14f) return (uint16_t)(sign + (uint32_t)std::lrint(magnitude * 0x1p24f));
    int exponent;
    const float part = std::frexp(magnitude, &exponent);
    return (uint16_t)(sign + ((uint32_t)(exponent + 13) << 10) + (uint32_t)std::lrint(part * 2048));
}
inline uint16_t bfloat16_bits(float x) {
    const uint32_t bits = to_bits(x);
    if (std::isnan(x)) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// Of 8 bits: a sign, the exponent, the rest fraction (PTX, "Alternate Floating-Point Data Formats").
struct Float8Table {
    float values[256];
    // Without infinities only the largest magnitude is NaN; with them, the largest exponent stands for both.
    Float8Table(int exponent_bits, bool infinities) {
        const int fraction_bits = 7 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1;
        const int unit = 1 << fraction_bits, largest = (1 << exponent_bits) - 1;
        for (int code = 0; code < 256; ++code) {
            const int magnitude = code & 127, fraction = magnitude % unit, exponent = magnitude / unit;
            float value = exponent == 0 ? std::ldexp((float)fraction, 1 - bias - fraction_bits)
                                        : std::ldexp((float)(fraction + unit), exponent - bias - fraction_bits);
            if (infinities && exponent == largest) value = fraction ? NAN : INFINITY;
            if (!infinities && magnitude == 127) value = NAN;
            values[code] = code < 128 ? value : -value;
        }
    }
};
inline float e4m3_value(uint8_t code) {
    static const Float8Table table(4, false);
    return table.values[code];
}
inline float e5m2_value(uint8_t code) {
    static const Float8Table table(5, true);
    return table.values[code];
}

}  // namespace gradlib_sim
