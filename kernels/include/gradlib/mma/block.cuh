// The main loop of mma.sync products, and the way out of their sums.
#pragma once

#include "gradlib/mma/operand.cuh"
#include "gradlib/schedule.cuh"

namespace mma {

using Totals = ColumnTotals<BM / WM, BN>;

struct Outputs {
  OUT *y, *z;
  float* totals;  // (parts, n), a part being the rows of a block: sums, or means and then squared deviations
};

struct Shape {
  int m, n, k, splits, band;  // band: rows of tiles that are computed together, for the L2 cache

  GRADLIB_DEVICE int tiles() const { return ceil_div(m, BM) * ceil_div(n, BN); }
};

// Fragments of a warp: A by 16 rows, B by 16 columns, for 16 of k.
template <bool MAJOR_K> GRADLIB_DEVICE void load_a(unsigned (&a)[4], const OPERAND* slab, int row, int k) {
  using S = Slab<BM, MAJOR_K>;
  const int lane = threadIdx.x % 32;
  if constexpr (MAJOR_K) ptx::ldmatrix(a, slab + (row + lane % 16) * S::PITCH + k + lane / 16 * 8);
  else ptx::ldmatrix<4, true>(a, slab + (k + lane % 8 + lane / 16 * 8) * S::PITCH + row + lane / 8 % 2 * 8);
}
template <bool MAJOR_K> GRADLIB_DEVICE void load_b(unsigned (&b)[2][2], const OPERAND* slab, int column, int k) {
  using S = Slab<BN, MAJOR_K>;
  const int lane = threadIdx.x % 32;
  unsigned four[4];
  if constexpr (MAJOR_K) ptx::ldmatrix(four, slab + (column + lane % 8 + lane / 16 * 8) * S::PITCH + k + lane / 8 % 2 * 8);
  else ptx::ldmatrix<4, true>(four, slab + (k + lane % 16) * S::PITCH + column + lane / 16 * 8);
  b[0][0] = four[0], b[0][1] = four[1], b[1][0] = four[2], b[1][1] = four[3];
}

using Sums = float[MI][NI][4];

GRADLIB_DEVICE void multiply(Sums& sum, const OPERAND* a_slab, const OPERAND* b_slab, int row, int column) {
#pragma unroll
  for (int k = 0; k < TILE_K; k += 16) {
    unsigned a[MI][4], b[NI / 2][2][2];
#pragma unroll
    for (int i = 0; i < MI; ++i) load_a<!A_TRANSPOSED>(a[i], a_slab, row + 16 * i, k);
#pragma unroll
    for (int j = 0; j < NI / 2; ++j) load_b<B_TRANSPOSED>(b[j], b_slab, column + 16 * j, k);
#pragma unroll
    for (int i = 0; i < MI; ++i)
#pragma unroll
      for (int j = 0; j < NI; ++j) ptx::mma_m16n8k16<OPERAND>(sum[i][j], a[i], b[j / 2][j % 2]);
  }
}

GRADLIB_DEVICE void clear(Sums& sum) {
#pragma unroll
  for (int i = 0; i < MI; ++i)
#pragma unroll
    for (int j = 0; j < NI; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e) sum[i][j][e] = 0;
}

template <class Rows>
GRADLIB_DEVICE void store(const Sums& sum, int z, int m0, int n0, int m, int n, const Finish& finish,
                          const Outputs& out, const Rows& rows, Totals& totals) {
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int warp_row = m0 + warp / (BN / WN) * WM, warp_column = warp % (BN / WN) * WN;
#pragma unroll
  for (int j = 0; j < NI; ++j) {
    const int in_block = warp_column + lane % 4 * 2 + 8 * j, column = n0 + in_block;
    const Finish::Columns columns = finish.columns(column, rows.columns_before(z));
    ColumnTotal total[2] = {};
#pragma unroll
    for (int i = 0; i < 2 * MI; ++i) {
      const int row = warp_row + lane / 4 + 8 * i;
      const long long at = row < m ? rows.offset(z, row) : -1;
      float s[2] = {}, r[2] = {}, d[2] = {}, u[2];
      OUT y[2];
      if (at >= 0 && column < n) {
        finish.slopes(at, column, s);
        finish.residuals(at, column, r);
        finish.kept(at + column, d);
      }
#pragma unroll
      for (int e = 0; e < 2; ++e) u[e] = finish.before(sum[i / 2][j][i % 2 * 2 + e], columns, e, r[e]);
      if (SAVE && at >= 0) Finish::store(out.z + at, column, n, from_acc<OUT>(u[0]), from_acc<OUT>(u[1]));
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        u[e] = Finish::after(u[e], s[e], r[e], d[e]);
        y[e] = from_acc<OUT>(u[e]);
        if constexpr (TOTALS) {
          const float stored = MOMENTS ? to_acc(y[e]) : u[e];
          if (i == 0) total[e].start(stored);
          total[e].add(stored, at >= 0);
        }
      }
      if (at >= 0) Finish::store(out.y + at, column, n, y[0], y[1]);
    }
    if constexpr (TOTALS) {
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        total[e].over_lanes();
        const int inside = smaller(larger(m - warp_row, 0), WM);
        if (lane < 4) totals.put(warp / (BN / WN), in_block + e, total[e], inside);
      }
    }
  }
  if constexpr (TOTALS) {
    __syncthreads();
    const long long parts = ceil_div(m, BM), place = (z * parts + m0 / BM) * n + n0;
    const auto rows_of = [&](int w) { return smaller(larger(m - m0 - w * WM, 0), WM); };
    for (int i = threadIdx.x; i < BN; i += THREADS) {
      if (n0 + i < n) totals.store(i, out.totals + place + i, gridDim.z * parts * n, rows_of);
    }
  }
}

// Of product z: rows from m0 on of m, columns from n0 on of n, summed over k from k_begin to k_end.
struct Tile {
  int z, m0, m, n0, n, k_begin, k_end;
};

// One tile, by the whole block.
template <class A, class B, class Rows>
GRADLIB_DEVICE void compute(unsigned char* memory, const Tile& tile, const A& a, const B& b, const Finish& finish,
                            const Outputs& out, const Rows& rows) {
  using SlabA = Slab<BM, !A_TRANSPOSED>;
  using SlabB = Slab<BN, B_TRANSPOSED>;
  OPERAND* slabs = reinterpret_cast<OPERAND*>(memory);
  const int steps = ceil_div(tile.k_end - tile.k_begin, TILE_K) * PASSES;

  const Filler<BM, !A_TRANSPOSED, A> fill_a(a, tile.z, tile.m0);
  const Filler<BN, B_TRANSPOSED, B> fill_b(b, tile.z, tile.n0);
  const auto fill = [&](int step) {
    OPERAND* to = slabs + step % STAGES * (SlabA::SIZE + SlabB::SIZE);
    const int k0 = tile.k_begin + step / PASSES * TILE_K, pass = step % PASSES;
    fill_a.fill(to, k0, tile.k_end, pass);
    fill_b.fill(to + SlabA::SIZE, k0, tile.k_end, pass);
  };
  const int warp = threadIdx.x / 32;
  const int row = warp / (BN / WN) * WM, of_column = warp % (BN / WN) * WN;
  float sum[MI][NI][4], part[MI][NI][4];  // part: of the planes of one step, which are added up apart
  clear(sum);
  clear(part);
  for (int i = 0; i < STAGES - 1; ++i) {
    if (i < steps) fill(i);
    ptx::cp_async_commit_group();
  }
#pragma unroll 1
  for (int step = 0; step < steps; ++step) {
    ptx::cp_async_wait_group<STAGES - 2>();
    __syncthreads();  // this step is there, and everybody is done with the one before
    if (step + STAGES - 1 < steps) fill(step + STAGES - 1);
    ptx::cp_async_commit_group();
    const OPERAND* slab = slabs + step % STAGES * (SlabA::SIZE + SlabB::SIZE);
    if constexpr (PASSES == 1) {
      multiply(sum, slab, slab + SlabA::SIZE, row, of_column);
    } else {
      multiply(part, slab, slab + SlabA::SIZE, row, of_column);
      if (step % PASSES == PASSES - 1) {
#pragma unroll
        for (int i = 0; i < MI; ++i)
#pragma unroll
          for (int j = 0; j < NI; ++j)
#pragma unroll
            for (int e = 0; e < 4; ++e) sum[i][j][e] += part[i][j][e];
        clear(part);
      }
    }
  }
  if constexpr (TOTALS) __syncthreads();  // the slabs are free for the columns' totals
  store(sum, tile.z, tile.m0, tile.n0, tile.m, tile.n, finish, out, rows, *reinterpret_cast<Totals*>(memory));
}

// One tile of one product, or of one part of its sum.  blockIdx.x counts tiles, blockIdx.z products times splits.
template <class A, class B, class Rows>
GRADLIB_DEVICE void run(unsigned char* memory, const Shape& shape, const A& a, const B& b, const Finish& finish,
                        const Outputs& out, const Rows& rows) {
  const schedule::Cell cell =
      schedule::in_bands(blockIdx.x, ceil_div(shape.m, BM), ceil_div(shape.n, BN), shape.band);
  const schedule::Part k = schedule::part(ceil_div(shape.k, TILE_K), shape.splits, blockIdx.z % shape.splits);
  const Tile tile{int(blockIdx.z), cell.row * BM, shape.m, cell.column * BN, shape.n, k.begin * TILE_K,
                  smaller(k.end * TILE_K, shape.k)};
  compute(memory, tile, a, b, finish, out, rows);
}

}  // namespace mma
