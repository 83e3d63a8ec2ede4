// The end of a product whose sum over k was split: adds the parts in order, then does what the product's own epilogue
// would have done (finish.cuh), but for the column sums.
// variants: T=float,__half,__nv_bfloat16 PAIRED=0,1
// variants: T=float,__nv_bfloat16 BIAS=1 SAVE=1 ACT=gelu PAIRED=1
// variants: T=__half SLOPE=1 SLOPE_ACT=gelu RESIDUAL=1
// variants: T=__nv_bfloat16 SCALE=1 BIAS=1 ACT=relu RESIDUAL=1,2
// variants: T=float,__nv_bfloat16 DROPOUT=1 RESIDUAL=1 PAIRED=0,1
#include "gradlib/finish.cuh"

// part: (products, splits, m, n) float; y, z: (products, m, n).  Grid: any number of blocks of one dimension.
extern "C" __global__ void __launch_bounds__(256)
finish(const float* __restrict__ part, const T* __restrict__ bias, const T* __restrict__ scale,
       const T* __restrict__ slope, const T* residual, const unsigned long long* __restrict__ key,
       OUT* y, OUT* __restrict__ z, unsigned int threshold, float keep, int products, int splits, int m, int n) {
  const Finish f{bias, scale, slope, residual, key, threshold, keep, n};
  const int pairs = (n + 1) / 2;
  const long long matrix = (long long)m * n, count = (long long)products * m * pairs;
  for (long long i = global_index(); i < count; i += global_size()) {
    const long long row = i / pairs, at = row * n;
    const int column = (int)(i - row * pairs) * 2;
    const long long product = row / m;
    const float* from = part + (product * splits * m + (row - product * m)) * n;
    float sum[2] = {0, 0};
    for (int split = 0; split < splits; ++split, from += matrix) {
      if constexpr (PAIRED) {
        const PairOf<float> pair = *reinterpret_cast<const PairOf<float>*>(from + column);
        sum[0] += pair.first;
        sum[1] += pair.second;
      } else {
        sum[0] += from[column];
        if (column + 1 < n) sum[1] += from[column + 1];
      }
    }
    const Finish::Columns columns = f.columns(column, 0);
    Finish::A s[2] = {}, r[2] = {}, d[2] = {};
    f.slopes(at, column, s);
    f.residuals(at, column, r);
    f.kept(at + column, d);
    const float u[2] = {f.before(sum[0], columns, 0, r[0]), f.before(sum[1], columns, 1, r[1])};
    if constexpr (SAVE) Finish::store(z + at, column, n, from_acc<OUT>(u[0]), from_acc<OUT>(u[1]));
    Finish::store(y + at, column, n, from_acc<OUT>(f.after(u[0], s[0], r[0], d[0])),
                  from_acc<OUT>(f.after(u[1], s[1], r[1], d[1])));
  }
}
