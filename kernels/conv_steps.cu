// What stands around the gradients of convolutions whose result is scaled or has a residual added to it,
// y = f((x * w) scale + bias + residual): the gradient before the activation where it is an output itself, the filters
// with the scale in them, through which the data gradient goes, and the gradients of filters and scale from that of the
// filters without it.
// variants: T=float,double,__half,__nv_bfloat16 ACT=none,relu,gelu
// variants: T=float ACT=leaky_relu,relu6,elu,selu,sigmoid,tanh,silu,softplus,hardswish,mish
#ifndef T
#define T float
#endif

#include "gradlib/epilogue.cuh"
#include "gradlib/pack.cuh"

// dz = g f'(s).  Grid: any number of blocks of one dimension; each thread takes 4 neighbours.
extern "C" __global__ void __launch_bounds__(256, 1)
conv_slope(const T* __restrict__ g, const T* __restrict__ s, T* __restrict__ dz, long long n) {
  const bool wide = aligned4(g) && aligned4(s) && aligned4(dz);
  for (long long i = 4 * global_index(); i < n; i += 4 * global_size()) {
    const int count = (int)smaller(n - i, 4ll);
    acc_t<T> v[4], u[4];
    load4(g, i, count, wide && count == 4, v);
    load4(s, i, count, wide && count == 4, u);
#pragma unroll
    for (int k = 0; k < 4; ++k) v[k] *= act::ACT::df(u[k]);
    store4(dz, i, count, wide && count == 4, v);
  }
}

// y = w scale[column], both (rows, columns).  Grid: any number of blocks of one dimension.
extern "C" __global__ void __launch_bounds__(256, 1)
conv_scaled_filters(const T* __restrict__ w, const T* __restrict__ scale, T* __restrict__ y, int rows, int columns) {
  const long long count = (long long)rows * columns;
  for (long long i = global_index(); i < count; i += global_size()) {
    y[i] = from_acc<T>(to_acc(w[i]) * to_acc(scale[i % columns]));
  }
}

// From dv (rows, columns), the gradient of the filters w of an unscaled convolution: dw = dv scale[column], and the sums
// of w dv along the columns, dscale: as (x * w) = sum over rows of patches w, so that g (x * w) = sum over rows of w dv.
// Either may be null.  Grid: (ceil(columns / 32), splits), block y taking `share` rows; block: (32, COLUMN_LANES).
// One split writes dscale; more write part (splits, columns).
extern "C" __global__ void __launch_bounds__(32 * COLUMN_LANES)
conv_scale_gradient(const T* __restrict__ w, const acc_t<T>* __restrict__ dv, const T* __restrict__ scale,
                    T* __restrict__ dw, T* __restrict__ dscale, acc_t<T>* __restrict__ part, int rows, int columns,
                    int share) {
  const int begin = blockIdx.y * share;
  const auto value = [&](int row, int column) {
    const long long i = (long long)row * columns + column;
    const acc_t<T> v = dv[i];
    if (dw) dw[i] = from_acc<T>(v * to_acc(scale[column]));
    return v * to_acc(w[i]);
  };
  const auto store = [&](int, int column, acc_t<T> sum) {
    if (dscale) dscale[column] = from_acc<T>(sum);
    if (part) part[(long long)blockIdx.y * columns + column] = sum;
  };
  column_sum<acc_t<T>>(begin, smaller(begin + share, rows), columns, value, store);
}
