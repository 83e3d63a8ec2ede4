// The part of CUDA's <cooperative_groups.h> that has a meaning here: blocks, tiles of a warp, the lanes that happen to be
// together, clusters.  A grid has no barrier: its blocks run one after another.
#pragma once
#include "../ptx_interface.h"

namespace cooperative_groups {

struct thread_block {
    static void sync(GRADLIB_SIM_AT) { __syncthreads(file, line); }
    static unsigned thread_rank() { return gradlib_sim_context.linear; }
    static unsigned num_threads() { return gradlib_sim_context.count; }
    static unsigned size() { return num_threads(); }
    static dim3 group_index() { return blockIdx; }
    static dim3 thread_index() { return threadIdx; }
    static dim3 group_dim() { return blockDim; }
    static dim3 dim_threads() { return blockDim; }
};
inline thread_block this_thread_block() { return thread_block(); }

struct grid_group {
    static unsigned long long num_blocks() { return (unsigned long long)gridDim.x * gridDim.y * gridDim.z; }
    static unsigned long long block_rank() {
        return ((unsigned long long)blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    }
    static unsigned long long num_threads() { return num_blocks() * thread_block::num_threads(); }
    static unsigned long long size() { return num_threads(); }
    static unsigned long long thread_rank() {
        return block_rank() * thread_block::num_threads() + thread_block::thread_rank();
    }
    static dim3 block_index() { return blockIdx; }
    static dim3 dim_blocks() { return gridDim; }
    static dim3 group_dim() { return gridDim; }
    static bool is_valid() { return false; }
    __attribute__((error("sim runs the blocks of a grid one after another: they have no barrier"))) static void sync();
};
inline grid_group this_grid() { return grid_group(); }

// Lanes of a warp.
template <unsigned lanes, class Parent = void>
struct thread_block_tile {
    static_assert(lanes >= 1 && lanes <= 32 && (lanes & (lanes - 1)) == 0, "a tile has 1, 2, 4, 8, 16 or 32 threads");
    thread_block_tile() = default;
    template <class Other>
    thread_block_tile(const thread_block_tile<lanes, Other>&) {}
    static constexpr unsigned num_threads() { return lanes; }
    static constexpr unsigned size() { return lanes; }
    static unsigned thread_rank() { return thread_block::thread_rank() % lanes; }
    static unsigned meta_group_rank() { return thread_block::thread_rank() / lanes; }
    static unsigned meta_group_size() { return (thread_block::num_threads() + lanes - 1) / lanes; }
    static unsigned first_lane() { return thread_block::thread_rank() % 32 / lanes * lanes; }
    static unsigned mask() { return 0xffffffffu >> (32 - lanes) << first_lane(); }
    static void sync(GRADLIB_SIM_AT) { __syncwarp(mask(), file, line); }
    template <class V>
    static V shfl(V v, int source, GRADLIB_SIM_AT) { return __shfl_sync(mask(), v, source, lanes, file, line); }
    template <class V>
    static V shfl_up(V v, unsigned by, GRADLIB_SIM_AT) { return __shfl_up_sync(mask(), v, by, lanes, file, line); }
    template <class V>
    static V shfl_down(V v, unsigned by, GRADLIB_SIM_AT) { return __shfl_down_sync(mask(), v, by, lanes, file, line); }
    template <class V>
    static V shfl_xor(V v, unsigned by, GRADLIB_SIM_AT) { return __shfl_xor_sync(mask(), v, by, lanes, file, line); }
    static int any(int v, GRADLIB_SIM_AT) { return __any_sync(mask(), v, file, line); }
    static int all(int v, GRADLIB_SIM_AT) { return __all_sync(mask(), v, file, line); }
    static unsigned ballot(int v, GRADLIB_SIM_AT) { return __ballot_sync(mask(), v, file, line) >> first_lane(); }
    template <class V>
    static unsigned match_any(V v, GRADLIB_SIM_AT) { return __match_any_sync(mask(), v, file, line) >> first_lane(); }
};
template <unsigned lanes, class Parent>
inline thread_block_tile<lanes, Parent> tiled_partition(const Parent&) {
    return thread_block_tile<lanes, Parent>();
}

struct coalesced_group {
    unsigned mask;
    unsigned num_threads() const { return (unsigned)__popc(mask); }
    unsigned size() const { return num_threads(); }
    unsigned thread_rank() const { return (unsigned)__popc(mask & ((1u << thread_block::thread_rank() % 32) - 1)); }
    void sync(GRADLIB_SIM_AT) const { __syncwarp(mask, file, line); }
    template <class V>
    V shfl(V v, unsigned source, GRADLIB_SIM_AT) const {
        return __shfl_sync(mask, v, lane_of(source), 32, file, line);
    }
    int any(int v, GRADLIB_SIM_AT) const { return __any_sync(mask, v, file, line); }
    int all(int v, GRADLIB_SIM_AT) const { return __all_sync(mask, v, file, line); }
    unsigned ballot(int v, GRADLIB_SIM_AT) const {
        unsigned lanes = __ballot_sync(mask, v, file, line), ranks = 0;
        for (unsigned rank = 0; rank < size(); ++rank) ranks |= (lanes >> lane_of(rank) & 1) << rank;
        return ranks;
    }
    int lane_of(unsigned rank) const {
        unsigned left = mask;
        while (rank--) left &= left - 1;
        return __ffs((int)left) - 1;
    }
};
inline coalesced_group coalesced_threads(GRADLIB_SIM_AT) { return {__activemask(file, line)}; }

struct cluster_group {
    static void sync(GRADLIB_SIM_AT) {
        gradlib_sim_cluster_arrive(true, GRADLIB_SIM_SITE("barrier.cluster.arrive"));
        gradlib_sim_cluster_wait(GRADLIB_SIM_SITE("barrier.cluster.wait"));
    }
    static unsigned block_rank() { return gradlib_sim_cluster_rank(); }
    static unsigned num_blocks() { return gradlib_sim_cluster_size(); }
    template <class V>
    static V* map_shared_rank(V* shared, unsigned rank, GRADLIB_SIM_AT) {
        return static_cast<V*>(gradlib_sim_cluster_map((const void*)shared, rank, GRADLIB_SIM_SITE("map_shared_rank")));
    }
};
inline cluster_group this_cluster() { return cluster_group(); }

template <class Group>
inline void sync(const Group& group, GRADLIB_SIM_AT) { group.sync(file, line); }

}  // namespace cooperative_groups
