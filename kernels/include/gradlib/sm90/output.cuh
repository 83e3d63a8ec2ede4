// The way out of a tile's sums: through the finish, then by bulk copies through shared memory or, in 4 bytes or where
// rows are not aligned, by the threads themselves.
#pragma once

#include "gradlib/column_totals.cuh"
#include "gradlib/sm90/mainloop.cuh"

#ifndef DIRECT  // 1: the threads store y and z themselves
#define DIRECT 0
#endif

namespace sm90 {

constexpr int SLOT_BYTES = ROWS * 128;  // 64 columns of a warpgroup's rows
constexpr int SLOTS = 2;                // of each warpgroup
constexpr int STAGING_BYTES = DIRECT ? 0 : 2 * SLOTS * SLOT_BYTES;
// Whether s (or else the residual) comes by bulk copies too, into the slot that its results leave by.
constexpr bool FETCHED = !DIRECT && (SLOPE || RESIDUAL) && !SAVE;
using Totals = ColumnTotals<4, 64>;  // of a warpgroup
constexpr int TOTALS_BYTES = 2 * Totals::BYTES;
static_assert(DIRECT || sizeof(OUT) == 2, "bulk copies store 16-bit elements");

struct Outputs {
  OUT *y, *z;
  float* totals;  // (parts, n), a part being the rows of a warpgroup: sums, or means and then squared deviations
  const TensorMap *y_map, *z_map, *fetched_map;
};

// Of the rows of y: whether z is their group, a tile may have none left, and the next are another group's.
template <class Rows> constexpr bool RAGGED = false;

// A warpgroup's part of a tile, of which this thread holds sum[i][4 j + 2 r + e] of row(i, r), column(j) + e.
struct Fragment {
  int m, n, m0, n0, z, lane, warp;
  template <class Shape>
  GRADLIB_DEVICE Fragment(const Shape& shape, const Tile& tile, int warpgroup)
      : m(tile.m), n(shape.n), m0(tile.m0 + (PINGPONG ? 0 : warpgroup * ROWS)), n0(tile.n0), z(tile.z),
        lane(threadIdx.x % 32), warp(threadIdx.x % 128 / 32) {}
  GRADLIB_DEVICE int row(int i, int r) const { return m0 + 64 * i + 16 * warp + 8 * r + lane / 4; }
  GRADLIB_DEVICE int column(int j) const { return n0 + 8 * j + lane % 4 * 2; }
};

// The part of shared memory through which a warpgroup's results leave: slots of 64 columns, used in turn.
struct Staging {
  unsigned char* slots;
  Totals& totals;
  ptx::mbarrier* loaded;  // of each slot
  int barrier;            // named, of this warpgroup
  int turn = 0;

  GRADLIB_DEVICE Staging(unsigned char* room, ptx::mbarrier* bars, int group)
      : slots(room + group * SLOTS * SLOT_BYTES),
        totals(*reinterpret_cast<Totals*>(room + STAGING_BYTES + group * Totals::BYTES)), loaded(bars + group * SLOTS),
        barrier(1 + group) {}

  GRADLIB_DEVICE bool speaks() const { return threadIdx.x % 128 == 0; }
  GRADLIB_DEVICE void meet() const { ptx::bar_sync(barrier, 128); }
  GRADLIB_DEVICE unsigned char* slot(int t) const { return slots + t % SLOTS * SLOT_BYTES; }

  // The next slot, once the copy engine has read what it held.
  GRADLIB_DEVICE unsigned char* claim() {
    if (speaks()) ptx::cp_async_bulk_wait_group_read<SLOTS - 1>();
    meet();
    return slot(turn++);
  }

  // Let columns 64 c and on be fetched into the next slot but `ahead`, once the copy engine has read what it held.
  template <int ahead, bool ragged> GRADLIB_DEVICE void fetch(const TensorMap* map, const Fragment& at, int c) const {
    if (speaks() && at.n0 + 64 * c < at.n) {
      ptx::cp_async_bulk_wait_group_read<SLOTS - 1 - ahead>();
      ptx::mbarrier* bar = loaded + (turn + ahead) % SLOTS;
      ptx::mbarrier_arrive_expect_tx(bar, SLOT_BYTES);
      ptx::tensor_load(slot(turn + ahead), map, bar, at.n0 + 64 * c, at.m0, ragged ? 0 : at.z);
    }
  }
  GRADLIB_DEVICE unsigned char* receive() {
    ptx::mbarrier_wait_parity(loaded + turn % SLOTS, turn / SLOTS & 1);
    return slot(turn++);
  }

  // By a box or, row by row, by the threads: then behind an empty group, as slots are counted by groups.
  template <class Rows>
  GRADLIB_DEVICE void send(const TensorMap* map, OUT* to, const Rows& rows, const unsigned char* slot,
                           const Fragment& at, int c) const {
    ptx::fence_proxy_async();
    meet();
    const bool alone = !RAGGED<Rows> || at.m0 + ROWS <= at.m;
    if (alone && speaks()) ptx::tensor_store(map, slot, at.n0 + 64 * c, at.m0, RAGGED<Rows> ? 0 : at.z);
    if (!alone) {
#pragma unroll 1  // for the registers
      for (int i = threadIdx.x % 128; i < smaller(at.m - at.m0, ROWS) * 8; i += 128) {
        const int row = i / 8, column = at.n0 + 64 * c + i % 8 * 8;
        if (column < at.n) {
          *reinterpret_cast<uint4*>(to + rows.offset(at.z, at.m0 + row) + column) =
              *reinterpret_cast<const uint4*>(slot + row * 128 + (i % 8 ^ row % 8) * 16);
        }
      }
      if constexpr (FETCHED) meet();  // before the slot is fetched into
    }
    if (speaks()) ptx::cp_async_bulk_commit_group();
  }
  GRADLIB_DEVICE void drain() const {
    if (speaks()) ptx::cp_async_bulk_wait_group<0>();
  }
};

// Where in a slot this lane's row of columns 8 j to 8 j + 15 of block i lies: rows of 128 bytes, chunks swizzled.
GRADLIB_DEVICE unsigned char* place(unsigned char* slot, const Fragment& at, int i, int j) {
  const int row = 64 * i + 16 * at.warp + at.lane % 16;
  return slot + row * 128 + ((j + at.lane / 16) ^ (row % 8)) * 16;
}

// Columns 64 c + 8 j to + 15 of block i, value 4 (j % 2) + 2 r + e: the pre-activations if `pre`, else y, which total
// adds up.  A few at a time, for the registers.
template <int N, class Rows>
GRADLIB_DEVICE void finished(const float (&sum)[N], int c, int i, int j, bool pre, const Finish& finish,
                             const Finish::Columns (&columns)[8], const Fragment& at, const Rows& rows,
                             const T (&fetched)[8], OUT (&value)[8], ColumnTotal (&total)[16]) {
#pragma unroll
  for (int k = 0; k < 8; k += 2) {
    const int of_j = j + k / 4, r = k / 2 % 2, row = at.row(i, r), column = at.column(8 * c + of_j);
    float s[2] = {}, res[2] = {}, d[2] = {};
    if (row < at.m && column < at.n) {
      if constexpr (SLOPE && !FETCHED) finish.slopes(rows.offset(at.z, row), column, s);
      if constexpr (RESIDUAL && !(FETCHED && !SLOPE)) finish.residuals(rows.offset(at.z, row), column, res);
      if constexpr (DROPOUT) finish.kept(rows.offset(at.z, row) + column, d);
    }
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      if constexpr (FETCHED) (SLOPE ? s : res)[e] = to_acc(fetched[k + e]);
      float u = finish.before(sum[32 * c + 4 * j + k + e], columns[of_j], e, res[e]);
      if (!pre) u = Finish::after(u, s[e], res[e], d[e]);
      value[k + e] = from_acc<OUT>(u);
      if constexpr (TOTALS) {
        if (!pre) {
          const float stored = MOMENTS ? to_acc(value[k + e]) : u;
          if (i == 0 && r == 0) total[2 * of_j + e].start(stored);
          total[2 * of_j + e].add(stored, row < at.m);
        }
      }
    }
  }
}

template <int N, class Rows>
GRADLIB_DEVICE void emit(const float (&sum)[M64][N], int c, bool pre, const Finish& finish,
                         const Finish::Columns (&columns)[8], const Fragment& at, Staging& staging,
                         const Outputs& out, const Rows& rows, ColumnTotal (&total)[16]) {
  unsigned char* slot = nullptr;
  if constexpr (FETCHED) {
    if (c + 1 < BN / 64) staging.fetch<1, RAGGED<Rows>>(out.fetched_map, at, c + 1);
    slot = staging.receive();
  } else if constexpr (!DIRECT) {
    slot = staging.claim();
  }
#pragma unroll
  for (int i = 0; i < M64; ++i) {
#pragma unroll
    for (int j = 0; j < 8; j += 2) {
      OUT value[8];
      T fetched[8];
      if constexpr (FETCHED) {
        unsigned four[4];
        ptx::ldmatrix(four, place(slot, at, i, j));
#pragma unroll
        for (int k = 0; k < 4; ++k) reinterpret_cast<unsigned*>(fetched)[k] = four[k];
      }
      finished(sum[i], c, i, j, pre, finish, columns, at, rows, fetched, value, total);
      if constexpr (!DIRECT) {
        const unsigned* words = reinterpret_cast<const unsigned*>(value);
        const unsigned four[4] = {words[0], words[1], words[2], words[3]};
        ptx::stmatrix(place(slot, at, i, j), four);
      } else {
#pragma unroll
        for (int k = 0; k < 8; k += 2) {
          const int of_y = at.row(i, k / 2 % 2);
          const long long row = of_y < at.m ? rows.offset(at.z, of_y) : -1;
          OUT* to = (pre ? out.z : out.y) + row;
          if (row >= 0) Finish::store(to, at.column(8 * c + j + k / 4), at.n, value[k], value[k + 1]);
        }
      }
    }
  }
  if constexpr (!DIRECT) staging.send(pre ? out.z_map : out.y_map, pre ? out.z : out.y, rows, slot, at, c);
}

// Add up 64 columns over the warpgroup's rows: in each warp, then over the four.
GRADLIB_DEVICE void add_up(ColumnTotal (&total)[16], int c, const Fragment& at, const Staging& staging,
                           const Outputs& out, int products) {
#pragma unroll
  for (int j = 0; j < 16; ++j) total[j].over_lanes();
  staging.meet();  // the totals before these have been read
  const auto rows_of = [&](int warp) {
    int rows = 0;
#pragma unroll
    for (int i = 0; i < M64; ++i) rows += smaller(larger(at.m - at.m0 - 64 * i - 16 * warp, 0), 16);
    return rows;
  };
  if (at.lane < 4) {
#pragma unroll
    for (int j = 0; j < 16; ++j) {
      staging.totals.put(at.warp, j / 2 * 8 + at.lane * 2 + j % 2, total[j], rows_of(at.warp));
    }
  }
  staging.meet();
  const int thread = threadIdx.x % 128, column = at.n0 + 64 * c + thread;
  if (thread < 64 && column < at.n && at.m0 < at.m) {
    const long long parts = ceil_div(at.m, ROWS), place = (at.z * parts + at.m0 / ROWS) * at.n + column;
    staging.totals.store(thread, out.totals + place, products * parts * at.n, rows_of);
  }
}

template <int N, class Rows>
GRADLIB_DEVICE void store(const float (&sum)[M64][N], const Finish& finish, const Fragment& at, Staging& staging,
                          const Outputs& out, const Rows& rows, int products) {
#pragma unroll
  for (int c = 0; c < BN / 64; ++c) {
    if (at.n0 + 64 * c >= at.n) break;
    Finish::Columns columns[8];
#pragma unroll
    for (int j = 0; j < 8; ++j) columns[j] = finish.columns(at.column(8 * c + j), rows.columns_before(at.z));
    ColumnTotal total[16] = {};
    if constexpr (SAVE) emit(sum, c, true, finish, columns, at, staging, out, rows, total);
    emit(sum, c, false, finish, columns, at, staging, out, rows, total);
    if constexpr (TOTALS) add_up(total, c, at, staging, out, products);
  }
}

}  // namespace sm90
