// The fully connected layer y = act(x w + b) and its gradients, the activation's derivative dz = g act'(s) fused into
// the loads.  x: (m, k), w: (k, n), b: (n,), y, g, s, z: (m, n); all contiguous.
// s is what act' reads: the output y or the saved pre-activation z; null without an activation.
// flops dense_forward: 2 * m * n * k
// flops dense_dx: 2 * m * n * k
// flops dense_dw: 2 * m * n * k
// variants: T=float,double,__half,__nv_bfloat16 ACT=none,relu,gelu
// variants: T=float ACT=leaky_relu,relu6,elu,selu,sigmoid,tanh,silu,softplus,hardswish,mish
// variants: T=float,double BM=128 BN=128 BK=8 TM=8 TN=8 ACT=gelu
// variants: T=float,double BM=128 BN=32 ACT=gelu
// variants: T=float,double BM=128 BN=16 TN=2 ACT=gelu
#ifndef T
#define T float
#endif

#include "gradlib/epilogue.cuh"
#include "gradlib/gemm.cuh"

using A = acc_t<T>;
using Gradient = ActivationGradient<T, act::ACT>;

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

// Grid: tiles of y.  b may be null; z is null unless the pre-activation is to be saved.
extern "C" __global__ void __launch_bounds__(gemm::THREADS, gemm::RESIDENT<T>)
dense_forward(const T* __restrict__ x, const T* __restrict__ w, const T* __restrict__ b, T* __restrict__ y,
              T* __restrict__ z, int m, int n, int k) {
  gemm::product<A>(m, n, 0, k, gemm::Matrix<T, true>{x, k, 1}, gemm::Matrix<T, false>{w, 1, n},
                   BiasActivation<T, act::ACT>{b, y, z, n});
}

// dx = dz w^T.  Grid: tiles of dx (m, k).
extern "C" __global__ void __launch_bounds__(gemm::THREADS, gemm::RESIDENT<T>)
dense_dx(const T* __restrict__ g, const T* __restrict__ s, const T* __restrict__ w, T* __restrict__ dx, int m, int n,
         int k) {
  gemm::product<A>(m, k, 0, n, Dz<true>{{g, s}, n}, gemm::Matrix<T, true>{w, n, 1}, SplitStore<T>{dx, nullptr, k});
}

// dw = x^T dz.  Grid: (tiles of dw (k, n), 1, splits); block z sums `rows` rows of the batch.
// One split writes dw; more write part (splits, k, n).
extern "C" __global__ void __launch_bounds__(gemm::THREADS, gemm::RESIDENT<T>)
dense_dw(const T* __restrict__ x, const T* __restrict__ g, const T* __restrict__ s, T* __restrict__ dw,
         acc_t<T>* __restrict__ part, int m, int n, int k, int rows) {
  const int begin = blockIdx.z * rows;
  gemm::product<A>(k, n, begin, smaller(begin + rows, m), gemm::Matrix<T, false>{x, 1, k}, Dz<false>{{g, s}, n},
                   SplitStore<T>{dw, part + (long long)blockIdx.z * k * n, n});
}

// db = the column sums of dz.  Grid: (n / 32, splits); block: (32, COLUMN_LANES); block y sums `rows` rows.
// One split writes db; more write part (splits, n).
extern "C" __global__ void dense_db(const T* __restrict__ g, const T* __restrict__ s, T* __restrict__ db,
                                    acc_t<T>* __restrict__ part, int m, int n, int rows) {
  const Gradient dz{g, s};
  const int begin = blockIdx.y * rows;
  column_sum<A>(begin, smaller(begin + rows, m), n,
                [&](int row, int column) { return dz((long long)row * n + column); },
                SplitStore<T>{db, part + (long long)blockIdx.y * n, 0});
}
