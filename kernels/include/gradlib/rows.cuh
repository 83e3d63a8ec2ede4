// Rows of a matrix, each taken by a group of threads: the blockDim.x threads of one threadIdx.y, full warps.
#pragma once

#include "gradlib/pack.cuh"
#include "gradlib/ptx.cuh"
#include "gradlib/reduce.cuh"

constexpr int MOST_GROUPS = 8;    // of a block, each with a barrier of its own
constexpr int MOST_WARPS = 32;    // of a block

// Combines `v` over the threads of the group and gives every one of them the result.  `shared` holds MOST_WARPS values
// and may be reused by the next call.  F::combine must be commutative to the bit.
template <class F, class V> GRADLIB_DEVICE V group_reduce(V v, V* shared) {
#pragma unroll
  for (int mask = 16; mask > 0; mask >>= 1) v = F::combine(v, shuffle_xor(v, mask));
  if (blockDim.x > 32) {
    const int warps = blockDim.x / 32, barrier = threadIdx.y + 1;
    shared += threadIdx.y * warps;
    ptx::bar_sync(barrier, blockDim.x);  // the readers of an earlier call are done
    if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = v;
    ptx::bar_sync(barrier, blockDim.x);
    v = shared[0];
    for (int warp = 1; warp < warps; ++warp) v = F::combine(v, shared[warp]);
  }
  return v;
}

// A thread's share of a row: packs of N neighbours, the group's threads side by side.  With COUNT > 0 they are read
// once and stay in registers; with 0, for rows of any width, they are read anew by each walk.
template <class E, int COUNT> struct Row {
  static constexpr int N = PACK<E>, AHEAD = 4;
  const E* at;
  int columns;
  bool wide;
  acc_t<E> held[COUNT == 0 ? 1 : COUNT][N];

  GRADLIB_DEVICE static int place(int u) { return (u * (int)blockDim.x + (int)threadIdx.x) * N; }
  GRADLIB_DEVICE int have(int i) const { return larger(smaller(columns - i, N), 0); }

  GRADLIB_DEVICE Row(const E* row, int length) : at(row), columns(length), wide(aligned_pack<N>(row)) {
#pragma unroll
    for (int u = 0; u < COUNT; ++u) load_pack<N>(at, place(u), have(place(u)), wide && have(place(u)) == N, held[u]);
  }

  // f(u, first element, how many, values) for each pack of this thread.
  template <class F> GRADLIB_DEVICE void each(const F& f) {
    if (COUNT > 0) {
#pragma unroll
      for (int u = 0; u < COUNT; ++u) f(u, place(u), have(place(u)), held[u]);
    } else {
      const int step = (int)blockDim.x * N;
      for (int first = place(0); first < columns; first += AHEAD * step) {
        acc_t<E> v[AHEAD][N];
#pragma unroll
        for (int u = 0; u < AHEAD; ++u) {  // several packs on their way at once
          const int i = first + u * step;
          load_pack<N>(at, i, have(i), wide && have(i) == N, v[u]);
        }
#pragma unroll
        for (int u = 0; u < AHEAD; ++u) {
          const int i = first + u * step;
          if (i < columns) f(0, i, have(i), v[u]);
        }
      }
    }
  }
};
