// Layer normalisation (Ba, Kiros, Hinton 2016) of the rows of x (rows, columns): y = (x - mean) rstd weight + bias;
// with RMS=1 root mean square normalisation (Zhang, Sennrich 2019): y = x rstd weight, rstd = 1 / sqrt(mean(x^2) +
// eps).
//
// Row kernels.  block (threads of a row, rows at a time), full warps a row; see rows.cuh.  PACKS packs of 16 bytes of a
// row stay in each thread's registers (threads * PACKS * 16 bytes hold a row), so x is read once; PACKS=0 takes any
// row. Variances are of deviations from the mean, in two walks over the row. PARAM is the type of weight, bias and
// their gradients; both may be null.
//
// variants: T=float,double,__half PACKS=0,2
// variants: T=__nv_bfloat16 RMS=1 PACKS=1,2
// variants: T=float,double PACKS=4
// variants: T=__nv_bfloat16 PARAM=float PACKS=0,2
#include "gradlib/rows.cuh"

#ifndef T
#define T float
#endif
#ifndef PARAM
#define PARAM T
#endif
#ifndef RMS
#define RMS 0
#endif
#ifndef PACKS
#define PACKS 2
#endif

using A = acc_t<T>;
constexpr int N = PACK<T>;
// Threads of a block, at most: with more, registers would spill.
constexpr int FORWARD_THREADS = PACKS == 0 ? 512 : 1024, BACKWARD_THREADS = PACKS > 2 ? 256 : 512;

// A parameter's pack as accumulators of x's kind, `missing` where there is no such parameter.
GRADLIB_DEVICE void load_param(const PARAM* p, int i, int have, A missing, A (&out)[N]) {
  if (p) {
    acc_t<PARAM> v[N];
    load_pack<N>(p, i, have, have == N && aligned_pack<N>(p), v);
#pragma unroll
    for (int k = 0; k < N; ++k) out[k] = A(v[k]);
  } else {
#pragma unroll
    for (int k = 0; k < N; ++k) out[k] = missing;
  }
}

// grid (ceil(rows / blockDim.y)).  mean is null with RMS; both may be null where nothing is differentiated.
extern "C" __global__ void __launch_bounds__(FORWARD_THREADS, 1)
layer_norm_forward(const T* __restrict__ x, const PARAM* __restrict__ weight, const PARAM* __restrict__ bias,
                   T* __restrict__ y, A* __restrict__ mean, A* __restrict__ rstd, int rows, int columns, double eps) {
  __shared__ A shared[MOST_WARPS];
  const long long r = (long long)blockIdx.x * blockDim.y + threadIdx.y;
  if (r >= rows) return;  // whole groups leave
  Row<T, PACKS> row(x + r * columns, columns);
  y += r * columns;
  A center = A(0);
  if (!RMS) {
    A sum = A(0);
    row.each([&](int, int, int, const A (&v)[N]) {
      A part = v[0];
#pragma unroll
      for (int k = 1; k < N; ++k) part += v[k];
      sum += part;
    });
    center = group_reduce<Add>(sum, shared) / A(columns);
  }
  A squares = A(0);
  row.each([&](int, int, int have, const A (&v)[N]) {
    A part = A(0);
#pragma unroll
    for (int k = 0; k < N; ++k) part += k < have ? (v[k] - center) * (v[k] - center) : A(0);
    squares += part;
  });
  const A scale = A(1) / fn::sqrt(group_reduce<Add>(squares, shared) / A(columns) + A(eps));
  const bool wide = aligned_pack<N>(y);
  row.each([&](int, int i, int have, const A (&v)[N]) {
    A w[N], b[N], out[N];
    load_param(weight, i, have, A(1), w);
    load_param(bias, i, have, A(0), b);
#pragma unroll
    for (int k = 0; k < N; ++k) out[k] = (v[k] - center) * scale * w[k] + b[k];
    store_pack<N>(y, i, have, wide && have == N, out);
  });
  if (threadIdx.x == 0) {
    if (mean) mean[r] = center;
    if (rstd) rstd[r] = scale;
  }
}

struct Sums {
  A g, gx;  // of w g, and of w g xhat
};
GRADLIB_DEVICE Sums shuffle_xor(Sums v, int mask) { return {shuffle_xor(v.g, mask), shuffle_xor(v.gx, mask)}; }
struct AddSums {
  static GRADLIB_DEVICE Sums combine(Sums a, Sums b) { return {a.g + b.g, a.gx + b.gx}; }
};

// Adds `v` up over the block's groups and writes the sums to out[i] ..., i < columns.  `lines` holds a pack a thread.
GRADLIB_DEVICE void over_groups(const A (&v)[N], A* out, int i, int columns, A* lines) {
  A total[N];
#pragma unroll
  for (int k = 0; k < N; ++k) total[k] = v[k];
  if (blockDim.y > 1) {
    __syncthreads();  // the readers of an earlier call are done
#pragma unroll
    for (int k = 0; k < N; ++k) lines[(threadIdx.y * blockDim.x + threadIdx.x) * N + k] = v[k];
    __syncthreads();
    for (int y = 1; y < blockDim.y; ++y) {
#pragma unroll
      for (int k = 0; k < N; ++k) total[k] += lines[(y * blockDim.x + threadIdx.x) * N + k];
    }
  }
  if (threadIdx.y == 0) {
    const int have = larger(smaller(columns - i, N), 0);
    store_pack<N>(out, i, have, have == N && aligned_pack<N>(out), total);
  }
}

// With xhat = (x - mean) rstd: dx = rstd (w g - mean(w g) - xhat mean(w g xhat)), the first mean absent with RMS. Each
// group of threads takes rows in turn; grid any.  With PACKS > 0 the block also sums g xhat and g of its rows, for the
// gradients of weight and bias: line blockIdx.x of part_w, part_b (blocks, columns), where they are not null.  dx may
// be null.
extern "C" __global__ void __launch_bounds__(BACKWARD_THREADS, 1)
layer_norm_backward(const T* __restrict__ x, const T* __restrict__ g, const PARAM* __restrict__ weight,
                    const A* __restrict__ mean, const A* __restrict__ rstd, T* __restrict__ dx, A* __restrict__ part_w,
                    A* __restrict__ part_b, int rows, int columns) {
  __shared__ Sums shared[MOST_WARPS];
  __shared__ A lines[BACKWARD_THREADS * N];
  A dw[PACKS == 0 ? 1 : PACKS][N] = {}, db[PACKS == 0 ? 1 : PACKS][N] = {};
  const long long step = (long long)gridDim.x * blockDim.y;
  for (long long r = (long long)blockIdx.x * blockDim.y + threadIdx.y; r < rows; r += step) {
    Row<T, PACKS> row(x + r * columns, columns), up(g + r * columns, columns);
    const A center = RMS ? A(0) : mean[r], scale = rstd[r];
    // What each walk needs of a pack: xhat, and w g.
    auto both = [&](const auto& f) {
      row.each([&](int u, int i, int have, const A (&v)[N]) {
        A w[N], xhat[N], wg[N];
        if (PACKS == 0) load_pack<N>(up.at, i, have, up.wide && have == N, up.held[0]);
        load_param(weight, i, have, A(1), w);
#pragma unroll
        for (int k = 0; k < N; ++k) {
          xhat[k] = k < have ? (v[k] - center) * scale : A(0);
          wg[k] = w[k] * up.held[u][k];
        }
        f(u, i, have, xhat, wg);
      });
    };
    if (dx) {
      Sums sums = {A(0), A(0)};
      both([&](int, int, int, const A (&xhat)[N], const A (&wg)[N]) {
        Sums part = {A(0), A(0)};
#pragma unroll
        for (int k = 0; k < N; ++k) part = AddSums::combine(part, Sums{wg[k], wg[k] * xhat[k]});
        sums = AddSums::combine(sums, part);
      });
      sums = group_reduce<AddSums>(sums, shared);
      const A off = RMS ? A(0) : sums.g / A(columns), slope = sums.gx / A(columns);
      T* out = dx + r * columns;
      const bool wide = aligned_pack<N>(out);
      both([&](int, int i, int have, const A (&xhat)[N], const A (&wg)[N]) {
        A d[N];
#pragma unroll
        for (int k = 0; k < N; ++k) d[k] = scale * (wg[k] - off - xhat[k] * slope);
        store_pack<N>(out, i, have, wide && have == N, d);
      });
    }
#pragma unroll
    for (int u = 0; u < PACKS; ++u) {
#pragma unroll
      for (int k = 0; k < N; ++k) {
        dw[u][k] += up.held[u][k] * (row.held[u][k] - center) * scale;
        db[u][k] += up.held[u][k];
      }
    }
  }
#pragma unroll
  for (int u = 0; u < PACKS; ++u) {
    const int i = Row<T, PACKS>::place(u);
    if (part_w) over_groups(dw[u], part_w + (long long)blockIdx.x * columns, i, columns, lines);
    if (part_b) over_groups(db[u], part_b + (long long)blockIdx.x * columns, i, columns, lines);
  }
}

// The same sums for rows of any width, by column tiles: block (32, 8), grid (ceil(columns / 32), parts); a part is
// `share` neighbouring rows, and line blockIdx.y of part_w, part_b.
extern "C" __global__ void __launch_bounds__(256, 1)
layer_norm_columns(const T* __restrict__ x, const T* __restrict__ g, const A* __restrict__ mean,
                   const A* __restrict__ rstd, A* __restrict__ part_w, A* __restrict__ part_b, int rows, int columns,
                   int share) {
  __shared__ Sums shared[256];
  const int column = blockIdx.x * 32 + threadIdx.x;
  const long long begin = (long long)blockIdx.y * share, end = smaller(begin + share, (long long)rows);
  Sums total = {A(0), A(0)};
  if (column < columns) {
    auto get = [&](long long r) {
      const A v = to_acc(g[r * columns + column]);
      return Sums{v, v * (to_acc(x[r * columns + column]) - (RMS ? A(0) : mean[r])) * rstd[r]};
    };
    total = fold<AddSums>(get, total, begin + threadIdx.y, end, 8);
  }
  total = column_reduce<AddSums>(total, shared);
  if (threadIdx.y == 0 && column < columns) {
    if (part_w) part_w[(long long)blockIdx.y * columns + column] = total.gx;
    if (part_b) part_b[(long long)blockIdx.y * columns + column] = total.g;
  }
}

// dweight and dbias: the sums of the lines of part_w and part_b (parts, columns).  block (32, 8), grid
// (ceil(columns / 32)); a gradient that is null is not wanted.
extern "C" __global__ void __launch_bounds__(256, 1)
layer_norm_finish(const A* __restrict__ part_w, const A* __restrict__ part_b, PARAM* __restrict__ dweight,
                  PARAM* __restrict__ dbias, int columns, int parts) {
  __shared__ Sums shared[256];
  const int column = blockIdx.x * 32 + threadIdx.x;
  Sums total = {A(0), A(0)};
  if (column < columns) {
    auto get = [&](long long p) {
      return Sums{dbias ? part_b[p * columns + column] : A(0), dweight ? part_w[p * columns + column] : A(0)};
    };
    total = fold<AddSums>(get, total, threadIdx.y, parts, 8);
  }
  total = column_reduce<AddSums>(total, shared);
  if (threadIdx.y == 0 && column < columns) {
    if (dweight) dweight[column] = from_acc<PARAM>(acc_t<PARAM>(total.gx));
    if (dbias) dbias[column] = from_acc<PARAM>(acc_t<PARAM>(total.g));
  }
}
