// Reductions over the threads of a row (warp or block) and over the rows of a column tile.  All orders are fixed:
// the same launch gives the same bits.
#pragma once

#include "gradlib/core.cuh"

template <class V> GRADLIB_DEVICE V shuffle_xor(V v, int mask) { return V(__shfl_xor_sync(0xffffffffu, v, mask)); }

// Sums and products; integers wrap as NumPy's do (mul_add is free of signed overflow).
template <class A> GRADLIB_DEVICE A add(A a, A b) { return mul_add(A(1), b, a); }
template <class A> GRADLIB_DEVICE A multiply(A a, A b) { return mul_add(a, b, A(0)); }
template <> GRADLIB_DEVICE float multiply<float>(float a, float b) { return a * b; }
template <> GRADLIB_DEVICE double multiply<double>(double a, double b) { return a * b; }

struct Add {
  template <class A> static GRADLIB_DEVICE A combine(A a, A b) { return add(a, b); }
};

struct Greatest {  // NaN wins, as in NumPy
  template <class A> static GRADLIB_DEVICE A combine(A a, A b) { return a > b || a != a ? a : b; }
};

// Combines `v` over the threads that share a row and gives every one of them the result.  They are a warp if blockDim.x
// is 32 (any number of rows in blockDim.y), else a whole block of full warps (blockDim.y == 1).  `shared` holds 32 values
// and may be reused by the next call.  F::combine must be commutative to the bit.
template <class F, class V> GRADLIB_DEVICE V row_reduce(V v, V* shared) {
#pragma unroll
  for (int mask = 16; mask > 0; mask >>= 1) v = F::combine(v, shuffle_xor(v, mask));
  if (blockDim.x > 32) {
    __syncthreads();  // the readers of an earlier call are done
    if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = v;
    __syncthreads();
    v = shared[0];
    for (int warp = 1; warp < blockDim.x / 32; ++warp) v = F::combine(v, shared[warp]);
  }
  return v;
}

// Combines `v` over threadIdx.y, for each threadIdx.x; the result is right where threadIdx.y == 0.  blockDim.y is a
// power of two; `shared` holds blockDim.x * blockDim.y values.
template <class F, class V> GRADLIB_DEVICE V column_reduce(V v, V* shared) {
  int mine = threadIdx.y * blockDim.x + threadIdx.x;
  for (int half = blockDim.y / 2; half > 0; half >>= 1) {
    __syncthreads();
    shared[mine] = v;
    __syncthreads();
    if (threadIdx.y < half) v = F::combine(v, shared[mine + half * blockDim.x]);
  }
  return v;
}

// Folds get(begin), get(begin + step), ... (indices below end).  Four independent chains keep several loads in flight;
// each chain is flushed every 16 terms, so that no float32 sum is a long serial one.
template <class F, class V, class Get>
GRADLIB_DEVICE V fold(const Get& get, V identity, long long begin, long long end, long long step) {
  V total = identity, chain[4] = {identity, identity, identity, identity};
  int depth = 0;
  long long i = begin;
  for (; i + 3 * step < end; i += 4 * step) {
#pragma unroll
    for (int u = 0; u < 4; ++u) chain[u] = F::combine(chain[u], get(i + u * step));
    if (++depth == 16) {
      total = F::combine(total, F::combine(F::combine(chain[0], chain[1]), F::combine(chain[2], chain[3])));
      chain[0] = chain[1] = chain[2] = chain[3] = identity;
      depth = 0;
    }
  }
  for (; i < end; i += step) total = F::combine(total, get(i));
  return F::combine(total, F::combine(F::combine(chain[0], chain[1]), F::combine(chain[2], chain[3])));
}
