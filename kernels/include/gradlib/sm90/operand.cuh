// How a tile of A or B comes into shared memory, and how wgmma finds it there.
//
// A row of the tensor map is what is contiguous in memory.  Where that is k, the tile is EXTENT rows of TILE_K, in one
// box; where it is the other index, the tile is EXTENT / 64 boxes of 64 rows of k.  Both with the 128-byte swizzle.
#pragma once

#include "gradlib/sm90/ring.cuh"

namespace sm90 {

// Planes of float32 operands, the smallest products first: which plane of A meets which of B in each pass.
// Plane 0 is the upper part, 1 and 2 the next 8 bits each; 3 is plane 0 with zeros for what is not finite: inf times
// the zero of a lower plane would be NaN.
GRADLIB_DEVICE int plane_of_a(int pass) {
  return PASSES == 6 ? 0x031132 >> 4 * pass & 15 : PASSES == 3 ? 0x031 >> 4 * pass & 15 : 0;
}
GRADLIB_DEVICE int plane_of_b(int pass) {
  return PASSES == 6 ? 0x013123 >> 4 * pass & 15 : PASSES == 3 ? 0x013 >> 4 * pass & 15 : 0;
}

template <int EXTENT, bool K_CONTIGUOUS, int PARTS> struct Operand {
  // Load part `part` of PARTS of the tile whose first index is `first`; with PARTS > 1 into every block of the cluster.
  static GRADLIB_DEVICE void load(unsigned char* tile, const TensorMap* map, ptx::mbarrier* bar, int first, int k, int z,
                                  int part) {
    constexpr int SHARE = EXTENT / PARTS;
    if constexpr (K_CONTIGUOUS) {
      box(tile + part * SHARE * 128, map, bar, k, first + part * SHARE, z);
    } else {
#pragma unroll
      for (int i = 0; i < SHARE / 64; ++i) {
        const int at = part * SHARE + i * 64;
        box(tile + at * 128, map, bar, first + at, k, z);
      }
    }
  }
  static GRADLIB_DEVICE void box(unsigned char* to, const TensorMap* map, ptx::mbarrier* bar, int x, int y, int z) {
    if constexpr (PARTS == 1) ptx::tensor_load(to, map, bar, x, y, z);
    else ptx::tensor_load_multicast(to, map, bar, (1 << PARTS) - 1, x, y, z);
  }

  // The tile's first 32 bytes of k, from index 64 * block on.
  static GRADLIB_DEVICE unsigned long long descriptor(const unsigned char* tile, int block) {
    return ptx::wgmma_descriptor<128>(tile + block * 8192, K_CONTIGUOUS ? 16 : 8192, 1024);
  }
  // What the next 32 bytes of k, or the next 64 indices, add to it.
  static constexpr int NEXT_K = (K_CONTIGUOUS ? 32 : 2048) >> 4;
  static constexpr int NEXT_BLOCK = 8192 >> 4;
};

using OperandA = Operand<BM, !A_TRANSPOSED, 1>;
using OperandB = Operand<BN, B_TRANSPOSED, CLUSTER>;

}  // namespace sm90
