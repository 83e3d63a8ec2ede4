// Optimizer steps over all tensors of a group in one launch.
//
// The tensors stand in a table in device memory (gradlib/kernel/table.py): a line each, of their size and the addresses
// of the parameter, its states, its scalars (float64, one element each) and its gradient.  They are cut into chunks of
// `share` elements; chunk c is chunk chunks[2 c + 1] of tensor chunks[2 c].  block (256), grid any: blocks take the
// chunks in turn.
//
// `lr` (float64) and `step` (int64, 1 at the first update) lie in device memory, so that a captured graph replays with
// their values of the day; what depends on them alone is computed once a block, in double, by its first thread.
// T is the type of parameter and gradient, STATE that of the states.
#pragma once

#include "gradlib/pack.cuh"

#ifndef T
#define T float
#endif
#ifndef STATE
#define STATE T
#endif

using A = acc_t<T>;

using Word = unsigned long long;  // of the table

// A tensor of the table with so many states and scalars.
template <int STATES, int SCALARS> struct Line {
  static constexpr int WORDS = 3 + STATES + SCALARS;
  const Word* at;
  GRADLIB_DEVICE Line(const Word* table, int tensor) : at(table + (long long)tensor * WORDS) {}
  GRADLIB_DEVICE long long size() const { return (long long)at[0]; }
  GRADLIB_DEVICE T* param() const { return (T*)at[1]; }
  GRADLIB_DEVICE STATE* state(int k) const { return (STATE*)at[2 + k]; }
  GRADLIB_DEVICE double* scalar(int k) const { return (double*)at[2 + STATES + k]; }
  GRADLIB_DEVICE const T* grad() const { return (const T*)at[2 + STATES + SCALARS]; }
};

// Calls rule(p, g, s) for the elements [begin, end) of a tensor: p the parameter, g the gradient, s the states,
// overwritten in place (p without being read, unless READS).  A state whose address is null is absent: 0 when it is
// read.
//
// Each thread takes packs of 16 bytes, PACKS at a time, all loaded before any is stored.
template <bool READS = true, class P, class G, int STATES, int SCALARS, class Rule>
GRADLIB_DEVICE void update_range(P* param, const G* grad, const Line<STATES, SCALARS>& line, long long begin,
                                 long long end, const Rule& rule) {
  constexpr int N = PACK<T>, PACKS = 8 / N;
  STATE* state[STATES == 0 ? 1 : STATES];
  bool wide = aligned_pack<N>(param) && aligned_pack<N>(grad);
#pragma unroll
  for (int k = 0; k < STATES; ++k) {
    state[k] = line.state(k);
    wide = wide && aligned_pack<N>(state[k]);
  }
  const int stride = (int)blockDim.x * N;
  for (long long first = begin + (int)threadIdx.x * N; first < end; first += PACKS * stride) {
    A p[PACKS][N], g[PACKS][N], s[STATES == 0 ? 1 : STATES][PACKS][N];
#pragma unroll
    for (int u = 0; u < PACKS; ++u) {
      const long long i = first + u * stride;
      const int count = (int)larger(smaller(end - i, (long long)N), 0ll);
      const bool whole = wide && count == N;
      load_pack<N>(param, i, READS ? count : 0, READS && whole, p[u]);
      load_pack<N>(grad, i, count, whole, g[u]);
#pragma unroll
      for (int k = 0; k < STATES; ++k) load_pack<N>(state[k], i, state[k] ? count : 0, state[k] && whole, s[k][u]);
    }
#pragma unroll
    for (int u = 0; u < PACKS; ++u) {
      const long long i = first + u * stride;
      const int count = (int)larger(smaller(end - i, (long long)N), 0ll);
      const bool whole = wide && count == N;
#pragma unroll
      for (int e = 0; e < N; ++e) {
        A one[STATES == 0 ? 1 : STATES];
#pragma unroll
        for (int k = 0; k < STATES; ++k) one[k] = s[k][u][e];
        rule(p[u][e], g[u][e], one);
#pragma unroll
        for (int k = 0; k < STATES; ++k) s[k][u][e] = one[k];
      }
      store_pack<N>(param, i, count, whole, p[u]);
#pragma unroll
      for (int k = 0; k < STATES; ++k) store_pack<N>(state[k], i, state[k] ? count : 0, state[k] && whole, s[k][u]);
    }
  }
}

template <int STATES, int SCALARS, class Rule>
GRADLIB_DEVICE void update_chunk(const Line<STATES, SCALARS>& line, long long chunk, long long share,
                                 const Rule& rule) {
  const long long end = smaller((chunk + 1) * share, line.size());
  update_range(line.param(), line.grad(), line, chunk * share, end, rule);
}

// All chunks of this block, with make(line, chunk), which gives the rule for a tensor's elements.
template <int STATES, int SCALARS, class Make>
GRADLIB_DEVICE void update_tensors(const Word* table, const int* chunks, int count, long long share, const Make& make) {
  for (int c = blockIdx.x; c < count; c += gridDim.x) {
    const Line<STATES, SCALARS> line(table, chunks[2 * c]);
    update_chunk(line, chunks[2 * c + 1], share, make(line, c));
  }
}

// The same with one rule for all tensors.
template <int STATES, class Rule>
GRADLIB_DEVICE void update_all(const Word* table, const int* chunks, int count, long long share, const Rule& rule) {
  update_tensors<STATES, 0>(table, chunks, count, share, [&](const Line<STATES, 0>&, int) { return rule; });
}

// What a block's first thread computes in double, into shared memory, for all of its threads.
template <class Compute> GRADLIB_DEVICE void once_a_block(const Compute& compute) {
  if (threadIdx.x == 0) compute();
  __syncthreads();
}

// Whether this is the last block to come here: then all others have read what it now overwrites.  `done` is 0 before
// the launch and after it.
GRADLIB_DEVICE bool last_block(unsigned int* done) {
  __shared__ bool last;
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();
    last = atomicAdd(done, 1u) == gridDim.x - 1;
    __threadfence();
    if (last) atomicExch(done, 0u);
  }
  __syncthreads();
  return last;
}
