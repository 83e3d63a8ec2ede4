// Barriers of the block, and the collectives of a warp: shuffles, votes, match, reduce.
#pragma once

// The default arguments are evaluated at the call, so that a wait without end is reported with the caller's line.
#define GRADLIB_SIM_AT const char *file = __builtin_FILE(), int line = __builtin_LINE()
#define GRADLIB_SIM_SITE(name) (::gradlib_sim::Site{name, file, line})

inline void __syncthreads(GRADLIB_SIM_AT) {
    gradlib_sim_barrier(gradlib_sim::barrier_plain, 0, GRADLIB_SIM_SITE("__syncthreads()"));
}
inline int __syncthreads_count(int predicate, GRADLIB_SIM_AT) {
    return gradlib_sim_barrier(gradlib_sim::barrier_count, predicate, GRADLIB_SIM_SITE("__syncthreads_count()"));
}
inline int __syncthreads_and(int predicate, GRADLIB_SIM_AT) {
    return gradlib_sim_barrier(gradlib_sim::barrier_and, predicate, GRADLIB_SIM_SITE("__syncthreads_and()"));
}
inline int __syncthreads_or(int predicate, GRADLIB_SIM_AT) {
    return gradlib_sim_barrier(gradlib_sim::barrier_or, predicate, GRADLIB_SIM_SITE("__syncthreads_or()"));
}

namespace gradlib_sim {

inline int lane() { return (int)(gradlib_sim_context.linear % 32); }

template <class V>
inline V shuffle(unsigned mask, V value, int source, const Site& site) {
    static_assert(sizeof(V) <= 8, "a shuffle takes values of 2, 4 or 8 bytes");
    unsigned long long bits = 0;
    __builtin_memcpy(&bits, &value, sizeof(V));
    bits = gradlib_sim_collective(collective_shuffle, mask, bits, source, site);
    __builtin_memcpy(&value, &bits, sizeof(V));
    return value;
}

template <class V>
struct ShuffleType {
    static_assert(is_integer<V> || one_of<V, float, double, __half, __half2, __nv_bfloat16, __nv_bfloat162>,
                  "a shuffle takes integers, float, double and the 16-bit types; shuffle a vector by its elements");
    typedef V type;
};
#define GRADLIB_SIM_WIDEN(narrow) \
    template <>                   \
    struct ShuffleType<narrow> { typedef int type; };
GRADLIB_SIM_WIDEN(bool) GRADLIB_SIM_WIDEN(char) GRADLIB_SIM_WIDEN(signed char) GRADLIB_SIM_WIDEN(unsigned char)
GRADLIB_SIM_WIDEN(short) GRADLIB_SIM_WIDEN(unsigned short)
#undef GRADLIB_SIM_WIDEN

}  // namespace gradlib_sim

// The source lane j as PTX defines it for shfl.sync; where it is out of reach, the caller's own value is returned.
#define GRADLIB_SIM_SHUFFLE(name, argument, lane_of, out_of_reach)                                                 \
    template <class V>                                                                                             \
    inline typename gradlib_sim::ShuffleType<V>::type name(unsigned mask, V value, argument, int width = 32,       \
                                                           GRADLIB_SIM_AT) {                                       \
        int lane = gradlib_sim::lane(), first = lane & ~(width - 1), last = first + width - 1;                     \
        int j = lane_of;                                                                                           \
        (void)last;                                                                                                \
        typedef typename gradlib_sim::ShuffleType<V>::type R;                                                      \
        return gradlib_sim::shuffle(mask, (R)value, (out_of_reach) ? lane : j, GRADLIB_SIM_SITE(#name "()"));      \
    }
GRADLIB_SIM_SHUFFLE(__shfl_sync, int source, first | (source & (width - 1)), false)
GRADLIB_SIM_SHUFFLE(__shfl_up_sync, unsigned delta, lane - (int)(delta & 31), j < first)
GRADLIB_SIM_SHUFFLE(__shfl_down_sync, unsigned delta, lane + (int)(delta & 31), j > last)
GRADLIB_SIM_SHUFFLE(__shfl_xor_sync, int lane_mask, lane ^ (lane_mask & 31), j > last)
#undef GRADLIB_SIM_SHUFFLE

inline void __syncwarp(unsigned mask = 0xffffffff, GRADLIB_SIM_AT) {
    gradlib_sim_collective(gradlib_sim::collective_sync, mask, 0, 0, GRADLIB_SIM_SITE("__syncwarp()"));
}
inline unsigned __activemask(GRADLIB_SIM_AT) { return gradlib_sim_active(GRADLIB_SIM_SITE("__activemask()")); }

namespace gradlib_sim {

// The lanes of the mask that voted yes, and those that voted no.
struct Votes {
    unsigned yes, no;
};
inline Votes votes(unsigned mask, int predicate, const Site& site) {
    unsigned long long both = gradlib_sim_collective(collective_ballot, mask, predicate != 0, 0, site);
    return Votes{(unsigned)both, (unsigned)(both >> 32)};
}

template <class V>
inline unsigned long long match_key(V value) {
    static_assert(sizeof(V) == 4 || sizeof(V) == 8, "match takes values of 4 or 8 bytes");
    unsigned long long bits = 0;
    __builtin_memcpy(&bits, &value, sizeof(V));
    return bits;
}

}  // namespace gradlib_sim

inline unsigned __ballot_sync(unsigned mask, int predicate, GRADLIB_SIM_AT) {
    return gradlib_sim::votes(mask, predicate, GRADLIB_SIM_SITE("__ballot_sync()")).yes;
}
inline int __any_sync(unsigned mask, int predicate, GRADLIB_SIM_AT) {
    return gradlib_sim::votes(mask, predicate, GRADLIB_SIM_SITE("__any_sync()")).yes != 0;
}
inline int __all_sync(unsigned mask, int predicate, GRADLIB_SIM_AT) {
    return gradlib_sim::votes(mask, predicate, GRADLIB_SIM_SITE("__all_sync()")).no == 0;
}
inline int __uni_sync(unsigned mask, int predicate, GRADLIB_SIM_AT) {
    gradlib_sim::Votes votes = gradlib_sim::votes(mask, predicate, GRADLIB_SIM_SITE("__uni_sync()"));
    return votes.yes == 0 || votes.no == 0;
}
template <class V>
inline unsigned __match_any_sync(unsigned mask, V value, GRADLIB_SIM_AT) {
    return (unsigned)gradlib_sim_collective(gradlib_sim::collective_match_any, mask, gradlib_sim::match_key(value), 0,
                                            GRADLIB_SIM_SITE("__match_any_sync()"));
}
template <class V>
inline unsigned __match_all_sync(unsigned mask, V value, int* all, GRADLIB_SIM_AT) {
    unsigned lanes = (unsigned)gradlib_sim_collective(gradlib_sim::collective_match_all, mask,
                                                      gradlib_sim::match_key(value), 0,
                                                      GRADLIB_SIM_SITE("__match_all_sync()"));
    *all = lanes != 0;
    return lanes;
}

#define GRADLIB_SIM_REDUCE(name, type, kind)                                                                       \
    inline type name(unsigned mask, type value, GRADLIB_SIM_AT) {                                                  \
        return (type)gradlib_sim_collective(gradlib_sim::kind, mask, (unsigned)value, 0,                           \
                                            GRADLIB_SIM_SITE(#name "()"));                                         \
    }
GRADLIB_SIM_REDUCE(__reduce_add_sync, int, collective_add)
GRADLIB_SIM_REDUCE(__reduce_add_sync, unsigned, collective_add)
GRADLIB_SIM_REDUCE(__reduce_min_sync, int, collective_min_signed)
GRADLIB_SIM_REDUCE(__reduce_min_sync, unsigned, collective_min_unsigned)
GRADLIB_SIM_REDUCE(__reduce_max_sync, int, collective_max_signed)
GRADLIB_SIM_REDUCE(__reduce_max_sync, unsigned, collective_max_unsigned)
GRADLIB_SIM_REDUCE(__reduce_and_sync, unsigned, collective_and)
GRADLIB_SIM_REDUCE(__reduce_or_sync, unsigned, collective_or)
GRADLIB_SIM_REDUCE(__reduce_xor_sync, unsigned, collective_xor)
#undef GRADLIB_SIM_REDUCE
