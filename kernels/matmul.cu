// c = a @ b for a batch of matrices of any strides: transposes and broadcast batches are read in place.
// flops: 2 * batch * m * n * k
// bytes: size(T) * batch * (m * k + k * n + m * n)
// variants: T=float,double,__half,__nv_bfloat16 A_K_FAST=0,1 B_K_FAST=0,1
// variants: T=bool,short,int
// variants: T=float,double BM=128 BN=128 BK=8 TM=8 TN=8
// variants: T=float,double BM=128 BN=32
// variants: T=float,double BM=128 BN=16 TN=2
#ifndef T
#define T float
#endif
#ifndef A_K_FAST  // 1 if the rows of a are contiguous, 0 if its columns are; right for any strides, fast for its own
#define A_K_FAST 1
#endif
#ifndef B_K_FAST  // 1 if the columns of b are contiguous
#define B_K_FAST 0
#endif

#include "gradlib/gemm.cuh"

struct Store {
  T* c;
  long long pitch;
  GRADLIB_DEVICE void operator()(int row, int column, acc_t<T> v) const { c[row * pitch + column] = from_acc<T>(v); }
};

// a: (batch, m, k), b: (batch, k, n), strides in elements (0 broadcasts); c: (batch, m, n), contiguous.
// Grid: (tiles of c, 1, up to batch); block: gemm::THREADS.
extern "C" __global__ void __launch_bounds__(gemm::THREADS, gemm::RESIDENT<T>)
matmul(const T* __restrict__ a, const T* __restrict__ b, T* __restrict__ c, int batch, int m, int n, int k,
       long long a_batch, long long a_row, long long a_col, long long b_batch, long long b_row, long long b_col) {
  for (int i = blockIdx.z; i < batch; i += gridDim.z) {
    __syncthreads();  // the shared stages are free again
    const gemm::Matrix<T, A_K_FAST> left{a + i * a_batch, a_row, a_col};
    const gemm::Matrix<T, B_K_FAST> right{b + i * b_batch, b_col, b_row};
    gemm::product<acc_t<T>>(m, n, 0, k, left, right, Store{c + (long long)i * m * n, n});
  }
}
