// Atomics: real ones, because the blocks of a launch run on several cores.
#pragma once

namespace gradlib_sim {

template <size_t bytes>
struct Word;
template <>
struct Word<2> { typedef unsigned short type; };
template <>
struct Word<4> { typedef unsigned type; };
template <>
struct Word<8> { typedef unsigned long long type; };

// Replace *address by update(*address) in one step and return what stood there.
template <class V, class Update>
inline V atomic_update(V* address, Update update) {
    typedef typename Word<sizeof(V)>::type W;
    W* word = reinterpret_cast<W*>(address);
    W old = __atomic_load_n(word, __ATOMIC_RELAXED);
    for (;;) {
        W next = bit_cast<W>(update(bit_cast<V>(old)));
        if (__atomic_compare_exchange_n(word, &old, next, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
            return bit_cast<V>(old);
        }
    }
}

}  // namespace gradlib_sim

// The overloads are CUDA's: what it does not declare must not compile here.  _block and _system forms are as strong.
#define GRADLIB_SIM_ATOMIC(name, type, expression)                                                                 \
    inline type name(type* address, type value) {                                                                  \
        return gradlib_sim::atomic_update(address, [value](type old) -> type { (void)old; return expression; });   \
    }                                                                                                              \
    inline type name##_block(type* address, type value) { return name(address, value); }                           \
    inline type name##_system(type* address, type value) { return name(address, value); }
#define GRADLIB_SIM_FETCH(name, type, fetch)                                                                       \
    inline type name(type* address, type value) { return fetch(address, value, __ATOMIC_RELAXED); }                \
    inline type name##_block(type* address, type value) { return name(address, value); }                           \
    inline type name##_system(type* address, type value) { return name(address, value); }

GRADLIB_SIM_FETCH(atomicAdd, int, __atomic_fetch_add)
GRADLIB_SIM_FETCH(atomicAdd, unsigned, __atomic_fetch_add)
GRADLIB_SIM_FETCH(atomicAdd, unsigned long long, __atomic_fetch_add)
GRADLIB_SIM_ATOMIC(atomicAdd, float, old + value)
GRADLIB_SIM_ATOMIC(atomicAdd, double, old + value)
GRADLIB_SIM_ATOMIC(atomicAdd, __half, old + value)
GRADLIB_SIM_ATOMIC(atomicAdd, __half2, old + value)
GRADLIB_SIM_ATOMIC(atomicAdd, __nv_bfloat16, old + value)
GRADLIB_SIM_ATOMIC(atomicAdd, __nv_bfloat162, old + value)
GRADLIB_SIM_FETCH(atomicSub, int, __atomic_fetch_sub)
GRADLIB_SIM_FETCH(atomicSub, unsigned, __atomic_fetch_sub)
GRADLIB_SIM_ATOMIC(atomicExch, int, value)
GRADLIB_SIM_ATOMIC(atomicExch, unsigned, value)
GRADLIB_SIM_ATOMIC(atomicExch, unsigned long long, value)
GRADLIB_SIM_ATOMIC(atomicExch, float, value)
GRADLIB_SIM_ATOMIC(atomicMin, int, old < value ? old : value)
GRADLIB_SIM_ATOMIC(atomicMin, unsigned, old < value ? old : value)
GRADLIB_SIM_ATOMIC(atomicMin, long long, old < value ? old : value)
GRADLIB_SIM_ATOMIC(atomicMin, unsigned long long, old < value ? old : value)
GRADLIB_SIM_ATOMIC(atomicMax, int, old > value ? old : value)
GRADLIB_SIM_ATOMIC(atomicMax, unsigned, old > value ? old : value)
GRADLIB_SIM_ATOMIC(atomicMax, long long, old > value ? old : value)
GRADLIB_SIM_ATOMIC(atomicMax, unsigned long long, old > value ? old : value)
GRADLIB_SIM_ATOMIC(atomicInc, unsigned, old >= value ? 0 : old + 1)
GRADLIB_SIM_ATOMIC(atomicDec, unsigned, old == 0 || old > value ? value : old - 1)
#define GRADLIB_SIM_BITWISE(type)                            \
    GRADLIB_SIM_FETCH(atomicAnd, type, __atomic_fetch_and)   \
    GRADLIB_SIM_FETCH(atomicOr, type, __atomic_fetch_or)     \
    GRADLIB_SIM_FETCH(atomicXor, type, __atomic_fetch_xor)
GRADLIB_SIM_BITWISE(int) GRADLIB_SIM_BITWISE(unsigned) GRADLIB_SIM_BITWISE(unsigned long long)

#define GRADLIB_SIM_CAS(type)                                                                                      \
    inline type atomicCAS(type* address, type expected, type value) {                                              \
        __atomic_compare_exchange_n(address, &expected, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);         \
        return expected;                                                                                           \
    }                                                                                                              \
    inline type atomicCAS_block(type* address, type expected, type value) {                                        \
        return atomicCAS(address, expected, value);                                                                \
    }                                                                                                              \
    inline type atomicCAS_system(type* address, type expected, type value) {                                       \
        return atomicCAS(address, expected, value);                                                                \
    }
GRADLIB_SIM_CAS(int) GRADLIB_SIM_CAS(unsigned) GRADLIB_SIM_CAS(unsigned long long) GRADLIB_SIM_CAS(unsigned short)

#undef GRADLIB_SIM_ATOMIC
#undef GRADLIB_SIM_FETCH
#undef GRADLIB_SIM_BITWISE
#undef GRADLIB_SIM_CAS

inline void __threadfence_block() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void __threadfence_system() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
