// The one main loop of every matrix product: C(m, n) = sum over k of A(m, k) B(k, n), one BM x BN tile a block.
//
// A and B are loader functors, so that a transposed matrix, the patches of an image or a product with an activation's
// derivative are read in place, never copied first.  A loader tells the "outer" index (m for A, n for B) from k:
//     static constexpr bool k_fast;      whether neighbours in k (else in the outer index) are neighbours in memory
//     struct Outer; Outer outer(int i);  what is worth computing once per row of A or column of B
//     struct Inner; Inner inner(int k);  what is worth computing once per k
//     A load(Outer, Inner);              the element, as accumulator; called for indices inside the matrix only
// The result leaves through store(row, column, value).  Each element is summed by one thread in the order of k: the
// same inputs give the same bits.
#pragma once

#include "gradlib/core.cuh"

#ifndef BM  // rows of C a block computes
#define BM 64
#endif
#ifndef BN  // columns
#define BN 64
#endif
#ifndef BK  // depth of a stage in shared memory
#define BK 16
#endif
#ifndef TM  // rows of C a thread keeps in registers
#define TM 4
#endif
#ifndef TN  // columns
#define TN 4
#endif

namespace gemm {

constexpr int THREADS = (BM / TM) * (BN / TN);

// Blocks of one multiprocessor to leave registers for: left to itself ptxas spills a few to fit one block more.
// Kernels say __launch_bounds__(gemm::THREADS, gemm::RESIDENT<T>).
template <class E> constexpr int RESIDENT = TM * TN * sizeof(acc_t<E>) <= 64 ? 2 : 1;

GRADLIB_DEVICE constexpr int least(int a, int b) { return a < b ? a : b; }

// Moves the BK x EXTENT slab of one operand from global memory through registers into shared memory.  Threads lie side
// by side along the axis that is contiguous in memory; LANES of them cover it, the other STEP rows of threads the rest.
template <class A, class Loader, int EXTENT> struct Slab {
  static constexpr bool K_FAST = Loader::k_fast;
  static constexpr int LANES = K_FAST ? BK : least(EXTENT, THREADS);
  static constexpr int STEP = THREADS / LANES;
  static constexpr int OUTERS = K_FAST ? EXTENT / STEP : EXTENT / LANES;
  static constexpr int INNERS = K_FAST ? 1 : BK / STEP;
  static constexpr int PITCH = EXTENT + 4;  // 4 keeps 16-byte alignment and spreads a column over the banks
  static_assert(THREADS % LANES == 0, "threads must tile the slab's fast axis");
  static_assert(OUTERS >= 1 && INNERS >= 1, "more threads than elements in a slab");
  static_assert(K_FAST ? EXTENT % STEP == 0 : EXTENT % LANES == 0 && BK % STEP == 0, "threads must tile the slab");

  const Loader& loader;
  int first, limit;
  typename Loader::Outer state[OUTERS];
  A held[OUTERS * INNERS];

  GRADLIB_DEVICE int outer_of(int i) const {
    return K_FAST ? threadIdx.x / LANES + i * STEP : threadIdx.x % LANES + i * LANES;
  }
  GRADLIB_DEVICE int inner_of(int j) const { return K_FAST ? threadIdx.x % LANES : threadIdx.x / LANES + j * STEP; }

  GRADLIB_DEVICE Slab(const Loader& from, int first_outer, int outer_limit)
      : loader(from), first(first_outer), limit(outer_limit) {
#pragma unroll
    for (int i = 0; i < OUTERS; i++) state[i] = loader.outer(least(first + outer_of(i), limit - 1));
  }

  GRADLIB_DEVICE void fetch(int k0, int k_end) {
#pragma unroll
    for (int j = 0; j < INNERS; j++) {
      int k = k0 + inner_of(j);
      typename Loader::Inner inner = loader.inner(k);
#pragma unroll
      for (int i = 0; i < OUTERS; i++)
        held[j * OUTERS + i] = k < k_end && first + outer_of(i) < limit ? loader.load(state[i], inner) : A(0);
    }
  }

  GRADLIB_DEVICE void put(A* tile) const {
#pragma unroll
    for (int j = 0; j < INNERS; j++)
#pragma unroll
      for (int i = 0; i < OUTERS; i++) tile[inner_of(j) * PITCH + outer_of(i)] = held[j * OUTERS + i];
  }
};

// Thread t's i-th index of a tile's edge: runs of up to 16 bytes, so that shared memory is read in vectors.
template <class A, int COUNT, int EXTENT> GRADLIB_DEVICE int spread(int t, int i) {
  constexpr int RUN = least(COUNT, 16 / int(sizeof(A)));
  static_assert(COUNT % RUN == 0, "TM and TN must be whole runs");
  return i / RUN * (EXTENT / COUNT * RUN) + t * RUN + i % RUN;
}

// Computes the tile whose first row and column are m0 and n0, summing k over [k_begin, k_end).
template <class A, class LoadA, class LoadB, class Store>
GRADLIB_DEVICE void tile(int m, int n, int k_begin, int k_end, int m0, int n0, const LoadA& a, const LoadB& b,
                         const Store& store) {
  using SlabA = Slab<A, LoadA, BM>;
  using SlabB = Slab<A, LoadB, BN>;
  // Two stages each: while one is multiplied the other is filled, and one barrier a stage is enough.
  __shared__ __align__(16) A a_stages[2 * BK * SlabA::PITCH];
  __shared__ __align__(16) A b_stages[2 * BK * SlabB::PITCH];

  SlabA slab_a(a, m0, m);
  SlabB slab_b(b, n0, n);
  const int ty = threadIdx.x / (BN / TN), tx = threadIdx.x % (BN / TN);
  A sum[TM][TN] = {};

  slab_a.fetch(k_begin, k_end);
  slab_b.fetch(k_begin, k_end);
  int stage = 0;
  for (int k0 = k_begin; k0 < k_end; k0 += BK, stage ^= 1) {
    A* a_tile = a_stages + stage * BK * SlabA::PITCH;
    A* b_tile = b_stages + stage * BK * SlabB::PITCH;
    slab_a.put(a_tile);
    slab_b.put(b_tile);
    __syncthreads();
    if (k0 + BK < k_end) {  // the next slabs travel while this one is multiplied
      slab_a.fetch(k0 + BK, k_end);
      slab_b.fetch(k0 + BK, k_end);
    }
#pragma unroll
    for (int kk = 0; kk < BK; kk++) {
      A x[TM], y[TN];
#pragma unroll
      for (int i = 0; i < TM; i++) x[i] = a_tile[kk * SlabA::PITCH + spread<A, TM, BM>(ty, i)];
#pragma unroll
      for (int j = 0; j < TN; j++) y[j] = b_tile[kk * SlabB::PITCH + spread<A, TN, BN>(tx, j)];
#pragma unroll
      for (int i = 0; i < TM; i++)
#pragma unroll
        for (int j = 0; j < TN; j++) sum[i][j] = mul_add<A>(x[i], y[j], sum[i][j]);
    }
  }
#pragma unroll
  for (int i = 0; i < TM; i++) {
    int row = m0 + spread<A, TM, BM>(ty, i);
#pragma unroll
    for (int j = 0; j < TN; j++) {
      int column = n0 + spread<A, TN, BN>(tx, j);
      if (row < m && column < n) store(row, column, sum[i][j]);
    }
  }
}

// The whole product: blockIdx.x counts tiles, columns first, so that blocks in flight share rows of A.
template <class A, class LoadA, class LoadB, class Store>
GRADLIB_DEVICE void product(int m, int n, int k_begin, int k_end, const LoadA& a, const LoadB& b, const Store& store) {
  const int across = ceil_div(n, BN);
  tile<A>(m, n, k_begin, k_end, blockIdx.x / across * BM, blockIdx.x % across * BN, a, b, store);
}

// A matrix in memory: element (i, k) stands at p[i * outer_stride + k * k_stride].
template <class E, bool K_FAST> struct Matrix {
  static constexpr bool k_fast = K_FAST;
  using Outer = long long;
  using Inner = long long;
  const E* p;
  long long outer_stride, k_stride;
  GRADLIB_DEVICE Outer outer(int i) const { return i * outer_stride; }
  GRADLIB_DEVICE Inner inner(int k) const { return k * k_stride; }
  GRADLIB_DEVICE acc_t<E> load(Outer i, Inner k) const { return to_acc(p[i + k]); }
};

}  // namespace gemm
