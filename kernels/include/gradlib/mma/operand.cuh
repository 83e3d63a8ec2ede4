// Operands of mma.sync products: how 8 neighbours are found in memory, and how a slab of them is filled.
//
// A loader says, for its operand,
//     struct Outer; Outer outer(int z, int i);            what is worth knowing of row i of A (column i of B) of product z
//     Chunk chunk(Outer, int k, int k_end, int pass);     ALIGNED: the 8 that begin there, along k or along the other index
//     OPERAND element(Outer, int k, int e, int pass);     else: the e-th of them, inside or not (then 0)
#pragma once

#include "gradlib/mma/shape.cuh"

namespace mma {

template <int EXTENT, bool MAJOR_K, class Loader> struct Filler {
  using S = Slab<EXTENT, MAJOR_K>;
  const Loader& loader;
  // Along k, each thread's rows stay the same; across it, its columns do.
  typename Loader::Outer outers[MAJOR_K ? S::EACH : 1];

  GRADLIB_DEVICE Filler(const Loader& from, int z, int first) : loader(from) {
    if constexpr (MAJOR_K) {
#pragma unroll
      for (int j = 0; j < S::EACH; ++j) outers[j] = loader.outer(z, first + S::row(j));
    } else {
      outers[0] = loader.outer(z, first + S::chunk());
    }
  }

  GRADLIB_DEVICE void fill(OPERAND* slab, int k0, int k_end, int pass) const {
#pragma unroll
    for (int j = 0; j < S::EACH; ++j) {
      OPERAND* to = slab + S::row(j) * S::PITCH + S::chunk();
      const typename Loader::Outer& outer = outers[MAJOR_K ? j : 0];
      const int k = k0 + (MAJOR_K ? S::chunk() : S::row(j));
      if constexpr (ALIGNED) {
        const Chunk c = loader.chunk(outer, k, k_end, pass);
        ptx::cp_async<16>(to, c.at, c.count * 2);
      } else {
        alignas(16) OPERAND eight[8];
#pragma unroll
        for (int e = 0; e < 8; ++e) eight[e] = loader.element(outer, k, k_end, e, pass);
        *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(eight);
      }
    }
  }
};

GRADLIB_DEVICE int within(int left) { return left < 0 ? 0 : left > 8 ? 8 : left; }

// A matrix, or a batch of them, in memory: element (i, k) at i * pitch + k, or, MAJOR_K 0, at k * pitch + i.
template <bool MAJOR_K> struct Matrix {
  const OPERAND* first;
  long long pitch, batch, plane;  // elements between rows, between products (0: one for all), between planes
  int limit, splits;              // indices inside; z counts products times splits
  bool of_a;

  struct Outer {
    const OPERAND* at;
    int index;
  };
  GRADLIB_DEVICE Outer outer(int z, int i) const {
    const int inside = i < limit ? i : 0;  // nothing is read of those outside, but addresses stay aligned
    return {first + z / splits * batch + (MAJOR_K ? inside * pitch : (long long)inside), i};
  }
  GRADLIB_DEVICE long long plane_of(int pass) const {
    return PASSES == 1 ? 0 : (of_a ? plane_of_a(pass) : plane_of_b(pass)) * plane;
  }
  GRADLIB_DEVICE Chunk chunk(const Outer& o, int k, int k_end, int pass) const {
    if constexpr (MAJOR_K) {
      const int count = o.index < limit ? within(k_end - k) : 0;
      return {o.at + plane_of(pass) + (count ? k : 0), count};
    } else {
      const int count = k < k_end ? within(limit - o.index) : 0;
      return {o.at + plane_of(pass) + (count ? k * pitch : 0), count};
    }
  }
  GRADLIB_DEVICE OPERAND element(const Outer& o, int k, int k_end, int e, int pass) const {
    if constexpr (MAJOR_K) {
      return o.index < limit && k + e < k_end ? o.at[plane_of(pass) + k + e] : OPERAND(0.0f);
    } else {
      return k < k_end && o.index + e < limit ? o.at[plane_of(pass) + k * pitch + e] : OPERAND(0.0f);
    }
  }
};

}  // namespace mma
