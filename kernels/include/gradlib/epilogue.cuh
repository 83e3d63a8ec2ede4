// What stands around the products of dense and convolution layers: bias and activation after the forward product, the
// activation's derivative before the backward ones, and sums split over blocks.
#pragma once

#include "gradlib/activation.cuh"
#include "gradlib/core.cuh"

// y = f(v scale + bias + residual), at y[row * pitch + column]; each of the three may be missing.  z, where wanted, keeps
// the pre-activation for the backward pass.
template <class E, class F> struct BiasActivation {
  const E* bias;
  E *y, *z;
  long long pitch;
  const E* scale = nullptr;
  const E* residual = nullptr;  // as y
  GRADLIB_DEVICE void operator()(int row, int column, acc_t<E> v) const {
    if (scale) v *= to_acc(scale[column]);
    if (bias) v += to_acc(bias[column]);
    long long i = row * pitch + column;
    if (residual) v += to_acc(residual[i]);
    if (z) z[i] = from_acc<E>(v);
    y[i] = from_acc<E>(F::f(v));
  }
};

// dz = g f'(s), element i.  s is the output or the pre-activation, as F says; it is not read for no activation.
template <class E, class F> struct ActivationGradient {
  const E *g, *s;
  GRADLIB_DEVICE acc_t<E> operator()(long long i) const {
    acc_t<E> v = to_acc(g[i]);
    return F::is_identity ? v : v * F::df(to_acc(s[i]));
  }
};

// Where a sum is split over blocks, each writes its own part, unrounded, and split_sum (split.cu) adds the parts in
// order, so that no result depends on which block came first.  Where it is not split, the result is stored at once.
template <class E> struct SplitStore {
  E* whole;          // null if split
  acc_t<E>* part;    // this block's part
  long long pitch;
  GRADLIB_DEVICE void operator()(int row, int column, acc_t<E> v) const {
    long long i = row * pitch + column;
    if (whole) whole[i] = from_acc<E>(v);
    else part[i] = v;
  }
};

// Sums value(row, column) over rows [begin, end) for the 32 columns from blockIdx.x * 32 on, in two levels: each of
// COLUMN_LANES threads a column takes every COLUMN_LANES-th row, then their sums are added as a tree.
// Blocks of 32 x COLUMN_LANES threads.
constexpr int COLUMN_LANES = 8;

template <class A, class Value, class Store>
GRADLIB_DEVICE void column_sum(int begin, int end, int columns, const Value& value, const Store& store) {
  __shared__ A sums[COLUMN_LANES][33];
  const int column = blockIdx.x * 32 + threadIdx.x;
  A sum = A(0);
  if (column < columns)
    for (int row = begin + threadIdx.y; row < end; row += COLUMN_LANES) sum += value(row, column);
  sums[threadIdx.y][threadIdx.x] = sum;
  for (int lanes = COLUMN_LANES / 2; lanes > 0; lanes /= 2) {
    __syncthreads();
    if (threadIdx.y < lanes) sums[threadIdx.y][threadIdx.x] += sums[threadIdx.y + lanes][threadIdx.x];
  }
  if (threadIdx.y == 0 && column < columns) store(0, column, sums[0][threadIdx.x]);
}
