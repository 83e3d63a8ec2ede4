// The way out of a tile's sums: through the finish, then by bulk copies through shared memory or, in 4 bytes or where
// rows are not aligned, by the threads themselves.
#pragma once

#include "gradlib/finish.cuh"
#include "gradlib/sm90/mainloop.cuh"

#ifndef DIRECT  // 1: the threads store y and z themselves
#define DIRECT 0
#endif

namespace sm90 {

constexpr int SLOT_BYTES = ROWS * 128;  // 64 columns of a warpgroup's rows
constexpr int SLOTS = 2;                // of each warpgroup
constexpr int STAGING_BYTES = DIRECT ? 0 : 2 * SLOTS * SLOT_BYTES;
constexpr int SUMS_BYTES = SUMS ? 2 * 4 * 64 * 4 : 0;  // of 64 columns, of each warp
static_assert(DIRECT || sizeof(OUT) == 2, "bulk copies store 16-bit elements");

struct Outputs {
  OUT *y, *z;
  float* sums;  // (parts, n): a part is the rows of a warpgroup
  const TensorMap *y_map, *z_map;
  int m, n;
};

// A warpgroup's part of a tile, of which this thread holds sum[i][4 j + 2 r + e] of row(i, r), column(j) + e.
struct Fragment {
  int m0, n0, z, lane, warp, group;
  GRADLIB_DEVICE Fragment(const Tile& tile, int warpgroup)
      : m0(tile.m0 + (PINGPONG ? 0 : warpgroup * ROWS)), n0(tile.n0), z(tile.z), lane(threadIdx.x % 32),
        warp(threadIdx.x % 128 / 32), group(warpgroup) {}
  GRADLIB_DEVICE int row(int i, int r) const { return m0 + 64 * i + 16 * warp + 8 * r + lane / 4; }
  GRADLIB_DEVICE int column(int j) const { return n0 + 8 * j + lane % 4 * 2; }
};

// The part of shared memory through which a warpgroup's results leave: slots of 64 columns, used in turn.
struct Staging {
  unsigned char* slots;
  float (*sums)[64];  // of each warp
  int barrier;        // named, of this warpgroup
  int turn = 0;

  GRADLIB_DEVICE Staging(unsigned char* room, int group)
      : slots(room + group * SLOTS * SLOT_BYTES),
        sums(reinterpret_cast<float(*)[64]>(room + STAGING_BYTES) + 4 * group), barrier(1 + group) {}

  GRADLIB_DEVICE void meet() const { ptx::bar_sync(barrier, 128); }

  // The next slot, once the copy engine has read what it held.
  GRADLIB_DEVICE unsigned char* claim() {
    if (threadIdx.x % 128 == 0) ptx::cp_async_bulk_wait_group_read<SLOTS - 1>();
    meet();
    return slots + (turn++ % SLOTS) * SLOT_BYTES;
  }
  GRADLIB_DEVICE void send(const TensorMap* map, const unsigned char* slot, const Fragment& at, int c) const {
    ptx::fence_proxy_async();
    meet();
    if (threadIdx.x % 128 == 0) {
      ptx::tensor_store(map, slot, at.n0 + 64 * c, at.m0, at.z);
      ptx::cp_async_bulk_commit_group();
    }
  }
  GRADLIB_DEVICE void drain() const {
    if (threadIdx.x % 128 == 0) ptx::cp_async_bulk_wait_group<0>();
  }
};

// Write 64 columns of a fragment's block i into a slot: rows of 128 bytes whose 16-byte chunks are swizzled.
GRADLIB_DEVICE void put(unsigned char* slot, const OUT (&v)[32], const Fragment& at, int i) {
  const int row = 64 * i + 16 * at.warp + at.lane % 16;
#pragma unroll
  for (int j = 0; j < 8; j += 2) {
    const int chunk = (j + at.lane / 16) ^ (row % 8);
    const unsigned* words = reinterpret_cast<const unsigned*>(v + 4 * j);
    const unsigned four[4] = {words[0], words[1], words[2], words[3]};
    ptx::stmatrix(slot + row * 128 + chunk * 16, four);
  }
}

// Block i of 64 columns, finished: `pre` are the pre-activations, else y; total adds y up.
template <int N>
GRADLIB_DEVICE void finished(const float (&sum)[N], int c, int i, bool pre, const Finish& finish,
                             const Finish::Columns (&columns)[8], const Fragment& at, const Outputs& out,
                             OUT (&value)[32], float (&total)[16]) {
#pragma unroll
  for (int j = 0; j < 8; ++j) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const int k = 4 * j + 2 * r, row = at.row(i, r), column = at.column(8 * c + j);
      float u[2] = {finish.before(sum[32 * c + k], columns[j], 0), finish.before(sum[32 * c + k + 1], columns[j], 1)};
      if (!pre) {
        const bool inside = !(SLOPE || RESIDUAL) || (row < out.m && column < out.n);
        if (inside) finish.after((long long)at.z * out.m + row, column, u);
        if constexpr (SUMS) {
          if (row < out.m) {
            total[2 * j] += u[0];
            total[2 * j + 1] += u[1];
          }
        }
      }
      value[k] = from_acc<OUT>(u[0]);
      value[k + 1] = from_acc<OUT>(u[1]);
    }
  }
}

template <int N>
GRADLIB_DEVICE void emit(const float (&sum)[M64][N], int c, bool pre, const Finish& finish,
                         const Finish::Columns (&columns)[8], const Fragment& at, Staging& staging,
                         const Outputs& out, float (&total)[16]) {
  unsigned char* slot = DIRECT ? nullptr : staging.claim();
#pragma unroll
  for (int i = 0; i < M64; ++i) {
    OUT value[32];
    finished(sum[i], c, i, pre, finish, columns, at, out, value, total);
    if constexpr (!DIRECT) {
      put(slot, value, at, i);
    } else {
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const int row = at.row(i, r);
        if (row >= out.m) continue;
        OUT* to = (pre ? out.z : out.y) + ((long long)at.z * out.m + row) * out.n;
#pragma unroll
        for (int j = 0; j < 8; ++j) {
          const int k = 4 * j + 2 * r;
          Finish::store(to, at.column(8 * c + j), out.n, value[k], value[k + 1]);
        }
      }
    }
  }
  if constexpr (!DIRECT) staging.send(pre ? out.z_map : out.y_map, slot, at, c);
}

// Add up 64 columns over the warpgroup's rows: in each warp, then over the four.
GRADLIB_DEVICE void add_up(float (&total)[16], int c, const Fragment& at, const Staging& staging, const Outputs& out) {
#pragma unroll
  for (int j = 0; j < 16; ++j) {
#pragma unroll
    for (int other = 16; other >= 4; other /= 2) total[j] += __shfl_xor_sync(0xffffffff, total[j], other);
  }
  staging.meet();  // the sums before these have been read
  if (at.lane < 4) {
#pragma unroll
    for (int j = 0; j < 16; ++j) staging.sums[at.warp][j / 2 * 8 + at.lane * 2 + j % 2] = total[j];
  }
  staging.meet();
  const int thread = threadIdx.x % 128, column = at.n0 + 64 * c + thread;
  if (thread < 64 && column < out.n) {
    const float sum = (staging.sums[0][thread] + staging.sums[1][thread]) +
                      (staging.sums[2][thread] + staging.sums[3][thread]);
    const int parts = ceil_div(out.m, ROWS);
    if (at.m0 < out.m) out.sums[((long long)at.z * parts + at.m0 / ROWS) * out.n + column] = sum;
  }
}

template <int N>
GRADLIB_DEVICE void store(const float (&sum)[M64][N], const Finish& finish, const Fragment& at, Staging& staging,
                          const Outputs& out) {
#pragma unroll
  for (int c = 0; c < BN / 64; ++c) {
    if (at.n0 + 64 * c >= out.n) break;
    Finish::Columns columns[8];
#pragma unroll
    for (int j = 0; j < 8; ++j) columns[j] = finish.columns(at.column(8 * c + j));
    float total[16] = {};
    if constexpr (SAVE) emit(sum, c, true, finish, columns, at, staging, out, total);
    emit(sum, c, false, finish, columns, at, staging, out, total);
    if constexpr (SUMS) add_up(total, c, at, staging, out);
  }
}

}  // namespace sm90
