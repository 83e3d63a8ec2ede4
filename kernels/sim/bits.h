// Reinterpretation of bits, integer intrinsics, and the few type traits that the headers after this one need.
#pragma once

namespace gradlib_sim {

template <class To, class From>
inline To bit_cast(const From& from) {
    static_assert(sizeof(To) == sizeof(From), "bit_cast between types of different size");
    union Cast {
        char none;
        To to;
        Cast() : none() {}
    } cast;
    __builtin_memcpy(&cast.to, &from, sizeof(To));
    return cast.to;
}

template <class A, class B>
constexpr bool same = false;
template <class A>
constexpr bool same<A, A> = true;

template <bool, class V = void>
struct enable {};
template <class V>
struct enable<true, V> {
    typedef V type;
};

template <class V, class... Choices>
constexpr bool one_of = (same<V, Choices> || ...);
template <class V>
constexpr bool is_integer = one_of<V, bool, char, signed char, unsigned char, short, unsigned short, int, unsigned int,
                                   long, unsigned long, long long, unsigned long long>;

}  // namespace gradlib_sim

#define GRADLIB_SIM_AS(name, to, from) \
    inline to name(from x) { return ::gradlib_sim::bit_cast<to>(x); }
GRADLIB_SIM_AS(__float_as_int, int, float)
GRADLIB_SIM_AS(__float_as_uint, unsigned, float)
GRADLIB_SIM_AS(__int_as_float, float, int)
GRADLIB_SIM_AS(__uint_as_float, float, unsigned)
GRADLIB_SIM_AS(__double_as_longlong, long long, double)
GRADLIB_SIM_AS(__longlong_as_double, double, long long)
#undef GRADLIB_SIM_AS
inline int __double2hiint(double x) { return (int)(__double_as_longlong(x) >> 32); }
inline int __double2loint(double x) { return (int)__double_as_longlong(x); }
inline double __hiloint2double(int high, int low) {
    return __longlong_as_double((long long)((unsigned long long)(unsigned)high << 32 | (unsigned)low));
}

inline int __mulhi(int a, int b) { return (int)((long long)a * b >> 32); }
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((unsigned long long)a * b >> 32); }
inline long long __mul64hi(long long a, long long b) { return (long long)((__int128)a * b >> 64); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned long long)((unsigned __int128)a * b >> 64);
}
inline int __mul24(int a, int b) { return (int)((unsigned)(a << 8 >> 8) * (unsigned)(b << 8 >> 8)); }
inline unsigned __umul24(unsigned a, unsigned b) { return (a & 0xffffff) * (b & 0xffffff); }

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz((unsigned)x); }
inline int __clzll(long long x) { return x == 0 ? 64 : __builtin_clzll((unsigned long long)x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }

inline unsigned __brev(unsigned x) {
    x = (x >> 1 & 0x55555555u) | (x & 0x55555555u) << 1;
    x = (x >> 2 & 0x33333333u) | (x & 0x33333333u) << 2;
    x = (x >> 4 & 0x0f0f0f0fu) | (x & 0x0f0f0f0fu) << 4;
    return __builtin_bswap32(x);
}
inline unsigned long long __brevll(unsigned long long x) {
    return (unsigned long long)__brev((unsigned)x) << 32 | __brev((unsigned)(x >> 32));
}

// Each nibble of `selector` picks one of the eight bytes of b:a; its top bit replicates the byte's sign instead.
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
    unsigned long long bytes = (unsigned long long)b << 32 | a;
    unsigned result = 0;
    for (int i = 0; i < 4; ++i) {
        unsigned pick = selector >> (4 * i);
        unsigned byte = (unsigned)(bytes >> (8 * (pick & 7))) & 0xff;
        if (pick & 8) byte = byte & 0x80 ? 0xff : 0;
        result |= byte << (8 * i);
    }
    return result;
}

inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
    return (unsigned)(((unsigned long long)high << 32 | low) << (shift & 31) >> 32);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
    return (unsigned)(((unsigned long long)high << 32 | low) >> (shift & 31));
}
inline unsigned __sad(int a, int b, unsigned c) { return (unsigned)(a > b ? (long long)a - b : (long long)b - a) + c; }
inline unsigned __usad(unsigned a, unsigned b, unsigned c) { return (a > b ? a - b : b - a) + c; }
inline int __hadd(int a, int b) { return (int)(((long long)a + b) >> 1); }
inline int __rhadd(int a, int b) { return (int)(((long long)a + b + 1) >> 1); }

// Four signed (unsigned) 8-bit products added to c.
inline int __dp4a(int a, int b, int c) {
    for (int i = 0; i < 32; i += 8) c += (signed char)(a >> i) * (signed char)(b >> i);
    return c;
}
inline unsigned __dp4a(unsigned a, unsigned b, unsigned c) {
    for (int i = 0; i < 32; i += 8) c += (unsigned char)(a >> i) * (unsigned char)(b >> i);
    return c;
}

#if defined(__x86_64__) || defined(__i386__)
inline long long clock64() { return (long long)__builtin_ia32_rdtsc(); }
#elif defined(__aarch64__)
inline long long clock64() {
    long long ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
}
#endif
inline int clock() { return (int)clock64(); }
inline void __nanosleep(unsigned) {}

template <class V>
inline V __ldg(const V* address) { return *address; }
#define GRADLIB_SIM_CACHED(suffix)                              \
    template <class V>                                          \
    inline V __ld##suffix(const V* address) { return *address; }
GRADLIB_SIM_CACHED(ca) GRADLIB_SIM_CACHED(cg) GRADLIB_SIM_CACHED(cs) GRADLIB_SIM_CACHED(lu) GRADLIB_SIM_CACHED(cv)
#undef GRADLIB_SIM_CACHED
template <class V>
inline void __stwb(V* address, V value) { *address = value; }
template <class V>
inline void __stcg(V* address, V value) { *address = value; }
template <class V>
inline void __stcs(V* address, V value) { *address = value; }
template <class V>
inline void __stwt(V* address, V value) { *address = value; }
