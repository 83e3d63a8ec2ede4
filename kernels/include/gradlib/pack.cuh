// Four neighbouring elements a thread, in 16-byte accesses where the addresses allow them.
#pragma once

#include "gradlib/core.cuh"

template <class E, int N> struct alignas(sizeof(E) * N < 16 ? sizeof(E) * N : 16) Pack {
  E at[N];
};

// Whether a Pack of four E may be read at `p` (null pointers stand for absent arrays and are never read).
template <class E> GRADLIB_DEVICE bool aligned4(const E* p) {
  return ((unsigned long long)p & (alignof(Pack<E, 4>) - 1)) == 0;
}

// out[k] = x[i + k] for k < count <= 4; the rest of `out` becomes 0.  `whole` allows the one wide access.
template <class E>
GRADLIB_DEVICE void load4(const E* x, long long i, int count, bool whole, acc_t<E> (&out)[4]) {
  if (whole) {
    Pack<E, 4> pack = *(const Pack<E, 4>*)(x + i);
#pragma unroll
    for (int k = 0; k < 4; ++k) out[k] = to_acc(pack.at[k]);
  } else {
#pragma unroll
    for (int k = 0; k < 4; ++k) out[k] = k < count ? to_acc(x[i + k]) : acc_t<E>(0);
  }
}

template <class E>
GRADLIB_DEVICE void store4(E* y, long long i, int count, bool whole, const acc_t<E> (&in)[4]) {
  if (whole) {
    Pack<E, 4> pack;
#pragma unroll
    for (int k = 0; k < 4; ++k) pack.at[k] = from_acc<E>(in[k]);
    *(Pack<E, 4>*)(y + i) = pack;
  } else {
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      if (k < count) y[i + k] = from_acc<E>(in[k]);
    }
  }
}
