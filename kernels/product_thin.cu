// Matrix products whose floor is memory, since one operand has at most eight rows (or columns): y(z) = finish(A(z) B(z)).
// The small operand stands in shared memory, in accumulators, a chunk of k at a time.  The big one is read once, in
// pieces of 16 bytes, straight into registers: several of a thread are under way at any time.  Threads that share
// elements of y lie beside each other along k; their sums are added within warps, then over warps, always in one order.
// The configurations are those of ops/product/thin.py.
// flops: 2 * count * extent * k * products
// bytes: products * (size(OPERAND) * (count + extent) * k + size(OUT) * count * extent * splits)
// variants: T=float,double,__half ALONG=0,1 ROWS=1,8 PAIRED=1
// variants: T=float ALONG=0,1 ROWS=2,4 PAIRED=1
// variants: T=__nv_bfloat16 ALONG=0,1 SWAPPED=0,1 ROWS=8 PAIRED=0,1
// variants: T=float,double,__half ALONG=0,1 SWAPPED=0,1 ROWS=8 ALIGNED=0
// variants: T=float,double,__nv_bfloat16 ALONG=1 SWAPPED=1 ROWS=8 DEPTH=2,8
// variants: T=float OPERAND=__half,__nv_bfloat16 ALONG=0,1 ROWS=8 PAIRED=1
// variants: T=float ALONG=0 ROWS=8 PAIRED=1 BIAS=1 ACT=relu,gelu,tanh,mish SAVE=1
// variants: T=double,__half ALONG=0 ROWS=8 PAIRED=1 BIAS=1 ACT=gelu SAVE=1
// variants: T=float,double,__nv_bfloat16 ALONG=1 ROWS=8 SLOPE=1 SLOPE_ACT=gelu RESIDUAL=1
// variants: T=float,double,__nv_bfloat16 ALONG=1 SWAPPED=1 ROWS=8 SCALE=1 BIAS=1 ACT=silu RESIDUAL=2 DROPOUT=1
#ifndef OPERAND  // elements of A and B
#define OPERAND T
#endif
#ifndef ROWS  // of the small operand, rounded up: 1, 2, 4 or 8
#define ROWS 8
#endif
#ifndef SWAPPED  // 0: the small operand is A; 1: it is B, and its index counts the columns of y
#define SWAPPED 0
#endif
#ifndef ALONG  // neighbours of the big operand follow k (1) or its other index (0)
#define ALONG 0
#endif
#ifndef ALIGNED  // 1: rows of the big operand begin and end at multiples of 16 bytes; 0: elements are read one by one
#define ALIGNED 1
#endif
#ifndef DEPTH  // threads of a block beside each other along k, where ALONG
#define DEPTH 32
#endif

#include "gradlib/finish.cuh"
#include "gradlib/pack.cuh"
#include "gradlib/schedule.cuh"

namespace thin {

using A = acc_t<OPERAND>;

constexpr int THREADS = 256;
constexpr int STEP = 64;                                          // parts of k begin at multiples of it
constexpr int VECTOR = ALIGNED ? PACK<OPERAND> : 1;               // elements of a piece
constexpr int DEEP = ALONG ? DEPTH : ALIGNED ? 32 : 8;            // threads along k
constexpr int ACROSS = THREADS / DEEP;                            // and across
constexpr int EACH = !ALONG ? VECTOR : ROWS * sizeof(A) > 32 ? 2 : 4;  // of the big operand's other index, of a thread
constexpr int TILE = ACROSS * EACH;                               // and of a block
constexpr int MOST = ALIGNED ? 8 : 32;                            // lanes along k that read whole sectors
constexpr int LANES = !ALONG ? (ACROSS < 32 ? 32 / ACROSS : 1) : DEEP < MOST ? DEEP : MOST;  // of a warp along k
constexpr int WARPS = DEEP / LANES;                               // along k
constexpr int UNROLL = !ALONG ? (ROWS > 4 ? 4 : 8) : (ROWS == 4 && sizeof(A) > 4 ? 4 : 8) / EACH;  // times EACH if ALONG
constexpr int RESIDENT = ALONG && ROWS > 4 ? 1 : 2;               // blocks of a multiprocessor to leave registers for
static_assert(STEP % VECTOR == 0, "pieces must not cross the parts of k");

using Piece = Pack<OPERAND, VECTOR>;

// Of this thread: how far along k, which of those across.
struct Place {
  int depth, across;

  GRADLIB_DEVICE Place() {
    const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
    depth = ALONG ? lane % LANES + LANES * (warp % WARPS) : thread / ACROSS;
    across = ALONG ? lane / LANES + 32 / LANES * (warp / WARPS) : thread % ACROSS;
  }
  // Index within the tile of the thread's j-th.
  GRADLIB_DEVICE int index(int j) const { return ALONG ? across + ACROSS * j : across * EACH + j; }
};

// An operand in memory: element (i, k) at i * across + k * along.
struct Small {
  const OPERAND* at;
  long long across, along, batch;
  int count;
};
struct Big {
  const OPERAND* at;
  long long pitch, batch;  // elements between rows (of k, or, ALONG 0, of the other index)
  int extent;
};

// Where element (row, k) of a chunk stands.
GRADLIB_DEVICE int slot(int row, int k, int chunk) { return ALONG ? row * chunk + k : k * ROWS + row; }

GRADLIB_DEVICE void stage(A* held, const Small& small, int product, int begin, int length, int chunk) {
  const OPERAND* from = small.at + product * small.batch + begin * small.along;
  for (int k = threadIdx.x; k < length; k += THREADS)
#pragma unroll
    for (int row = 0; row < ROWS; ++row)
      held[slot(row, k, chunk)] = row < small.count ? to_acc(from[row * small.across + k * small.along]) : A(0);
}

using Sums = A[ROWS][EACH];

// One piece of each of UNROLL of k and, ALONG, of EACH others: `count` of k are there from `k` on.
template <int COUNT>
GRADLIB_DEVICE void add(Sums& sum, const OPERAND* const (&from)[ALONG ? EACH : 1], long long pitch, const A* held, int k,
                        int chunk) {
  constexpr int PIECES = ALONG ? EACH : 1, PART = VECTOR < PACK<A> ? VECTOR : PACK<A>;
  Piece piece[COUNT][PIECES];
#pragma unroll
  for (int u = 0; u < COUNT; ++u)
#pragma unroll
    for (int j = 0; j < PIECES; ++j) {
      const int at = k + u * DEEP * (ALONG ? VECTOR : 1);
      piece[u][j] = *reinterpret_cast<const Piece*>(from[j] + (ALONG ? at : at * pitch));
    }
#pragma unroll
  for (int u = 0; u < COUNT; ++u) {
    if constexpr (ALONG) {
#pragma unroll
      for (int i = 0; i < VECTOR; i += PART) {
        A big[EACH][PART];
#pragma unroll
        for (int j = 0; j < EACH; ++j)
#pragma unroll
          for (int e = 0; e < PART; ++e) big[j][e] = to_acc(piece[u][j].at[i + e]);
#pragma unroll
        for (int row = 0; row < ROWS; ++row) {
          const A* at = held + slot(row, k + u * DEEP * VECTOR + i, chunk);
          const Pack<A, PART> small = *reinterpret_cast<const Pack<A, PART>*>(at);
#pragma unroll
          for (int j = 0; j < EACH; ++j)
#pragma unroll
            for (int e = 0; e < PART; ++e) sum[row][j] = mul_add<A>(small.at[e], big[j][e], sum[row][j]);
        }
      }
    } else {
      const Pack<A, ROWS> small = *reinterpret_cast<const Pack<A, ROWS>*>(held + slot(0, k + u * DEEP, chunk));
#pragma unroll
      for (int j = 0; j < EACH; ++j) {
        const A big = to_acc(piece[u][0].at[j]);
#pragma unroll
        for (int row = 0; row < ROWS; ++row) sum[row][j] = mul_add<A>(small.at[row], big, sum[row][j]);
      }
    }
  }
}

// Adds the products of `length` of k from `begin` on.
GRADLIB_DEVICE void accumulate(Sums& sum, const Place& place, const Big& big, int product, int first, int begin,
                               int length, const A* held, int chunk) {
  constexpr int PIECES = ALONG ? EACH : 1, NEXT = DEEP * (ALONG ? VECTOR : 1);
  const OPERAND* from[PIECES];
#pragma unroll
  for (int j = 0; j < PIECES; ++j) {
    const int other = first + place.index(j), inside = other < big.extent ? other : 0;  // read, and not made use of
    from[j] = big.at + product * big.batch + (ALONG ? inside * big.pitch + begin : begin * big.pitch + inside);
  }
  int k = place.depth * (ALONG ? VECTOR : 1);
#pragma unroll 1
  for (; k + (UNROLL - 1) * NEXT < length; k += UNROLL * NEXT) add<UNROLL>(sum, from, big.pitch, held, k, chunk);
#pragma unroll 1
  for (; k < length; k += NEXT) add<1>(sum, from, big.pitch, held, k, chunk);
}

// Adds up over the lanes along k; each warp leaves its sums.
GRADLIB_DEVICE void leave(A* sums, Sums& sum, const Place& place) {
#pragma unroll
  for (int row = 0; row < ROWS; ++row)
#pragma unroll
    for (int j = 0; j < EACH; ++j) {
      A v = sum[row][j];
#pragma unroll
      for (int other = LANES / 2; other > 0; other /= 2) v += __shfl_xor_sync(0xffffffff, v, other * (ALONG ? 1 : ACROSS));
      if (place.depth % LANES == 0) sums[(place.depth / LANES * ROWS + row) * TILE + place.index(j)] = v;
    }
}

GRADLIB_DEVICE A total(const A* sums, int row, int index) {
  A v = sums[row * TILE + index];
#pragma unroll
  for (int warp = 1; warp < WARPS; ++warp) v += sums[(warp * ROWS + row) * TILE + index];
  return v;
}

}  // namespace thin

// small: ROWS or less (count), by `across` and `along` k.  big: rows of `pitch` elements.  y, z: (products, m, n), or, of a
// sum that is split, (products, splits, m, n).
// Grid: any number of blocks of one dimension; dynamic shared memory: ROWS x chunk, then WARPS x ROWS x TILE, of accumulators.
extern "C" __global__ void __launch_bounds__(thin::THREADS, thin::RESIDENT)
product_thin(const OPERAND* __restrict__ small, const OPERAND* __restrict__ big, const T* bias, const T* scale,
             const T* slope, const T* residual, const unsigned long long* key, OUT* y, OUT* z, unsigned int threshold,
             double keep, int count, int extent, int k, int products, int splits, int chunk, long long across,
             long long along, long long small_batch, long long pitch, long long big_batch) {
  using namespace thin;
  extern __shared__ __align__(16) unsigned char memory[];
  A* held = reinterpret_cast<A*>(memory);
  A* sums = held + ROWS * chunk;
  const Place place;
  const Small left{small, across, along, small_batch, count};
  const Big right{big, pitch, big_batch, extent};
  const int m = SWAPPED ? extent : count, n = SWAPPED ? count : extent, tiles = ceil_div(extent, TILE);
  const Finish finish{bias, scale, slope, residual, key, threshold, Finish::A(keep), n};
  const long long tasks = (long long)tiles * products * splits;
  int held_z = -1, held_k = 0;
  for (long long task = blockIdx.x; task < tasks; task += gridDim.x) {
    const int first = (int)(task % tiles) * TILE, zs = (int)(task / tiles), product = zs / splits;
    const schedule::Part part = schedule::part(ceil_div(k, STEP), splits, zs % splits);
    const int end = smaller(part.end * STEP, k);
    Sums sum = {};
    for (int begin = part.begin * STEP; begin < end; begin += chunk) {
      const int length = smaller(end - begin, chunk);
      if (zs != held_z || begin != held_k) {
        __syncthreads();  // nobody reads the chunk before any more
        stage(held, left, product, begin, length, chunk);
        __syncthreads();
        held_z = zs, held_k = begin;
      }
      accumulate(sum, place, right, product, first, begin, length, held, chunk);
    }
    leave(sums, sum, place);
    __syncthreads();
    constexpr int PAIRS = SWAPPED ? (ROWS + 1) / 2 : TILE / 2;
    const int rows = SWAPPED ? smaller(extent - first, TILE) : count;
    for (int i = threadIdx.x; i < rows * PAIRS; i += THREADS) {
      const int row = i / PAIRS, column = i % PAIRS * 2, in_y = SWAPPED ? column : first + column;
      if (in_y >= n) continue;
      const A one = SWAPPED ? total(sums, column, row) : total(sums, row, column);
      const A two = SWAPPED ? total(sums, (column + 1) % ROWS, row) : total(sums, row, column + 1);
      finish.pair(((long long)zs * m + (SWAPPED ? first + row : row)) * n, in_y, one, two, y, z);
    }
    __syncthreads();  // the sums are another tile's
  }
}
