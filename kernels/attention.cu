// Attention in float16 and bfloat16 on tensor cores (see attention.cuh), keys and values a tile at a time: the scores
// are never in memory.  Forward: online softmax (Milakov and Gimelshein 2018; Dao et al. 2022).  Backward: the scores
// anew, from the saved logarithm of each row's sum; one kernel over tiles of keys for dk and dv, one over tiles of
// queries for dq, so every sum has one owner and a fixed order.
//
// D is the width of a tile's rows in shared memory: a multiple of 16, at least both widths; what is missing is 0.
// A warp takes 16 rows.  Dynamic shared memory: (rows of tiles) * (D + 8) * 2 bytes, see each kernel.
// grid: tiles * heads * batch, tiles the fastest.
//
// variants: T=__half,__nv_bfloat16 D=64
// variants: T=__nv_bfloat16 D=32,96,128
// variants: T=__nv_bfloat16 D=256 PART=1,2
// variants: T=__half D=64 MASK=2 MASKED=__half DROPOUT=1
// variants: T=__nv_bfloat16 D=128 MASK=1,2 DROPOUT=0,1
#include "gradlib/attention_tiles.cuh"

#ifndef PART  // of attention_dkv: 0 both gradients, 1 dv, 2 dk (a wide row's two at once need too many registers)
#define PART 0
#endif

using namespace attention;

extern __shared__ __align__(16) unsigned char memory[];

// y; and for the backward pass, where they are not null: rest, what y lost when it was rounded, and lse, the log of the
// sum of exp of each row's scores.  Shared: (64 + 2 KEYS) rows.
extern "C" __global__ void __launch_bounds__(WARPS * 32, 1)
attention_forward(const T* __restrict__ q, const T* __restrict__ k, const T* __restrict__ v,
                  const void* __restrict__ mask, const unsigned long long* __restrict__ key, T* __restrict__ y,
                  T* __restrict__ rest, float* __restrict__ lse, int heads, int kv_heads, int queries, int keys,
                  int width, int value_width, long long mask_batch, long long mask_head, long long mask_query,
                  long long mask_key, int causal, int offset, double scale, unsigned int threshold, double keep) {
  const Problem p = {heads, kv_heads, queries, keys, width, value_width, causal, offset, (float)scale * LOG2E, mask,
                     mask_batch, mask_head, mask_query, mask_key, key, threshold, (float)keep};
  constexpr int ROWS = 16 * WARPS;
  T* q_tile = reinterpret_cast<T*>(memory);
  T* k_tile = q_tile + ROWS * PITCH;
  T* v_tile = k_tile + KEYS * PITCH;

  const int tiles = ceil_div(queries, ROWS), block = blockIdx.x;
  const int first = (tiles - 1 - block % tiles) * ROWS;  // the longest first, if causal
  const Head head(p, block / tiles / heads, block / tiles % heads);
  q += head.query_rows() * width;
  k += head.key_rows() * width;
  v += head.key_rows() * value_width;
  const bool q_wide = rows_aligned(q, width), k_wide = rows_aligned(k, width), v_wide = rows_aligned(v, value_width);
  const int end = p.keys_seen(smaller(first + ROWS, queries));

  const int own = threadIdx.x / 32 * 16;  // this warp's first row of the tile
  float sums[D / 8][4] = {}, top[2] = {lowest<float>(), lowest<float>()}, total[2] = {0.0f, 0.0f};
  fetch<ROWS>(q_tile, q, first, queries, width, q_wide);
  if (end > 0) fetch<KEYS>(k_tile, k, 0, keys, width, k_wide);
  ptx::cp_async_commit_group();
  for (int at = 0; at < end; at += KEYS) {
    ptx::cp_async_wait_group<0>();
    __syncthreads();  // these keys are there, and everybody is done with the values before
    fetch<KEYS>(v_tile, v, at, keys, value_width, v_wide);
    ptx::cp_async_commit_group();
    const unsigned int kept = kept_bits<KEYS / 8>(head, first + own, at);
    float s[KEYS / 8][4] = {};
#pragma unroll UNROLL
    for (int step = 0; step < STEPS; ++step) {
      unsigned a[4];
      warp_tiles::left(a, q_tile, PITCH, own, step * 16);
      warp_tiles::times_rows(s, a, k_tile, PITCH, step * 16);
    }
    __syncthreads();  // everybody is done with these keys
    if (at + KEYS < end) fetch<KEYS>(k_tile, k, at + KEYS, keys, width, k_wide);
    ptx::cp_async_commit_group();

    float most[2] = {top[0], top[1]};
    const bool whole = MASK == 0 && at + KEYS <= keys && first + ROWS <= queries &&
                       (!causal || at + KEYS - 1 <= first + offset);
#pragma unroll
    for (int n = 0; n < KEYS / 8; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        s[n][e] = whole ? s[n][e] * p.scale : head.score(s[n][e], first + own + row_of(e), at + column_of(n, e));
        most[e / 2] = fmaxf(most[e / 2], s[n][e]);
      }
    }
    float fade[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      most[half] = quad<Greatest>(most[half]);
      if (most[half] == lowest<float>()) most[half] = 0.0f;  // nothing seen so far: every weight is 0
      fade[half] = weight(top[half], most[half]);
      top[half] = most[half];
      total[half] *= fade[half];
    }
#pragma unroll
    for (int n = 0; n < KEYS / 8; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        s[n][e] = weight(s[n][e], top[e / 2]);
        total[e / 2] += s[n][e];
        if (DROPOUT && !(kept >> (4 * n + e) & 1)) s[n][e] = 0.0f;
      }
    }
#pragma unroll
    for (int n = 0; n < D / 8; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) sums[n][e] *= fade[e / 2];
    }
    ptx::cp_async_wait_group<1>();
    __syncthreads();  // these values are there
#pragma unroll
    for (int step = 0; step < KEYS / 16; ++step) {
      unsigned a[4];
      warp_tiles::left<T>(a, s, step);
      warp_tiles::times_columns(sums, a, v_tile, PITCH, step * 16);
    }
  }
  ptx::cp_async_wait_all();
  __syncthreads();
  float factor[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    total[half] = quad<Add>(total[half]);
    factor[half] = total[half] == 0.0f ? 0.0f : p.keep / total[half];
    const int row = first + own + lane() / 4 + 8 * half;
    if (lse && lane() % 4 == 0 && row < queries) {
      lse[head.query_rows() + row] = total[half] == 0.0f ? lowest<float>() : top[half] * LN2 + logf(total[half]);
    }
  }
  y += head.query_rows() * value_width;
  put(q_tile + own * PITCH, sums, factor, y, first + own, queries, value_width);
  if (rest) {
    const float one[2] = {1.0f, 1.0f};
#pragma unroll
    for (int n = 0; n < D / 8; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const float value = sums[n][e] * factor[e / 2];
        sums[n][e] = value - to_acc(from_acc<T>(value));
      }
    }
    rest += head.query_rows() * value_width;
    put(q_tile + own * PITCH, sums, one, rest, first + own, queries, value_width);
  }
}

// delta = the sum of (y + rest) g of each row: with y as it was rounded, every score of a row would be off by the same
// amount in the backward pass, and that does not average out.  block (32, 8): a warp a row; grid (ceil(rows / 8)).
extern "C" __global__ void __launch_bounds__(256, 1)
attention_delta(const T* __restrict__ y, const T* __restrict__ rest, const T* __restrict__ g, float* __restrict__ delta,
                long long rows, int width) {
  const long long row = (long long)blockIdx.x * 8 + threadIdx.y;
  if (row >= rows) return;
  const bool wide = rows_aligned(y, width) && rows_aligned(rest, width) && rows_aligned(g, width);
  float sum = 0.0f;
  for (int i = threadIdx.x * 8; i < width; i += 256) {
    float a[8], b[8], c[8];
    const int count = smaller(width - i, 8);
    load_pack<8>(y, row * width + i, count, wide, a);
    load_pack<8>(rest, row * width + i, count, wide, b);
    load_pack<8>(g, row * width + i, count, wide, c);
#pragma unroll
    for (int e = 0; e < 8; ++e) sum += (a[e] + b[e]) * c[e];
  }
#pragma unroll
  for (int half = 16; half > 0; half >>= 1) sum += shuffle_xor(sum, half);
  if (threadIdx.x == 0) delta[row] = sum;
}

// dq = scale dS k.  Shared: (32 DQ_WARPS + 2 KEYS) rows.
extern "C" __global__ void __launch_bounds__(DQ_WARPS * 32, 1)
attention_dq(const T* __restrict__ q, const T* __restrict__ k, const T* __restrict__ v, const void* __restrict__ mask,
             const unsigned long long* __restrict__ key, const T* __restrict__ g, const float* __restrict__ lse,
             const float* __restrict__ delta, T* __restrict__ dq, int heads, int kv_heads, int queries, int keys,
             int width, int value_width, long long mask_batch, long long mask_head, long long mask_query,
             long long mask_key, int causal, int offset, double scale, unsigned int threshold, double keep) {
  const Problem p = {heads, kv_heads, queries, keys, width, value_width, causal, offset, (float)scale * LOG2E, mask,
                     mask_batch, mask_head, mask_query, mask_key, key, threshold, (float)keep};
  constexpr int ROWS = 16 * DQ_WARPS;
  T* q_tile = reinterpret_cast<T*>(memory);
  T* g_tile = q_tile + ROWS * PITCH;
  T* k_tile = g_tile + ROWS * PITCH;
  T* v_tile = k_tile + KEYS * PITCH;

  const int tiles = ceil_div(queries, ROWS), block = blockIdx.x;
  const int first = (tiles - 1 - block % tiles) * ROWS;
  const Head head(p, block / tiles / heads, block / tiles % heads);
  q += head.query_rows() * width;
  g += head.query_rows() * value_width;
  k += head.key_rows() * width;
  v += head.key_rows() * value_width;
  const bool k_wide = rows_aligned(k, width), v_wide = rows_aligned(v, value_width);
  fetch<ROWS>(q_tile, q, first, queries, width, rows_aligned(q, width));
  fetch<ROWS>(g_tile, g, first, queries, value_width, rows_aligned(g, value_width));

  const int own = threadIdx.x / 32 * 16, end = p.keys_seen(smaller(first + ROWS, queries));
  float sums[D / 8][4] = {}, row_lse[2], row_delta[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = first + own + lane() / 4 + 8 * half;
    row_lse[half] = row < queries ? lse[head.query_rows() + row] : 0.0f;
    row_delta[half] = row < queries ? delta[head.query_rows() + row] : 0.0f;
  }
  for (int at = 0; at < end; at += KEYS) {
    __syncthreads();  // everybody is done with the tiles before
    fetch<KEYS>(k_tile, k, at, keys, width, k_wide);
    fetch<KEYS>(v_tile, v, at, keys, value_width, v_wide);
    ptx::cp_async_wait_all();
    __syncthreads();
    const unsigned int kept = kept_bits<KEYS / 8>(head, first + own, at);
    float s[KEYS / 8][4] = {}, up[KEYS / 8][4] = {};
#pragma unroll UNROLL
    for (int step = 0; step < STEPS; ++step) {
      unsigned a[4];
      warp_tiles::left(a, q_tile, PITCH, own, step * 16);
      warp_tiles::times_rows(s, a, k_tile, PITCH, step * 16);
      warp_tiles::left(a, g_tile, PITCH, own, step * 16);
      warp_tiles::times_rows(up, a, v_tile, PITCH, step * 16);
    }
#pragma unroll
    for (int n = 0; n < KEYS / 8; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        s[n][e] = gradient(head, s[n][e], up[n][e], row_lse[e / 2], row_delta[e / 2], first + own + row_of(e),
                           at + column_of(n, e), kept >> (4 * n + e) & 1).score;
      }
    }
#pragma unroll
    for (int step = 0; step < KEYS / 16; ++step) {
      unsigned a[4];
      warp_tiles::left<T>(a, s, step);
      warp_tiles::times_columns(sums, a, k_tile, PITCH, step * 16);
    }
  }
  ptx::cp_async_wait_all();
  __syncthreads();
  const float factor[2] = {p.scale * LN2, p.scale * LN2};
  put(q_tile + own * PITCH, sums, factor, dq + head.query_rows() * width, first + own, queries, width);
}

// dv = dropout(P)^T g, dk = scale dS^T q, summed over the heads that read these keys.  Tiles are of keys, heads those
// of the keys.  Shared: (128 + 2 STAGES QUERIES) rows.
extern "C" __global__ void __launch_bounds__(WARPS * 32, 1)
attention_dkv(const T* __restrict__ q, const T* __restrict__ k, const T* __restrict__ v, const void* __restrict__ mask,
              const unsigned long long* __restrict__ key, const T* __restrict__ g, const float* __restrict__ lse,
              const float* __restrict__ delta, T* __restrict__ dk, T* __restrict__ dv, int heads, int kv_heads,
              int queries, int keys, int width, int value_width, long long mask_batch, long long mask_head,
              long long mask_query, long long mask_key, int causal, int offset, double scale, unsigned int threshold,
              double keep) {
  const Problem p = {heads, kv_heads, queries, keys, width, value_width, causal, offset, (float)scale * LOG2E, mask,
                     mask_batch, mask_head, mask_query, mask_key, key, threshold, (float)keep};
  constexpr int ROWS = 16 * WARPS;
  T* k_tile = reinterpret_cast<T*>(memory);
  T* v_tile = k_tile + ROWS * PITCH;
  T* q_tiles = v_tile + ROWS * PITCH;
  T* g_tiles = q_tiles + STAGES * QUERIES * PITCH;

  const int tiles = ceil_div(keys, ROWS), block = blockIdx.x, first = block % tiles * ROWS;
  const int batch = block / tiles / kv_heads, group = heads / kv_heads, kv_head = block / tiles % kv_heads;
  const long long key_rows = ((long long)batch * kv_heads + kv_head) * keys;
  k += key_rows * width;
  v += key_rows * value_width;
  fetch<ROWS>(k_tile, k, first, keys, width, rows_aligned(k, width));
  fetch<ROWS>(v_tile, v, first, keys, value_width, rows_aligned(v, value_width));

  // Steps: the heads in turn, of each the queries that may see these keys.
  const int from = p.first_query(first) / QUERIES * QUERIES;
  const int each = ceil_div(larger(queries - from, 0), QUERIES), steps = group * each;
  auto fetch_step = [&](int i) {
    const int head = kv_head * group + i / each, at = from + i % each * QUERIES, stage = i % STAGES * QUERIES * PITCH;
    const long long rows = ((long long)batch * heads + head) * queries;
    const T *q_head = q + rows * width, *g_head = g + rows * value_width;
    fetch<QUERIES>(q_tiles + stage, q_head, at, queries, width, rows_aligned(q_head, width));
    fetch<QUERIES>(g_tiles + stage, g_head, at, queries, value_width, rows_aligned(g_head, value_width));
  };

  const int own = threadIdx.x / 32 * 16;
  float k_sums[D / 8][4] = {}, v_sums[D / 8][4] = {};
  if (STAGES == 2 && steps > 0) fetch_step(0);
  ptx::cp_async_commit_group();
  for (int i = 0; i < steps; ++i) {
    if (STAGES == 1) {
      __syncthreads();  // everybody is done with the tiles before
      fetch_step(i);
      ptx::cp_async_commit_group();
    }
    ptx::cp_async_wait_group<0>();
    __syncthreads();  // this step's tiles are there, and everybody is done with those of the last
    if (STAGES == 2) {
      if (i + 1 < steps) fetch_step(i + 1);
      ptx::cp_async_commit_group();
    }
    const T *q_tile = q_tiles + i % STAGES * QUERIES * PITCH, *g_tile = g_tiles + i % STAGES * QUERIES * PITCH;
    const int at = from + i % each * QUERIES;
    const Head head(p, batch, kv_head * group + i / each);
    unsigned int kept = 0;  // here queries lie along the fragments' columns
    if (DROPOUT) {
#pragma unroll 1
      for (int i = 0; i < QUERIES / 2; ++i) {
        kept |= (unsigned int)head.kept(at + column_of(i / 4, i % 4), first + own + row_of(i % 4)) << i;
      }
    }
    float s[QUERIES / 8][4] = {}, up[QUERIES / 8][4] = {};
#pragma unroll UNROLL
    for (int step = 0; step < STEPS; ++step) {
      unsigned a[4];
      warp_tiles::left(a, k_tile, PITCH, own, step * 16);
      warp_tiles::times_rows(s, a, q_tile, PITCH, step * 16);
      if (PART != 1) {
        warp_tiles::left(a, v_tile, PITCH, own, step * 16);
        warp_tiles::times_rows(up, a, g_tile, PITCH, step * 16);
      }
    }
#pragma unroll
    for (int n = 0; n < QUERIES / 8; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int query = at + column_of(n, e);
        const bool inside = query < queries;
        const float row_lse = inside ? lse[head.query_rows() + query] : 0.0f;
        const float row_delta = inside && PART != 1 ? delta[head.query_rows() + query] : 0.0f;
        const Gradient d = gradient(head, s[n][e], up[n][e], row_lse, row_delta, query, first + own + row_of(e),
                                    kept >> (4 * n + e) & 1);
        s[n][e] = d.dropped;
        up[n][e] = d.score;
      }
    }
#pragma unroll
    for (int step = 0; step < QUERIES / 16; ++step) {
      unsigned a[4];
      if constexpr (PART != 2) {
        warp_tiles::left<T>(a, s, step);
        warp_tiles::times_columns(v_sums, a, g_tile, PITCH, step * 16);
      }
      if constexpr (PART != 1) {
        warp_tiles::left<T>(a, up, step);
        warp_tiles::times_columns(k_sums, a, q_tile, PITCH, step * 16);
      }
    }
  }
  ptx::cp_async_wait_all();
  __syncthreads();
  if constexpr (PART != 1) {
    const float factor[2] = {p.scale * LN2, p.scale * LN2};
    if (dk) put(k_tile + own * PITCH, k_sums, factor, dk + key_rows * width, first + own, keys, width);
  }
  if constexpr (PART != 2) {
    const float factor[2] = {1.0f, 1.0f};
    if (dv) put(v_tile + own * PITCH, v_sums, factor, dv + key_rows * value_width, first + own, keys, value_width);
  }
}
