// The basics of cooperative groups, which NVRTC cannot include without CUDA's own headers: blocks, tiles of a warp,
// clusters, and the lanes that happen to be together.  Compiles with NVRTC and on the sim device.
#pragma once

#include "gradlib/ptx.cuh"

namespace groups {

// The threads of the block.
struct Block {
  GRADLIB_DEVICE unsigned size() const { return blockDim.x * blockDim.y * blockDim.z; }
  GRADLIB_DEVICE unsigned thread_rank() const {
    return (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  }
  GRADLIB_DEVICE void sync() const { __syncthreads(); }
};
GRADLIB_DEVICE Block this_block() { return Block(); }

// `lanes` threads of a warp that follow each other: a power of two up to 32.
template <int lanes> struct Tile {
  static_assert(lanes >= 1 && lanes <= 32 && (lanes & (lanes - 1)) == 0, "a tile has 1, 2, 4, 8, 16 or 32 lanes");
  GRADLIB_DEVICE static constexpr unsigned size() { return lanes; }
  GRADLIB_DEVICE unsigned thread_rank() const { return this_block().thread_rank() % lanes; }
  GRADLIB_DEVICE unsigned meta_group_rank() const { return this_block().thread_rank() / lanes; }
  GRADLIB_DEVICE unsigned mask() const {
    const unsigned all = 0xffffffffu >> (32 - lanes);
    return all << (this_block().thread_rank() % 32 / lanes * lanes);
  }
  GRADLIB_DEVICE void sync() const { __syncwarp(mask()); }
  template <class Value> GRADLIB_DEVICE Value shfl(Value v, int source) const {
    return __shfl_sync(mask(), v, source, lanes);
  }
  template <class Value> GRADLIB_DEVICE Value shfl_xor(Value v, int other) const {
    return __shfl_xor_sync(mask(), v, other, lanes);
  }
  template <class Value> GRADLIB_DEVICE Value shfl_down(Value v, unsigned delta) const {
    return __shfl_down_sync(mask(), v, delta, lanes);
  }
  template <class Value> GRADLIB_DEVICE Value shfl_up(Value v, unsigned delta) const {
    return __shfl_up_sync(mask(), v, delta, lanes);
  }
  GRADLIB_DEVICE bool any(bool v) const { return __any_sync(mask(), v); }
  GRADLIB_DEVICE bool all(bool v) const { return __all_sync(mask(), v); }
  // Bit i is that of rank i.
  GRADLIB_DEVICE unsigned ballot(bool v) const {
    return __ballot_sync(mask(), v) >> (this_block().thread_rank() % 32 / lanes * lanes);
  }
  // The same in every lane, whichever order `join` is given its operands in (it must be commutative).
  template <class Value, class Join> GRADLIB_DEVICE Value reduce(Value v, Join join) const {
#pragma unroll
    for (int step = lanes / 2; step > 0; step /= 2) v = join(v, shfl_xor(v, step));
    return v;
  }
};
template <int lanes> GRADLIB_DEVICE Tile<lanes> tile() { return Tile<lanes>(); }

// The lanes of the warp that call this together.
struct Coalesced {
  unsigned mask;
  GRADLIB_DEVICE unsigned size() const { return __popc(mask); }
  GRADLIB_DEVICE unsigned thread_rank() const {
    return __popc(mask & ((1u << (this_block().thread_rank() % 32)) - 1));
  }
  GRADLIB_DEVICE void sync() const { __syncwarp(mask); }
  template <class Value> GRADLIB_DEVICE Value broadcast(Value v) const {  // of rank 0
    return __shfl_sync(mask, v, __ffs(mask) - 1);
  }
};
GRADLIB_DEVICE Coalesced coalesced_threads() { return Coalesced{__activemask()}; }

#if defined(GRADLIB_SIM) || __CUDA_ARCH__ >= 900
// The blocks of the cluster.
struct ClusterGroup {
  GRADLIB_DEVICE unsigned block_rank() const { return ptx::cluster_rank(); }
  GRADLIB_DEVICE unsigned num_blocks() const { return ptx::cluster_size(); }
  GRADLIB_DEVICE void sync() const { ptx::cluster_sync(); }
  template <class Value> GRADLIB_DEVICE Value* map_shared_rank(Value* shared, unsigned rank) const {
    return ptx::mapa(shared, rank);
  }
};
GRADLIB_DEVICE ClusterGroup this_cluster() { return ClusterGroup(); }
#endif

}  // namespace groups
