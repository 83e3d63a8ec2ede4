// CUDA's vector types: sizes and alignments as on the device, so that a wide load needs the alignment it needs there.
#pragma once

// The vectors of 1 and 3 elements align like their element; `align2` and `align4` are those of the others.
#define GRADLIB_SIM_VECTORS_1234(name, type, align2, align4)                                                       \
    struct name##1 { type x; };                                                                                    \
    struct alignas(align2) name##2 { type x, y; };                                                                 \
    struct name##3 { type x, y, z; };                                                                              \
    struct alignas(align4) name##4 { type x, y, z, w; };                                                           \
    GRADLIB_SIM_MAKE(name, type)
#define GRADLIB_SIM_MAKE(name, type)                                                                               \
    inline name##1 make_##name##1(type x) { return name##1{x}; }                                                   \
    inline name##2 make_##name##2(type x, type y) { return name##2{x, y}; }                                        \
    inline name##3 make_##name##3(type x, type y, type z) { return name##3{x, y, z}; }                             \
    inline name##4 make_##name##4(type x, type y, type z, type w) { return name##4{x, y, z, w}; }

GRADLIB_SIM_VECTORS_1234(char, signed char, 2, 4)
GRADLIB_SIM_VECTORS_1234(uchar, unsigned char, 2, 4)
GRADLIB_SIM_VECTORS_1234(short, short, 4, 8)
GRADLIB_SIM_VECTORS_1234(ushort, unsigned short, 4, 8)
GRADLIB_SIM_VECTORS_1234(int, int, 8, 16)
GRADLIB_SIM_VECTORS_1234(long, long, (2 * sizeof(long)), 16)
GRADLIB_SIM_VECTORS_1234(ulong, unsigned long, (2 * sizeof(long)), 16)
GRADLIB_SIM_VECTORS_1234(longlong, long long, 16, 16)
GRADLIB_SIM_VECTORS_1234(ulonglong, unsigned long long, 16, 16)
GRADLIB_SIM_VECTORS_1234(float, float, 8, 16)
GRADLIB_SIM_VECTORS_1234(double, double, 16, 16)

// uint3 stands in context.h, where threadIdx needs it.
struct uint1 { unsigned x; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
GRADLIB_SIM_MAKE(uint, unsigned)

#undef GRADLIB_SIM_VECTORS_1234
#undef GRADLIB_SIM_MAKE
