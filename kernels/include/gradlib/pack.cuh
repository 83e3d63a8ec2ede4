// Neighbouring elements a thread, in 16-byte accesses where the addresses allow them.
#pragma once

#include "gradlib/core.cuh"

template <class E, int N> struct alignas(sizeof(E) * N < 16 ? sizeof(E) * N : 16) Pack {
  E at[N];
};

// How many E are 16 bytes.
template <class E> constexpr int PACK = 16 / sizeof(E);

// Whether a Pack of N may be read at `p` (null pointers stand for absent arrays and are never read).
template <int N, class E> GRADLIB_DEVICE bool aligned_pack(const E* p) {
  return ((unsigned long long)p & (alignof(Pack<E, N>) - 1)) == 0;
}

// out[k] = x[i + k] for k < count <= N; the rest of `out` becomes 0.  `whole` allows the wide access.
template <int N, class E>
GRADLIB_DEVICE void load_pack(const E* x, long long i, int count, bool whole, acc_t<E> (&out)[N]) {
  if (whole) {
    Pack<E, N> pack = *(const Pack<E, N>*)(x + i);
#pragma unroll
    for (int k = 0; k < N; ++k) out[k] = to_acc(pack.at[k]);
  } else {
#pragma unroll
    for (int k = 0; k < N; ++k) out[k] = k < count ? to_acc(x[i + k]) : acc_t<E>(0);
  }
}

template <int N, class E>
GRADLIB_DEVICE void store_pack(E* y, long long i, int count, bool whole, const acc_t<E> (&in)[N]) {
  if (whole) {
    Pack<E, N> pack;
#pragma unroll
    for (int k = 0; k < N; ++k) pack.at[k] = from_acc<E>(in[k]);
    *(Pack<E, N>*)(y + i) = pack;
  } else {
#pragma unroll
    for (int k = 0; k < N; ++k) {
      if (k < count) y[i + k] = from_acc<E>(in[k]);
    }
  }
}

// Four of them: what the elementwise kernels take, whatever the type.
template <class E> GRADLIB_DEVICE bool aligned4(const E* p) { return aligned_pack<4>(p); }
template <class E>
GRADLIB_DEVICE void load4(const E* x, long long i, int count, bool whole, acc_t<E> (&out)[4]) {
  load_pack<4>(x, i, count, whole, out);
}
template <class E>
GRADLIB_DEVICE void store4(E* y, long long i, int count, bool whole, const acc_t<E> (&in)[4]) {
  store_pack<4>(y, i, count, whole, in);
}
