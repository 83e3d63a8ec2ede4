// Attention in float32 (see attention.cuh): the algorithm and the entries of attention.cu, with float32 arithmetic
// throughout and no tensor cores.
//
// D is the width of a tile's rows in shared memory, a multiple of its TILE rows, at least both widths; what is missing
// is 0.  A block has (TILE / 4)^2 threads; thread (tx, ty) has rows ty + TILE / 4 i and columns tx + TILE / 4 j of a
// TILE x TILE block of scores, i, j < 4, and of a row of width D runs of four columns.  Dynamic shared memory: floats,
// see each kernel. grid: tiles * heads * batch, tiles the fastest.
//
// variants: D=32,64,96,128
// variants: D=256 PART=1,2
// variants: D=64 MASK=2 DROPOUT=1
// variants: D=128 MASK=1 DROPOUT=1 PART=1,2
#include "gradlib/attention.cuh"
#include "gradlib/pack.cuh"
#include "gradlib/ptx.cuh"
#include "gradlib/reduce.cuh"

#ifndef D
#define D 64
#endif
#ifndef PART  // of attention_dkv: 0 both gradients, 1 dv, 2 dk (where D > 128, both at once need too many registers)
#define PART 0
#endif

using namespace attention;

// The tiles; gradlib/ops/attention_launch.py knows the same numbers.
constexpr int FORWARD_TILE = D == 64 || D == 128 ? 64 : 32, BACKWARD_TILE = D == 64 ? 64 : 32;
constexpr int PITCH = D + 4;

template <int TILE> struct Block {
  static constexpr int R = TILE / 4, THREADS = R * R, S_PITCH = TILE + 4, RUNS = D / TILE;
  using Scores = float[4][4];
  using Sums = float[4][4 * RUNS];

  GRADLIB_DEVICE static int tx() { return threadIdx.x % R; }
  GRADLIB_DEVICE static int ty() { return threadIdx.x / R; }
  GRADLIB_DEVICE static int row(int i) { return ty() + R * i; }
  GRADLIB_DEVICE static int column(int j) { return tx() + R * j; }

  // Starts copying TILE rows, from `first` on, of a matrix of `rows` rows into a tile; what is outside becomes 0.
  GRADLIB_DEVICE static void fetch(float* tile, const float* matrix, int first, int rows, int width) {
    const bool wide = width % 4 == 0 && aligned_pack<4>(matrix);
    for (int i = threadIdx.x; i < TILE * D / 4; i += THREADS) {
      const int row = i / (D / 4), column = i % (D / 4) * 4;
      const int valid = first + row < rows ? larger(smaller(width - column, 4), 0) : 0;
      float* to = tile + row * PITCH + column;
      const float* from = valid ? matrix + (long long)(first + row) * width + column : matrix;
      if (wide) {
        ptx::cp_async<16>(to, from, valid * 4);
      } else {
#pragma unroll
        for (int k = 0; k < 4; ++k) to[k] = k < valid ? from[k] : 0.0f;
      }
    }
  }

  // s = a b^T over the tiles' rows.
  GRADLIB_DEVICE static void dot(Scores& s, const float* a, const float* b) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) s[i][j] = 0.0f;
    }
#pragma unroll 4
    for (int d = 0; d < D; d += 4) {
      float x[4][4], y[4][4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        load_pack<4>(a + row(i) * PITCH, d, 4, true, x[i]);
        load_pack<4>(b + column(i) * PITCH, d, 4, true, y[i]);
      }
#pragma unroll
      for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) {
#pragma unroll
          for (int k = 0; k < 4; ++k) s[i][j] = fmaf(x[i][k], y[j][k], s[i][j]);
        }
      }
    }
  }

  // sums += scores b, the scores from shared memory.
  GRADLIB_DEVICE static void outer(Sums& sums, const float* scores, const float* b) {
#pragma unroll 1
    for (int at = 0; at < TILE; at += 4) {
      float x[4][4];
#pragma unroll
      for (int i = 0; i < 4; ++i) load_pack<4>(scores + row(i) * S_PITCH, at, 4, true, x[i]);
#pragma unroll
      for (int k = 0; k < 4; ++k) {
#pragma unroll
        for (int run = 0; run < RUNS; ++run) {
          float y[4];
          load_pack<4>(b + (at + k) * PITCH, run * TILE + tx() * 4, 4, true, y);
#pragma unroll
          for (int i = 0; i < 4; ++i) {
#pragma unroll
            for (int e = 0; e < 4; ++e) sums[i][4 * run + e] = fmaf(x[i][k], y[e], sums[i][4 * run + e]);
          }
        }
      }
    }
  }

  GRADLIB_DEVICE static void keep(float* scores, const Scores& s) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) scores[row(i) * S_PITCH + column(j)] = s[i][j];
    }
  }

  // Over the threads that share a row.
  template <class F> GRADLIB_DEVICE static float over_row(float v) {
#pragma unroll
    for (int half = R / 2; half > 0; half >>= 1) v = F::combine(v, shuffle_xor(v, half));
    return v;
  }

  GRADLIB_DEVICE static void put(const Sums& sums, const float (&factor)[4], float* matrix, int first, int rows,
                                 int width) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int r = first + row(i);
      if (r >= rows) continue;
      float* to = matrix + (long long)r * width;
      const bool wide = aligned_pack<4>(to);
#pragma unroll
      for (int run = 0; run < RUNS; ++run) {
        float out[4];
#pragma unroll
        for (int e = 0; e < 4; ++e) out[e] = sums[i][4 * run + e] * factor[i];
        const int column = run * TILE + tx() * 4, count = larger(smaller(width - column, 4), 0);
        store_pack<4>(to, column, count, wide && count == 4, out);
      }
    }
  }
};

// What dropout keeps of a thread's scores: bit 4 i + j.  Drawn ahead, in a loop: unrolled, it would take all registers.
template <class Kept> GRADLIB_DEVICE unsigned int kept_bits(const Kept& kept) {
  if (!DROPOUT) return ~0u;
  unsigned int bits = 0;
#pragma unroll 1
  for (int i = 0; i < 16; ++i) bits |= (unsigned int)kept(i / 4, i % 4) << i;
  return bits;
}

extern __shared__ __align__(16) float memory[];

// y, and lse = log of the sum of exp of each row's scores, for the backward pass.
// Shared: 2 TILE (D + 4) + TILE (TILE + 4).
extern "C" __global__ void __launch_bounds__(Block<FORWARD_TILE>::THREADS, 1)
attention_forward(const float* __restrict__ q, const float* __restrict__ k, const float* __restrict__ v,
                  const void* __restrict__ mask, const unsigned long long* __restrict__ key, float* __restrict__ y,
                  float* __restrict__ lse, int heads, int kv_heads, int queries, int keys, int width, int value_width,
                  long long mask_batch, long long mask_head, long long mask_query, long long mask_key, int causal,
                  int offset, double scale, unsigned int threshold, double keep) {
  const Problem p = {heads, kv_heads, queries, keys, width, value_width, causal, offset, (float)scale * LOG2E, mask,
                     mask_batch, mask_head, mask_query, mask_key, key, threshold, (float)keep};
  constexpr int TILE = FORWARD_TILE;
  using B = Block<TILE>;
  float *q_tile = memory, *kv_tile = q_tile + TILE * PITCH, *scores = kv_tile + TILE * PITCH;

  const int tiles = ceil_div(queries, TILE), block = blockIdx.x;
  const int first = (tiles - 1 - block % tiles) * TILE;  // the longest first, if causal
  const Head head(p, block / tiles / heads, block / tiles % heads);
  q += head.query_rows() * width;
  k += head.key_rows() * width;
  v += head.key_rows() * value_width;
  const int end = p.keys_seen(smaller(first + TILE, queries));

  typename B::Sums sums = {};
  float top[4], total[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) top[i] = lowest<float>(), total[i] = 0.0f;
  B::fetch(q_tile, q, first, queries, width);
  for (int at = 0; at < end; at += TILE) {
    __syncthreads();  // everybody is done with the values before
    B::fetch(kv_tile, k, at, keys, width);
    ptx::cp_async_wait_all();
    __syncthreads();
    const unsigned int kept = kept_bits([&](int i, int j) { return head.kept(first + B::row(i), at + B::column(j)); });
    typename B::Scores s;
    B::dot(s, q_tile, kv_tile);
    __syncthreads();  // everybody is done with these keys
    B::fetch(kv_tile, v, at, keys, value_width);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      float most = top[i];
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        s[i][j] = head.score(s[i][j], first + B::row(i), at + B::column(j));
        most = fmaxf(most, s[i][j]);
      }
      most = B::template over_row<Greatest>(most);
      if (most == lowest<float>()) most = 0.0f;  // nothing seen so far: every weight is 0
      const float fade = weight(top[i], most);
      top[i] = most;
      total[i] *= fade;
#pragma unroll
      for (int e = 0; e < 4 * B::RUNS; ++e) sums[i][e] *= fade;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        s[i][j] = weight(s[i][j], most);
        total[i] += s[i][j];
        if (DROPOUT && !(kept >> (4 * i + j) & 1)) s[i][j] = 0.0f;
      }
    }
    B::keep(scores, s);
    ptx::cp_async_wait_all();
    __syncthreads();
    B::outer(sums, scores, kv_tile);
  }
  ptx::cp_async_wait_all();
  float factor[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    total[i] = B::template over_row<Add>(total[i]);
    factor[i] = total[i] == 0.0f ? 0.0f : p.keep / total[i];
    const int row = first + B::row(i);
    if (lse && B::tx() == 0 && row < queries) {
      lse[head.query_rows() + row] = total[i] == 0.0f ? lowest<float>() : top[i] * LN2 + logf(total[i]);
    }
  }
  B::put(sums, factor, y + head.query_rows() * value_width, first, queries, value_width);
}

// delta = the sum of y g of each row.  block (32, 8): a warp a row; grid (ceil(rows / 8)).
extern "C" __global__ void __launch_bounds__(256, 1)
attention_delta(const float* __restrict__ y, const float* __restrict__ g, float* __restrict__ delta, long long rows,
                int width) {
  const long long row = (long long)blockIdx.x * 8 + threadIdx.y;
  if (row >= rows) return;
  float sum = 0.0f;
  for (int i = threadIdx.x; i < width; i += 32) sum += y[row * width + i] * g[row * width + i];
#pragma unroll
  for (int half = 16; half > 0; half >>= 1) sum += shuffle_xor(sum, half);
  if (threadIdx.x == 0) delta[row] = sum;
}

// dq = scale dS k.  Shared: 3 TILE (D + 4) + TILE (TILE + 4).
extern "C" __global__ void __launch_bounds__(Block<BACKWARD_TILE>::THREADS, 1)
attention_dq(const float* __restrict__ q, const float* __restrict__ k, const float* __restrict__ v,
             const void* __restrict__ mask, const unsigned long long* __restrict__ key, const float* __restrict__ g,
             const float* __restrict__ lse, const float* __restrict__ delta, float* __restrict__ dq, int heads,
             int kv_heads, int queries, int keys, int width, int value_width, long long mask_batch, long long mask_head,
             long long mask_query, long long mask_key, int causal, int offset, double scale, unsigned int threshold,
             double keep) {
  const Problem p = {heads, kv_heads, queries, keys, width, value_width, causal, offset, (float)scale * LOG2E, mask,
                     mask_batch, mask_head, mask_query, mask_key, key, threshold, (float)keep};
  constexpr int TILE = BACKWARD_TILE;
  using B = Block<TILE>;
  float *q_tile = memory, *g_tile = q_tile + TILE * PITCH, *kv_tile = g_tile + TILE * PITCH;
  float* scores = kv_tile + TILE * PITCH;

  const int tiles = ceil_div(queries, TILE), block = blockIdx.x;
  const int first = (tiles - 1 - block % tiles) * TILE;
  const Head head(p, block / tiles / heads, block / tiles % heads);
  q += head.query_rows() * width;
  g += head.query_rows() * value_width;
  k += head.key_rows() * width;
  v += head.key_rows() * value_width;
  const int end = p.keys_seen(smaller(first + TILE, queries));

  typename B::Sums sums = {};
  float row_lse[4], row_delta[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int row = first + B::row(i);
    row_lse[i] = row < queries ? lse[head.query_rows() + row] : 0.0f;
    row_delta[i] = row < queries ? delta[head.query_rows() + row] : 0.0f;
  }
  B::fetch(q_tile, q, first, queries, width);
  B::fetch(g_tile, g, first, queries, value_width);
  for (int at = 0; at < end; at += TILE) {
    __syncthreads();  // everybody is done with the keys before
    B::fetch(kv_tile, v, at, keys, value_width);
    ptx::cp_async_wait_all();
    __syncthreads();
    const unsigned int kept = kept_bits([&](int i, int j) { return head.kept(first + B::row(i), at + B::column(j)); });
    typename B::Scores s, up;
    B::dot(up, g_tile, kv_tile);
    __syncthreads();  // everybody is done with these values
    B::fetch(kv_tile, k, at, keys, width);
    ptx::cp_async_wait_all();
    __syncthreads();
    B::dot(s, q_tile, kv_tile);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        s[i][j] = gradient(head, s[i][j], up[i][j], row_lse[i], row_delta[i], first + B::row(i), at + B::column(j),
                           kept >> (4 * i + j) & 1).score;
      }
    }
    B::keep(scores, s);
    __syncthreads();
    B::outer(sums, scores, kv_tile);
  }
  ptx::cp_async_wait_all();
  const float factor[4] = {p.scale * LN2, p.scale * LN2, p.scale * LN2, p.scale * LN2};
  B::put(sums, factor, dq + head.query_rows() * width, first, queries, width);
}

// dv = dropout(P)^T g, dk = scale dS^T q, summed over the heads that read these keys.  Tiles are of keys, heads those
// of the keys.  Shared: 4 TILE (D + 4) + TILE (TILE + 4).
extern "C" __global__ void __launch_bounds__(Block<BACKWARD_TILE>::THREADS, 1)
attention_dkv(const float* __restrict__ q, const float* __restrict__ k, const float* __restrict__ v,
              const void* __restrict__ mask, const unsigned long long* __restrict__ key, const float* __restrict__ g,
              const float* __restrict__ lse, const float* __restrict__ delta, float* __restrict__ dk,
              float* __restrict__ dv, int heads, int kv_heads, int queries, int keys, int width, int value_width,
              long long mask_batch, long long mask_head, long long mask_query, long long mask_key, int causal,
              int offset, double scale, unsigned int threshold, double keep) {
  const Problem p = {heads, kv_heads, queries, keys, width, value_width, causal, offset, (float)scale * LOG2E, mask,
                     mask_batch, mask_head, mask_query, mask_key, key, threshold, (float)keep};
  constexpr int TILE = BACKWARD_TILE;
  using B = Block<TILE>;
  float *k_tile = memory, *v_tile = k_tile + TILE * PITCH, *q_tile = v_tile + TILE * PITCH;
  float *g_tile = q_tile + TILE * PITCH, *scores = g_tile + TILE * PITCH;

  const int tiles = ceil_div(keys, TILE), block = blockIdx.x, first = block % tiles * TILE;
  const int batch = block / tiles / kv_heads, group = heads / kv_heads, kv_head = block / tiles % kv_heads;
  const long long key_rows = ((long long)batch * kv_heads + kv_head) * keys;
  B::fetch(k_tile, k + key_rows * width, first, keys, width);
  B::fetch(v_tile, v + key_rows * value_width, first, keys, value_width);

  typename B::Sums k_sums = {}, v_sums = {};
  for (int member = 0; member < group; ++member) {
    const Head head(p, batch, kv_head * group + member);
    for (int at = p.first_query(first) / TILE * TILE; at < queries; at += TILE) {
      __syncthreads();  // everybody is done with the tiles before
      B::fetch(q_tile, q + head.query_rows() * width, at, queries, width);
      B::fetch(g_tile, g + head.query_rows() * value_width, at, queries, value_width);
      ptx::cp_async_wait_all();
      __syncthreads();
      auto keeps = [&](int i, int j) { return head.kept(at + B::column(j), first + B::row(i)); };
      const unsigned int kept = kept_bits(keeps);
      typename B::Scores s, up = {};
      B::dot(s, k_tile, q_tile);
      if (PART != 1) B::dot(up, v_tile, g_tile);
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int query = at + B::column(j);
        const float row_lse = query < queries ? lse[head.query_rows() + query] : 0.0f;
        const float row_delta = query < queries ? delta[head.query_rows() + query] : 0.0f;
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const Gradient d = gradient(head, s[i][j], up[i][j], row_lse, row_delta, query, first + B::row(i),
                                      kept >> (4 * i + j) & 1);
          s[i][j] = d.dropped;
          up[i][j] = d.score;
        }
      }
      if (PART != 2) {
        B::keep(scores, s);
        __syncthreads();
        B::outer(v_sums, scores, g_tile);
      }
      if (PART != 1) {
        if (PART == 0) __syncthreads();
        B::keep(scores, up);
        __syncthreads();
        B::outer(k_sums, scores, q_tile);
      }
    }
  }
  ptx::cp_async_wait_all();
  const float back = p.scale * LN2, slope[4] = {back, back, back, back}, one[4] = {1.0f, 1.0f, 1.0f, 1.0f};
  if (PART != 1 && dk) B::put(k_sums, slope, dk + key_rows * width, first, keys, width);
  if (PART != 2 && dv) B::put(v_sums, one, dv + key_rows * value_width, first, keys, value_width);
}
