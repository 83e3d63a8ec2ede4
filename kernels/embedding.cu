// Rows of a table by index, y[i] = weight[index[i]], and the gradient of the table: the sums of the rows of g that fell
// on each of its rows.
//
// The lanes of a row, blockDim.x (a power of two up to 32), take packs of 16 bytes side by side; blockDim.y such groups
// are a block, and gridDim.y of them cover a row: ceil(width / (lanes * elements of a pack)).
//
// For the gradient the places come sorted by index: sorted[p] is the p-th smallest index, order[p] where it stood;
// equal ones keep their order.  A chunk of CHUNK places is added up by one group, in order; what belongs to a run of
// equal indices that reaches beyond the chunk goes to `part`, and embedding_finish adds such parts up, in order.  So a
// row that occurs everywhere is the work of many, and the same inputs give the same bits.
//
// variants: T=float,double,__half,__nv_bfloat16
// variants: T=float,__nv_bfloat16 INDEX=int
#include "gradlib/pack.cuh"
#include "gradlib/reduce.cuh"

#ifndef T
#define T float
#endif
#ifndef INDEX
#define INDEX long long
#endif

using A = acc_t<T>;
constexpr int N = PACK<T>;
constexpr int CHUNK = 16;  // gradlib/ops/embedding.py knows it too

// The first column of this thread's pack.
GRADLIB_DEVICE int column() { return (blockIdx.y * blockDim.x + threadIdx.x) * N; }

// Negative indices count from the end.  An index that is no row gives NaN: nothing outside the table is read.
// grid (ceil(count / blockDim.y), tiles).
extern "C" __global__ void __launch_bounds__(256, 1)
embedding_forward(const T* __restrict__ weight, const INDEX* __restrict__ index, T* __restrict__ y, long long count,
                  long long rows, int width) {
  const long long i = (long long)blockIdx.x * blockDim.y + threadIdx.y;
  if (i >= count) return;
  long long row = index[i];
  if (row < 0) row += rows;
  const bool inside = row >= 0 && row < rows;
  const T* from = weight + (inside ? row : 0) * width;
  T* to = y + i * width;
  const int at = column(), have = smaller(width - at, N);
  if (have <= 0) return;
  const bool wide = aligned_pack<N>(from) && aligned_pack<N>(to) && have == N;
  A v[N];
  load_pack<N>(from, at, inside ? have : 0, inside && wide, v);
#pragma unroll
  for (int k = 0; k < N; ++k) v[k] = inside ? v[k] : highest<A>() - highest<A>();
  store_pack<N>(to, at, have, wide, v);
}

struct Values {
  A at[N];
};
struct AddValues {
  static GRADLIB_DEVICE Values combine(Values a, Values b) {
#pragma unroll
    for (int k = 0; k < N; ++k) a.at[k] += b.at[k];
    return a;
  }
};

// The first place whose index is not below (`after`: not up to) `index`.
GRADLIB_DEVICE long long find(const long long* sorted, long long count, long long index, bool after) {
  long long low = 0, high = count;
  while (low < high) {
    const long long middle = (low + high) / 2;
    if (sorted[middle] < index || (after && sorted[middle] == index)) low = middle + 1;
    else high = middle;
  }
  return low;
}

// The gradient of a table, which is 0 before.
struct Table {
  const long long* sorted;
  T* dweight;
  long long count, padding;
  int width;
  bool by_frequency;
  GRADLIB_DEVICE void put(long long index, int at, Values v) const {
    if (index == padding) return;
    A share = A(1);
    if (by_frequency) share /= A(find(sorted, count, index, true) - find(sorted, count, index, false));
#pragma unroll
    for (int k = 0; k < N; ++k) v.at[k] *= share;
    T* to = dweight + index * width;
    const int have = smaller(width - at, N);
    store_pack<N>(to, at, have, have == N && aligned_pack<N>(to), v.at);
  }
};

// part: for each chunk, a line for the run that came from before, and one for the run that goes on behind.
GRADLIB_DEVICE A* line_of(A* part, long long chunk, int behind, int width) {
  return part + (2 * chunk + behind) * width;
}

// grid (ceil(chunks / blockDim.y), tiles); padding is -1 if there is no row without a gradient.
extern "C" __global__ void __launch_bounds__(256, 1)
embedding_backward(const T* __restrict__ g, const long long* __restrict__ order, const long long* __restrict__ sorted,
                   T* __restrict__ dweight, A* __restrict__ part, long long count, int width, long long padding,
                   int by_frequency) {
  const long long chunk = (long long)blockIdx.x * blockDim.y + threadIdx.y, begin = chunk * CHUNK;
  if (begin >= count) return;
  const long long end = smaller(begin + CHUNK, count);
  const Table table = {sorted, dweight, count, padding, width, by_frequency != 0};
  const int at = column(), have = smaller(width - at, N);
  if (have <= 0) return;
  Values sum = {};
  long long first = begin;  // of the run
  for (long long base = begin; base < end; base += 4) {
    Values v[4];
#pragma unroll
    for (int u = 0; u < 4; ++u) {  // four rows on their way at once
      const T* from = g + (base + u < end ? order[base + u] : 0) * width;
      load_pack<N>(from, at, base + u < end ? have : 0, base + u < end && have == N && aligned_pack<N>(from), v[u].at);
    }
#pragma unroll
    for (int u = 0; u < 4; ++u) {
      const long long p = base + u;
      if (p >= end) break;
      sum = AddValues::combine(sum, v[u]);
      const long long index = sorted[p];
      const bool ends = p + 1 == count || sorted[p + 1] != index;
      if (!ends && p + 1 < end) continue;
      const bool before = first == begin && begin > 0 && sorted[begin - 1] == index;
      if (before || !ends) {
        A* to = line_of(part, chunk, !before, width);
        store_pack<N>(to, at, have, have == N && aligned_pack<N>(to), sum.at);
      } else {
        table.put(index, at, sum);
      }
      sum = Values{};
      first = p + 1;
    }
  }
}

// Adds up the parts of each run that begins in a chunk and goes on behind it.  grid (ceil(chunks / blockDim.y), tiles).
extern "C" __global__ void __launch_bounds__(256, 1)
embedding_finish(A* __restrict__ part, const long long* __restrict__ sorted, T* __restrict__ dweight, long long count,
                 int width, long long padding, int by_frequency) {
  const long long chunk = (long long)blockIdx.x * blockDim.y + threadIdx.y, begin = chunk * CHUNK, end = begin + CHUNK;
  if (end >= count || sorted[end] != sorted[end - 1]) return;
  const long long index = sorted[end - 1];
  if (sorted[begin] == index && begin > 0 && sorted[begin - 1] == index) return;  // it began earlier
  const Table table = {sorted, dweight, count, padding, width, by_frequency != 0};
  const long long last = (find(sorted, count, index, true) - 1) / CHUNK;
  const int at = column(), have = smaller(width - at, N);
  if (have <= 0) return;
  auto get = [&](long long c) {
    const A* from = line_of(part, c, c == chunk, width);
    Values v;
    load_pack<N>(from, at, have, have == N && aligned_pack<N>(from), v.at);
    return v;
  };
  table.put(index, at, fold<AddValues>(get, Values{}, chunk, last + 1, 1));
}
