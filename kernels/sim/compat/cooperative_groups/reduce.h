// What <cooperative_groups/reduce.h> does for the lanes of a warp, with an operation that is associative and commutative.
#pragma once
#include "../cooperative_groups.h"

namespace cooperative_groups {

template <class V> struct plus { V operator()(V a, V b) const { return a + b; } };
template <class V> struct less { V operator()(V a, V b) const { return a < b ? a : b; } };
template <class V> struct greater { V operator()(V a, V b) const { return a < b ? b : a; } };
template <class V> struct bit_and { V operator()(V a, V b) const { return a & b; } };
template <class V> struct bit_or { V operator()(V a, V b) const { return a | b; } };
template <class V> struct bit_xor { V operator()(V a, V b) const { return a ^ b; } };

template <unsigned lanes, class Parent, class V, class Join>
inline V reduce(const thread_block_tile<lanes, Parent>& tile, V v, Join join, GRADLIB_SIM_AT) {
    for (unsigned step = lanes / 2; step > 0; step /= 2) v = join(v, tile.shfl_xor(v, step, file, line));
    return v;
}
template <class V, class Join>
inline V reduce(const coalesced_group& group, V v, Join join, GRADLIB_SIM_AT) {
    V total = group.shfl(v, 0, file, line);
    for (unsigned rank = 1; rank < group.size(); ++rank) total = join(total, group.shfl(v, rank, file, line));
    return total;
}

}  // namespace cooperative_groups
