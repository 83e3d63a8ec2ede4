// The end of a product whose sum over k was split: adds the parts in order, then does what the product's own epilogue
// would have done (finish.cuh), but for the column sums.
// variants: T=float,double,__half,__nv_bfloat16 PAIRED=0,1
// variants: T=float,__nv_bfloat16 BIAS=1 SAVE=1 ACT=gelu PAIRED=1
// variants: T=__half SLOPE=1 SLOPE_ACT=gelu RESIDUAL=1
// variants: T=__nv_bfloat16 SCALE=1 BIAS=1 ACT=relu RESIDUAL=1,2
// variants: T=float,double,__nv_bfloat16 DROPOUT=1 RESIDUAL=1 PAIRED=0,1
#include "gradlib/finish.cuh"

// part: (products, splits, m, n); y, z: (products, m, n).  Grid: any number of blocks of one dimension.
extern "C" __global__ void __launch_bounds__(256)
finish(const acc_t<T>* __restrict__ part, const T* __restrict__ bias, const T* __restrict__ scale,
       const T* __restrict__ slope, const T* residual, const unsigned long long* __restrict__ key,
       OUT* y, OUT* __restrict__ z, unsigned int threshold, double keep, int products, int splits, int m, int n) {
  const Finish f{bias, scale, slope, residual, key, threshold, Finish::A(keep), n};
  const int pairs = (n + 1) / 2;
  const long long matrix = (long long)m * n, count = (long long)products * m * pairs;
  for (long long i = global_index(); i < count; i += global_size()) {
    const long long row = i / pairs, at = row * n;
    const int column = (int)(i - row * pairs) * 2;
    const long long product = row / m;
    const Finish::A* from = part + (product * splits * m + (row - product * m)) * n;
    Finish::A sum[2] = {0, 0};
    for (int split = 0; split < splits; ++split, from += matrix) {
      if constexpr (PAIRED) {
        const PairOf<Finish::A> pair = *reinterpret_cast<const PairOf<Finish::A>*>(from + column);
        sum[0] += pair.first;
        sum[1] += pair.second;
      } else {
        sum[0] += from[column];
        if (column + 1 < n) sum[1] += from[column + 1];
      }
    }
    f.pair(at, column, sum[0], sum[1], y, z);
  }
}
