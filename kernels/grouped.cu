// Grouped products on any architecture, of any dtype: rows that are sorted by group, each group with a matrix and bias
// of its own; y[r] = act(x[r] w[g] + b[g]) for r in group g, and its gradients with dz = g act'(s) fused into loads.
// x: (rows, k), w: (groups, k, n), b: (groups, n), y, g, s, z: (rows, n); all contiguous; offsets: (groups + 1,), of
// the groups' rows.  s is what act' reads: y or the saved pre-activation z; null without an activation.
// flops grouped_forward: 2 * rows * n * k
// flops grouped_dx: 2 * rows * n * k
// variants: T=float,double,__half,__nv_bfloat16 ACT=none,relu,gelu
// variants: T=float,double BM=128 BN=128 BK=8 TM=8 TN=8 ACT=none,gelu
// variants: T=float,double BM=128 BN=32 ACT=gelu
// variants: T=float,double BM=128 BN=16 TN=2 ACT=gelu
#ifndef T
#define T float
#endif

#include "gradlib/epilogue.cuh"
#include "gradlib/gemm.cuh"
#include "gradlib/ragged.cuh"

using A = acc_t<T>;
using Gradient = ActivationGradient<T, act::ACT>;
using Slots = ragged::Slots<BM>;

// dz as an operand: rows are the outer index (dx) or the columns are (dw).
template <bool ROWS_OUTER> struct Dz {
  static constexpr bool k_fast = ROWS_OUTER;
  using Outer = long long;
  using Inner = long long;
  Gradient dz;
  long long n;
  GRADLIB_DEVICE Outer outer(int i) const { return ROWS_OUTER ? i * n : i; }
  GRADLIB_DEVICE Inner inner(int k) const { return ROWS_OUTER ? k : k * n; }
  GRADLIB_DEVICE A load(Outer i, Inner k) const { return dz(i + k); }
};

// Grid: slots times columns of tiles of y.  b and z may be null.
extern "C" __global__ void __launch_bounds__(gemm::THREADS, gemm::RESIDENT<T>)
grouped_forward(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b,
                const int* __restrict__ offsets, T* __restrict__ y, T* __restrict__ z, int rows, int groups, int n,
                int k) {
  const int across = ceil_div(n, BN);
  const Slots::Place at = Slots{offsets, rows, groups}.at(blockIdx.x / across);
  if (at.empty()) return;
  gemm::tile<A>(at.end, n, 0, k, at.row, blockIdx.x % across * BN, gemm::Matrix<T, true>{x, k, 1},
                gemm::Matrix<T, false>{w + (long long)at.group * k * n, 1, n},
                BiasActivation<T, act::ACT>{b ? b + (long long)at.group * n : nullptr, y, z, n});
}

// dx = dz w^T.  Grid: slots times columns of tiles of dx, (rows, k).
extern "C" __global__ void __launch_bounds__(gemm::THREADS, gemm::RESIDENT<T>)
grouped_dx(const T* __restrict__ g, const T* __restrict__ s, const T* __restrict__ w, const int* __restrict__ offsets,
           T* __restrict__ dx, int rows, int groups, int n, int k) {
  const int across = ceil_div(k, BN);
  const Slots::Place at = Slots{offsets, rows, groups}.at(blockIdx.x / across);
  if (at.empty()) return;
  gemm::tile<A>(at.end, k, 0, n, at.row, blockIdx.x % across * BN, Dz<true>{{g, s}, n},
                gemm::Matrix<T, true>{w + (long long)at.group * k * n, n, 1}, SplitStore<T>{dx, nullptr, k});
}

// dw(group) = x^T dz.  Grid: (tiles of dw (k, n), 1, groups).
extern "C" __global__ void __launch_bounds__(gemm::THREADS, gemm::RESIDENT<T>)
grouped_dw(const T* __restrict__ x, const T* __restrict__ g, const T* __restrict__ s, const int* __restrict__ offsets,
           T* __restrict__ dw, int n, int k) {
  const int group = blockIdx.z;
  gemm::product<A>(k, n, offsets[group], offsets[group + 1], gemm::Matrix<T, false>{x, 1, k}, Dz<false>{{g, s}, n},
                   SplitStore<T>{dw + (long long)group * k * n, nullptr, n});
}

// db(group) = the column sums of dz.  Grid: (n / 32, groups * splits); block: (32, COLUMN_LANES).
// One split writes db (groups, n); more write part (splits, groups, n).
extern "C" __global__ void grouped_db(const T* __restrict__ g, const T* __restrict__ s,
                                      const int* __restrict__ offsets, T* __restrict__ db, A* __restrict__ part,
                                      int groups, int splits, int n) {
  const Gradient dz{g, s};
  const int group = blockIdx.y / splits, index = blockIdx.y % splits;
  const schedule::Part rows = ragged::part<COLUMN_LANES>(offsets, group, splits, index);
  column_sum<A>(rows.begin, rows.end, n, [&](int row, int column) { return dz((long long)row * n + column); },
                SplitStore<T>{db ? db + (long long)group * n : nullptr,
                              part ? part + ((long long)index * gridDim.y / splits + group) * n : nullptr, 0});
}
